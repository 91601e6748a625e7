"""Small work, whole processes: shmctl beside a Python that imports the libraries that shmctl stands on.

Bars: 1.15 of 'python -c "import click, posix_ipc, mmap"' for each small work on an object, 1.3 for help,
version and completion. Ends with status 1 if one is missed by more than the noise.
Usage: bench/startup.py [ROUNDS]
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pairs import ENVIRONMENT, PYTHON, compare, report, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
PEER = [PYTHON, "-c", "import click, posix_ipc, mmap"]
FLOOR = [PYTHON, "-c", "pass"]
NAME = f"/shmctl-bench-{os.getpid()}-startup"
PATH = Path("/dev/shm" + NAME)
WORK_BAR, HELP_BAR = 1.15, 1.3
COMPLETION = {"_SHMCTL_COMPLETE": "bash_complete", "COMP_WORDS": f"shmctl read {NAME}", "COMP_CWORD": "2"}


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


WORKS = {
    "create": Work(shmctl("create", NAME, "--size", "64"), absent),
    "write 8 bytes": Work(shmctl("write", NAME, "12345678")),
    "read 8 bytes": Work(shmctl("read", NAME, "--length", "8")),
    "read an int64": Work(shmctl("read", NAME, "--type", "int64")),
    "stat --json": Work(shmctl("stat", "--json", NAME)),
    "unlink": Work(shmctl("unlink", NAME)),
    "--help": Work(shmctl("--help"), bar=HELP_BAR),
    "--version": Work(shmctl("--version"), bar=HELP_BAR),
}


def completes() -> bool:
    """Whether this shmctl completes names."""
    present()
    done = subprocess.run(shmctl(), env={**ENVIRONMENT, **COMPLETION}, capture_output=True, check=False)
    return NAME in done.stdout.decode()


def timed(work: Work) -> float:
    work.before()
    return run(work.argv).seconds


def main() -> int:
    works = dict(WORKS)
    if completes():
        variables = [f"{name}={value}" for name, value in COMPLETION.items()]
        works["completion of a name"] = Work(["env", *variables, *shmctl()], bar=HELP_BAR)
    else:
        print("completion of a name: this shmctl has none")
    held = True
    for name, work in works.items():
        turns = take_turns({name: lambda work=work: timed(work), "peer": lambda: run(PEER).seconds}, ROUNDS)
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
