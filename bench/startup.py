"""Small work, whole processes: shmctl beside a Python that imports the libraries that shmctl stands on.

Bar: 1.05 of 'python -c "import click, posix_ipc, mmap"'. A work that cannot do without further modules of
Python's own, such as ctypes for what Python has no function for, is compared with those imported as well: its
floor. Ends with status 1 if the bar is missed by more than the noise.
Usage: bench/startup.py [ROUNDS]
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pairs import PYTHON, compare, report, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
IMPORTS = ("click", "posix_ipc", "mmap")
NOTHING = [PYTHON, "-c", "pass"]
NAME = f"/shmctl-bench-{os.getpid()}-startup"
PATH = Path("/dev/shm" + NAME)
BAR = 1.05
# As the script for bash asks: the line up to the cursor, and what ends a word.
COMPLETION = {"_SHMCTL_COMPLETE": "bash_complete"}


def absent() -> None:
    PATH.unlink(missing_ok=True)


def present() -> None:
    PATH.write_bytes(bytes(64))


@dataclass(frozen=True)
class Work:
    """A command, what has to be so before it, and which further modules it cannot do without."""

    argv: list[str]
    before: Callable[[], None] = present
    needs: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


WORKS = {
    "create": Work(shmctl("create", NAME, "--size", "64"), absent),
    "write 8 bytes": Work(shmctl("write", NAME, "12345678"), needs=("ctypes",)),
    "read 8 bytes": Work(shmctl("read", NAME, "--length", "8")),
    "read an int64": Work(shmctl("read", NAME, "--type", "int64"), needs=("ctypes",)),
    "stat --json": Work(shmctl("stat", "--json", NAME), needs=("ctypes", "json")),
    "unlink": Work(shmctl("unlink", NAME)),
    "--help": Work(shmctl("--help")),
    "--version": Work(shmctl("--version")),
    "completion of a name": Work(shmctl(f"shmctl read {NAME[:-2]}", " :="), variables=COMPLETION),
}


def timed(work: Work) -> float:
    work.before()
    return run(work.argv, variables=work.variables).seconds


def importing(more: Sequence[str] = ()) -> Callable[[], float]:
    """The peer: a Python that imports what shmctl stands on, and ``more``."""
    argv = [PYTHON, "-c", f"import {', '.join([*IMPORTS, *more])}"]
    return lambda: run(argv).seconds


def main() -> int:
    held = True
    for name, work in WORKS.items():
        ways: dict[str, Callable[[], float]] = {"shmctl": partial(timed, work), "imports alone": importing()}
        if work.needs:
            ways["floor"] = importing(work.needs)
        turns = take_turns(ways, ROUNDS)
        held &= report(name, compare(turns["shmctl"], turns["imports alone"]), BAR, *turns.items())
        if work.needs:
            report(f"{name}, beside its floor", compare(turns["shmctl"], turns["floor"]), None)
    turns = take_turns({"it": lambda: run(NOTHING).seconds, "imports alone": importing()}, ROUNDS)
    ratio = compare(turns["it"], turns["imports alone"])
    report("Python that does nothing", ratio, None, *turns.items())
    return 0 if held else 1


if __name__ == "__main__":
    try:
        status = main()
    finally:
        absent()
    sys.exit(status)
