"""Compare 'shmctl holders NAME' with 'lsof FILE': whole processes, run in turns, medians.

Bars: at most 0.95 of lsof's time for one object with 300 holding processes; at most 0.5 of it with 50 holding
processes of 20,000 mappings each. Ends with status 1 if a bar is missed by more than the noise. Needs lsof
and gcc.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pairs import compare, floor_of, report, shmctl, take_turns, timed

ROUNDS = 15
SIZE = 4096

# Forks argv[2] processes. Each opens and maps argv[1], with its own number behind it if argv[4] is "each",
# and makes argv[3] further mappings of nothing and argv[5] further descriptors. Says so, and ends all of them
# when its input ends.
CROWD = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int hold(const char *path, long mappings, long descriptors)
{
    long page = sysconf(_SC_PAGESIZE);
    int fd = open(path, O_RDWR);
    if (fd < 0 || mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED) return 0;
    while (descriptors-- > 0) if (dup(0) < 0) return 0;
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
        byte = hold(path, atol(argv[3]), atol(argv[5])) ? 'y' : 'n';
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
def crowd(
    program: str, path: str, count: int, *, mappings: int = 0, descriptors: int = 0, each: bool = False
) -> Iterator[None]:
    """While the body runs, so do ``count`` processes that hold ``path``, or one of path0, path1 ... each."""
    argv = [program, path, str(count), str(mappings), "each" if each else "one", str(descriptors)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            sys.exit("the crowd could not gather")
        try:
            yield
        finally:
            process.stdin.close()


def found(argv: Sequence[str], count: int, holders: Callable[[list[str]], int]) -> float:
    """The seconds of a command, which has to find every holder: as many as ``holders`` sees in its lines."""
    seconds, out = timed(argv)
    number = holders(out.decode().splitlines()[1:])
    if number != count:
        sys.exit(f"of {count} holders {argv[0]} found {number}")
    return seconds


def compare_commands(what: str, path: str, count: int, bar: float) -> bool:
    """Both commands on the same object in turns; whether the bar holds."""
    turns = take_turns(
        {
            "shmctl": lambda: found(shmctl("holders", path), count, len),
            "lsof": lambda: found(
                ["lsof", path], count, lambda lines: len({line.split()[1] for line in lines})
            ),
            "floor": lambda: timed(floor_of("holders"))[0],
        },
        ROUNDS,
    )
    report(f"floor of {what}", compare(turns["floor"], turns["lsof"]), None, ("it", turns["floor"]))
    return report(what, compare(turns["shmctl"], turns["lsof"]), bar, *turns.items())


def main() -> int:
    """Both bars; 1 if one is missed."""
    path = f"/dev/shm/shmctl-bench-{os.getpid()}"
    Path(path).write_bytes(bytes(SIZE))
    try:
        with tempfile.TemporaryDirectory() as folder:
            program = compile_crowd(folder)
            with crowd(program, path, 300):
                many = compare_commands("300 holding processes", path, 300, 0.95)
            with crowd(program, path, 50, mappings=20_000):
                large = compare_commands("50 processes of 20,000 mappings each", path, 50, 0.5)
    finally:
        Path(path).unlink()
    return 0 if many and large else 1


if __name__ == "__main__":
    sys.exit(main())
