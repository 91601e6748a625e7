"""Small work, whole processes: shmctl beside a Python that imports the libraries that shmctl stands on.

Bars: 1.15 of 'python -c "import click, posix_ipc, mmap"' for each small work on an object, 1.3 for help,
version and completion. Ends with status 1 if one is missed by more than the noise.
Usage: bench/startup.py [ROUNDS]
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pairs import PYTHON, compare, report, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
PEER = [PYTHON, "-c", "import click, posix_ipc, mmap"]
FLOOR = [PYTHON, "-c", "pass"]
NAME = f"/shmctl-bench-{os.getpid()}-startup"
PATH = Path("/dev/shm" + NAME)
WORK_BAR, HELP_BAR = 1.15, 1.3
# As the script for bash asks: the line up to the cursor, and what ends a word.
COMPLETION = {"_SHMCTL_COMPLETE": "bash_complete"}


def absent() -> None:
    PATH.unlink(missing_ok=True)


def present() -> None:
    PATH.write_bytes(bytes(64))


@dataclass(frozen=True)
class Work:
    """A command, what has to be so before it, and how long it may take for one of the peer."""

    argv: list[str]
    before: Callable[[], None] = present
    bar: float = WORK_BAR
    variables: dict[str, str] = field(default_factory=dict)


WORKS = {
    "create": Work(shmctl("create", NAME, "--size", "64"), absent),
    "write 8 bytes": Work(shmctl("write", NAME, "12345678")),
    "read 8 bytes": Work(shmctl("read", NAME, "--length", "8")),
    "read an int64": Work(shmctl("read", NAME, "--type", "int64")),
    "stat --json": Work(shmctl("stat", "--json", NAME)),
    "unlink": Work(shmctl("unlink", NAME)),
    "--help": Work(shmctl("--help"), bar=HELP_BAR),
    "--version": Work(shmctl("--version"), bar=HELP_BAR),
    "completion of a name": Work(
        shmctl(f"shmctl read {NAME[:-2]}", " :="), bar=HELP_BAR, variables=COMPLETION
    ),
}


def timed(work: Work) -> float:
    work.before()
    return run(work.argv, variables=work.variables).seconds


def main() -> int:
    held = True
    for name, work in WORKS.items():
        turns = take_turns({name: partial(timed, work), "peer": lambda: run(PEER).seconds}, ROUNDS)
        ratio = compare(turns[name], turns["peer"])
        held &= report(name, ratio, work.bar, ("shmctl", turns[name]), ("imports alone", turns["peer"]))
    floor = take_turns({"peer": lambda: run(PEER).seconds, "floor": lambda: run(FLOOR).seconds}, ROUNDS)
    ratio = compare(floor["floor"], floor["peer"])
    report("Python that does nothing", ratio, None, ("it", floor["floor"]), ("imports alone", floor["peer"]))
    return 0 if held else 1


if __name__ == "__main__":
    try:
        status = main()
    finally:
        absent()
    sys.exit(status)
