"""events: a flood of a C program's objects, and what watching costs while nothing happens.

Bars: 30,000 events a second for three seconds without one that is lost; idle, 0.1 % of a processor. The flood
creates, sizes, closes and removes objects, and says how many events that were; each has to be shown. The
processor's time for each event says how far away the limit is. Ends with status 1 if a bar is missed. Needs
gcc; as root each event is given its process, which costs most. Usage: bench/events.py [RATE]
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pairs import median, shmctl

RATE = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
SECONDS = 3
ROUNDS = 5
IDLE_LIMIT = 0.1
"""Percent of a processor."""
NAME = f"/shmctl-bench-{os.getpid()}"
FLOOD = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct timespec pause = {0, 1000000};
    double begun = now(), seconds = atof(argv[2]), rate = atof(argv[3]), passed;
    char name[256];
    long events = 0;

    while ((passed = now() - begun) < seconds) {
        if (events > passed * rate) {
            nanosleep(&pause, NULL);
            continue;
        }
        snprintf(name, sizeof name, "%s-%ld", argv[1], events / 5 % 1000);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0 || ftruncate(fd, 100) || close(fd) || shm_unlink(name)) { perror(name); return 1; }
        events += 5; /* create, open, resize, close, remove */
    }
    printf("%ld\n", events);
    return 0;
}
"""


class Watching:
    """'shmctl events' on this bench's names, its output in a file."""

    def __init__(self, output: str, *options: str) -> None:
        ready, ready_at = os.pipe()
        argv = shmctl("events", NAME + "*", "--ready-fd", str(ready_at), "--no-headings", *options)
        with open(output, "wb") as file:
            self.process = subprocess.Popen(argv, pass_fds=[ready_at], stdout=file)
        os.close(ready_at)
        os.read(ready, 1)
        os.close(ready)
        self._output = Path(output)

    def spent(self) -> float:
        """The processor's seconds so far."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def lines(self) -> list[str]:
        """What it has written once it writes no more."""
        size = -1
        while size != self._output.stat().st_size:
            size = self._output.stat().st_size
            time.sleep(0.5)
        return self._output.read_text().splitlines()

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait()


def flood(program: str, output: str, *options: str) -> tuple[int, int, float]:
    """Events that were made, those that were shown and the processor's seconds for one."""
    watching = Watching(output, *options)
    try:
        before = watching.spent()
        made = int(subprocess.check_output([program, NAME, str(SECONDS), str(RATE)]))
        shown = [line for line in watching.lines() if NAME in line]
        return made, len(shown), (watching.spent() - before) / max(1, len(shown))
    finally:
        watching.end()


def report_flood(what: str, rounds: Sequence[tuple[int, int, float]]) -> bool:
    """Print how many events came and what one costs; whether none was lost at the full rate."""
    made, shown = sum(each[0] for each in rounds), sum(each[1] for each in rounds)
    rate = made / SECONDS / len(rounds)
    holds = shown == made and rate >= 0.99 * RATE
    cost = median(each[2] * 1e6 for each in rounds)
    outcome = "holds" if holds else "MISSED"
    print(
        f"{what}: {rate:.0f} events/s, {made - shown} of {made} lost, {cost} µs of processor each: {outcome}"
    )
    return holds


def idle_share(output: str) -> float:
    """The percentage of a processor it takes while nothing happens."""
    watching = Watching(output)
    try:
        before = watching.spent()
        time.sleep(2)
        return (watching.spent() - before) / 2 * 100
    finally:
        watching.end()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        source, program, output = Path(folder, "flood.c"), f"{folder}/flood", f"{folder}/events"
        source.write_text(FLOOD)
        subprocess.run(["gcc", "-O1", "-Wall", "-o", program, source, "-lrt"], check=True, timeout=60)
        held = True
        for what, options in {"columns": (), "--json": ("--json",)}.items():
            held &= report_flood(what, [flood(program, output, *options) for _ in range(ROUNDS)])
        idle = median(idle_share(output) for _ in range(ROUNDS))
    holds = idle.holds(IDLE_LIMIT)
    print(f"idle: {idle} % of a processor, bar {IDLE_LIMIT}: {'holds' if holds else 'MISSED'}")
    return 0 if held and holds else 1


if __name__ == "__main__":
    sys.exit(main())
