"""Time from a C program's store to the moment 'shmctl wait' detects it, and what an idle wait costs.

Bars: a median of at most 3 µs with --spin, and of at most 1.5 times the interval that was given. The stored
value is the time of the store (CLOCK_MONOTONIC). What the command calls runs in this process, and reads the
same clock after each look. An idle command takes at most 0.5 % of a processor at the default interval. Ends
with status 1 if a bar is missed. Needs gcc, and a core for each of the two: on a busy machine the numbers
are the scheduler's.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pairs import in_words, median, shmctl

from shmctl.core.layouts.values import Value
from shmctl.core.models import DEV_SHM
from shmctl.core.names import parse_name
from shmctl.core.sync.backoff import NameWatch, Pacer
from shmctl.core.sync.conditions import Conditions, parse_scalar_conditions
from shmctl.core.sync.waiting import Load, wait_for_value

ROUNDS = 300
INTERVAL = 0.001
SPIN_LIMIT = 3e-6
INTERVAL_LIMIT = 1.5 * INTERVAL
IDLE_ROUNDS = 5
IDLE_SECONDS = 2.0
IDLE_LIMIT = 0.5
"""Percent of a processor."""

# For each byte read: sleeps 5 to 15 ms, not the same twice, and stores the time.
WRITER = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now, pause = {0};
    int fd = shm_open(argv[1], O_RDWR, 0);
    uint64_t *stored = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char byte;

    if (stored == MAP_FAILED) { perror(argv[1]); return 3; }
    while (read(0, &byte, 1) == 1) {
        pause.tv_nsec = 5000000 + rand() % 10000000;
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        __atomic_store_n(stored, now.tv_sec * UINT64_C(1000000000) + now.tv_nsec, __ATOMIC_RELEASE);
    }
    return 0;
}
"""


@contextmanager
def writer(name: str) -> Iterator[subprocess.Popen[bytes]]:
    """The C program, on an object that lives as long."""
    path = Path("/dev/shm" + name)
    path.write_bytes(bytes(8))
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, program = Path(folder) / "writer.c", Path(folder) / "writer"
            source.write_text(WRITER)
            subprocess.run(["gcc", "-O1", "-Wall", "-o", program, source, "-lrt"], check=True, timeout=60)
            with subprocess.Popen([program, name], stdin=subprocess.PIPE, bufsize=0) as process:
                try:
                    yield process
                finally:
                    assert process.stdin
                    process.stdin.close()
    finally:
        path.unlink()


@dataclass
class Detection:
    """A condition on the stored time, and the clock's time when it was seen to hold."""

    conditions: Conditions
    at: int = 0

    def look(self, load: Load) -> list[Value] | None:
        values = self.conditions.look(load)
        self.at = time.monotonic_ns()  # each time, so that it costs little when it counts
        return values


def latencies(process: subprocess.Popen[bytes], text: str, *, spin: bool) -> list[float]:
    """The seconds from each store to its detection."""
    name = parse_name(text)
    found = []
    last = 0
    assert process.stdin
    with NameWatch(name, DEV_SHM) as watch:
        for _ in range(ROUNDS):
            detection = Detection(parse_scalar_conditions("uint64", None, [f"> {last}"]))
            process.stdin.write(b".")
            pacer = Pacer(name, watch, timeout=30, interval=INTERVAL, spin=spin)
            values = wait_for_value(name, 0, detection.conditions.length, detection.look, pacer)
            last = int(values[0])
            found.append((detection.at - last) / 1e9)
    return found


def report(what: str, seconds: list[float], limit: float) -> bool:
    """Print the outcome; whether the bar holds."""
    found = median(seconds)
    deciles = statistics.quantiles(seconds, n=10)
    holds = found.holds(limit)
    print(
        f"{what}: median {in_words(found.middle)}, a tenth below {in_words(deciles[0])}, a tenth above "
        f"{in_words(deciles[-1])}, bar {in_words(limit)}: {'holds' if holds else 'MISSED'}"
    )
    return holds


def idle_share(*args: str) -> float:
    """The percentage of a processor that a wait takes in which nothing happens, once it has settled down."""
    with subprocess.Popen(shmctl("wait", *args)) as process:
        spent = Path(f"/proc/{process.pid}/schedstat")
        time.sleep(1.5)
        before = int(spent.read_text().split()[0])
        time.sleep(IDLE_SECONDS)
        nanoseconds = int(spent.read_text().split()[0]) - before
        process.terminate()
    return nanoseconds / IDLE_SECONDS / 1e7


def report_idle(what: str, limit: float | None, *args: str) -> bool:
    """Print the share of an idle wait; whether the bar holds."""
    found = median(idle_share(*args) for _ in range(IDLE_ROUNDS))
    holds = limit is None or found.holds(limit)
    outcome = "" if limit is None else f", bar {limit} %: {'holds' if holds else 'MISSED'}"
    print(f"idle, {what}: {found} % of a processor{outcome}", flush=True)
    return holds


def main() -> int:
    """All bars; 1 if one is missed."""
    name = f"/shmctl-bench-{os.getpid()}"
    never = (name, "--type", "int64", "< 0")
    with writer(name) as process:
        idle = report_idle("default interval", IDLE_LIMIT, *never)
        idle &= report_idle("until it changes", IDLE_LIMIT, name, "--changed")
        idle &= report_idle("until it is gone", IDLE_LIMIT, name, "--gone")
        report_idle(f"interval {INTERVAL * 1000:g} ms", None, *never, "--interval", str(INTERVAL))
        latencies(process, name, spin=True)  # the first ones only warm up
        spinning = report("--spin", latencies(process, name, spin=True), SPIN_LIMIT)
        sleeping = report(
            f"interval {INTERVAL * 1000:g} ms", latencies(process, name, spin=False), INTERVAL_LIMIT
        )
    return 0 if idle and spinning and sleeping else 1


if __name__ == "__main__":
    sys.exit(main())
