"""Compare 'shmctl holders NAME' with 'lsof FILE': whole processes, run in turns, medians.

Bars: at most 1.2 of lsof's time for one object with 300 holding processes; at most 0.5 of it with 50 holding
processes of 20,000 mappings each. Ends with status 1 if a bar is missed by more than the noise. Needs lsof
and gcc.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROUNDS = 15
SIZE = 4096

# Forks argv[2] processes. Each opens and maps argv[1], with its own number behind it if argv[4] is "each",
# and makes argv[3] further mappings of nothing. Says so, and ends all of them when its input ends.
CROWD = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int hold(const char *path, long mappings)
{
    long page = sysconf(_SC_PAGESIZE);
    int fd = open(path, O_RDWR);
    if (fd < 0 || mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED) return 0;
    if (!mappings) return 1;
    char *area = mmap(NULL, mappings * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return 0;
    /* Neighbours differ in what they allow: the kernel cannot merge them. */
    for (long i = 0; i < mappings; i += 2)
        if (mprotect(area + i * page, page, PROT_READ)) return 0;
    return 1;
}

int main(int argc, char **argv)
{
    int ready[2], count = atoi(argv[2]);
    char path[4096], byte;

    if (pipe(ready)) return 3;
    for (int i = 0; i < count; i++) {
        if (fork()) continue;
        snprintf(path, sizeof path, !strcmp(argv[4], "each") ? "%s%d" : "%s", argv[1], i);
        byte = hold(path, atol(argv[3])) ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1) return 3;
        while (read(0, &byte, 1) > 0) ;
        return 0;
    }
    for (int i = 0; i < count; i++)
        if (read(ready[0], &byte, 1) != 1 || byte != 'y') return 3;
    puts("ready");
    fflush(stdout);
    while (wait(NULL) > 0) ;
    return 0;
}
"""


def compile_crowd(folder: str) -> str:
    """The path of the program above."""
    source, program = Path(folder) / "crowd.c", Path(folder) / "crowd"
    source.write_text(CROWD)
    subprocess.run(["gcc", "-O1", "-Wall", "-o", program, source], check=True)
    return str(program)


@contextmanager
def crowd(program: str, path: str, count: int, *, mappings: int = 0, each: bool = False) -> Iterator[None]:
    """While the body runs, so do ``count`` processes that hold ``path``, or one of path0, path1 ... each."""
    argv = [program, path, str(count), str(mappings), "each" if each else "one"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            sys.exit("the crowd could not gather")
        try:
            yield
        finally:
            process.stdin.close()


@dataclass
class Contest:
    """Times of one command and of another, taken in turns, in seconds."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How long ours takes for one of theirs."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def noise(self) -> float:
        """By how much the ratio of one round commonly differs from that of another."""
        ratios = [one / other for one, other in zip(self.ours, self.theirs, strict=True)]
        middle = statistics.median(ratios)
        return statistics.median(abs(ratio - middle) for ratio in ratios)

    def report(self, what: str, bar: float) -> bool:
        """Print the outcome; whether the bar holds."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        holds = self.ratio - self.noise <= bar
        print(
            f"{what}: shmctl {ours:.3f} s, lsof {theirs:.3f} s, ratio {self.ratio:.2f} ± {self.noise:.2f}, "
            f"bar {bar}: {'holds' if holds else 'MISSED'}"
        )
        return holds


def timed(argv: Sequence[str]) -> tuple[float, bytes]:
    """How long a process takes from start to end, and its output."""
    begun = time.perf_counter()
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun, done.stdout


def shmctl(*args: str) -> list[str]:
    """The command line of the shmctl that this Python has."""
    script = Path(sys.executable).with_name("shmctl")
    return [str(script) if script.exists() else "shmctl", *args]


def compare(path: str, count: int) -> Contest:
    """Both commands on the same object in turns; each has to find every holder."""
    contest = Contest()
    ours, theirs = shmctl("holders", path), ["lsof", path]
    for number in range(ROUNDS + 1):
        seconds, out = timed(ours)
        other_seconds, other_out = timed(theirs)
        found = len(out.splitlines()) - 1
        other_found = len({line.split()[1] for line in other_out.splitlines()[1:]})
        if (found, other_found) != (count, count):
            sys.exit(f"of {count} holders shmctl found {found}, lsof {other_found}")
        if number:  # the first round only warms up
            contest.ours.append(seconds)
            contest.theirs.append(other_seconds)
    return contest


def main() -> int:
    """Both bars; 1 if one is missed."""
    path = f"/dev/shm/shmctl-bench-{os.getpid()}"
    Path(path).write_bytes(bytes(SIZE))
    try:
        with tempfile.TemporaryDirectory() as folder:
            program = compile_crowd(folder)
            with crowd(program, path, 300):
                many = compare(path, 300).report("300 holding processes", 1.2)
            with crowd(program, path, 50, mappings=20_000):
                large = compare(path, 50).report("50 processes of 20,000 mappings each", 0.5)
    finally:
        Path(path).unlink()
    return 0 if many and large else 1


if __name__ == "__main__":
    sys.exit(main())
