"""Time from a C program's store to the moment 'shmctl wait' detects it, spinning and with the interval.

Bars: a median of at most 20 µs with --spin, and of at most 1.5 times the interval without. The stored value
is the time of the store (CLOCK_MONOTONIC). What the command calls runs in this process, and reads the same
clock when a look finds the value. Ends with status 1 if a bar is missed. Needs gcc, and a core for each of
the two: on a busy machine the numbers are the scheduler's.
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

from pairs import in_words, median

from shmctl.core.layouts.values import Value
from shmctl.core.models import DEV_SHM
from shmctl.core.names import parse_name
from shmctl.core.sync.backoff import NameWatch, Pacer
from shmctl.core.sync.conditions import Conditions, parse_scalar_conditions
from shmctl.core.sync.waiting import Load, wait_for_value

ROUNDS = 300
INTERVAL = 0.001
"""The default of 'shmctl wait', in seconds."""
SPIN_LIMIT = 20e-6
INTERVAL_LIMIT = 1.5 * INTERVAL

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
        if values is not None:
            self.at = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
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


def main() -> int:
    """Both bars; 1 if one is missed."""
    name = f"/shmctl-bench-{os.getpid()}"
    with writer(name) as process:
        latencies(process, name, spin=True)  # the first ones only warm up
        spinning = report("--spin", latencies(process, name, spin=True), SPIN_LIMIT)
        sleeping = report(
            f"interval {INTERVAL * 1000:g} ms", latencies(process, name, spin=False), INTERVAL_LIMIT
        )
    return 0 if spinning and sleeping else 1


if __name__ == "__main__":
    sys.exit(main())
