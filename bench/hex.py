"""Hex dumps: 'read --hex' beside hexdump -C, whole processes in turns.

Bars, of hexdump's time: 0.2 for 1 GiB never touched and 0.35 for 64 MiB of random bytes, both into a file on
/dev/shm. Of 8 EiB never touched, through which hexdump would walk for years: 2 starts of a Python with the
imports of shmctl. Of the first line alone, through 'head -1': 1.3 of hexdump's time and that start.
Ends with status 1 if one is missed by more than the noise. Takes 2 GiB of memory.
Usage: bench/hex.py [ROUNDS [WORK]]; WORK is a part of the names of the works to do.
"""

import filecmp
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pairs import PYTHON, compare, report, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 9
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
NAME = f"/shmctl-bench-{os.getpid()}-hex"
OBJECT = "/dev/shm" + NAME
OURS, PEER, FIRST = shmctl("read", "--hex", NAME), ["hexdump", "-C", OBJECT], ["head", "-1"]
START = [PYTHON, "-c", "import click, posix_ipc, mmap"]
EIB_8 = (1 << 63) - 4096
"""As large as a tmpfs lets a file be, in whole pages."""


def random(size: int) -> None:
    Path(OBJECT).write_bytes(os.urandom(size))


def zeros(size: int) -> None:
    with open(OBJECT, "wb") as out:
        for _ in range(size >> 20):
            out.write(bytes(1 << 20))


def hole(size: int) -> None:
    Path(OBJECT).touch()
    os.truncate(OBJECT, size)


def measure(folder: str, what: str, fill: Callable[[], None], bar: float, *, first: bool, peer: bool) -> bool:
    """Do one work in turns and print how it went; whether its bar holds.

    ``first`` is for the first line alone; the times of ``peer``s that would never end are left out.
    """
    Path(OBJECT).unlink(missing_ok=True)
    fill()
    ours, theirs = f"{folder}/ours", f"{folder}/theirs"
    rest = [FIRST] if first else []
    ways = {"shmctl": lambda: run(OURS, *rest, stdout=ours).seconds}
    if peer:
        ways["hexdump"] = lambda: run(PEER, *rest, stdout=theirs).seconds
    if first or not peer:
        ways["start"] = lambda: run(START).seconds
    turns = take_turns(ways, ROUNDS)
    if peer and not filecmp.cmp(ours, theirs, shallow=False):
        sys.exit(f"{what}: the dump differs")
    unit = [sum(seconds) for seconds in zip(*list(turns.values())[1:], strict=True)]
    return report(what, compare(turns["shmctl"], unit), bar, *turns.items())


def main() -> int:
    works: dict[str, tuple[Callable[[], None], float, bool, bool]] = {
        "1 GiB never touched": (partial(hole, 1 << 30), 0.2, False, True),
        "64 MiB random": (partial(random, 64 << 20), 0.35, False, True),
        "8 EiB never touched": (partial(hole, EIB_8), 2, False, False),
        "first line of 64 MiB random": (partial(random, 64 << 20), 1.3, True, True),
        "first line of 1 GiB never touched": (partial(hole, 1 << 30), 1.3, True, True),
        "first line of 1 GiB of zeros": (partial(zeros, 1 << 30), 1.3, True, True),
    }
    with tempfile.TemporaryDirectory(prefix=OBJECT.removeprefix("/dev/shm/"), dir="/dev/shm") as folder:
        held = [
            measure(folder, what, fill, bar, first=first, peer=peer)
            for what, (fill, bar, first, peer) in works.items()
            if ONLY in what
        ]
    return 0 if all(held) else 1


if __name__ == "__main__":
    try:
        status = main()
    finally:
        Path(OBJECT).unlink(missing_ok=True)
    sys.exit(status)
