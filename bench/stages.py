"""Where each millisecond of a start goes: 'shmctl read NAME -n 8', cut off earlier and earlier.

Each stage is a process that does what the one before it does, and a little more; what it takes longer is what
that little costs. All but the first leave as shmctl does: without collecting garbage, and without tearing the
interpreter down. Run it with the Python of an environment that has another Click to compare versions.
Usage: bench/stages.py [ROUNDS]
"""

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from pairs import PYTHON, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
NAME = f"/shmctl-bench-{os.getpid()}-stages"
PATH = Path("/dev/shm" + NAME)
PEER = "import click, posix_ipc, mmap"
LEAVING = "import gc, os, re, sys; gc.disable(); {}; os._exit(0)"
STAGES = {
    "Python that does nothing": "pass",
    "the start script, and an end as shmctl's": LEAVING.format("pass"),
    "click": LEAVING.format("import click"),
    "the command line: shmctl.cli": LEAVING.format("import shmctl.cli.main"),
    "the calls: shmctl.core.posix": LEAVING.format("import shmctl.cli.main, shmctl.core.posix"),
    "the command: shmctl.commands.read": LEAVING.format("import shmctl.cli.main, shmctl.commands.read"),
}


def timed(argv: Sequence[str]) -> Callable[[], float]:
    return lambda: run(argv).seconds


def main() -> None:
    works = {name: timed([PYTHON, "-c", code]) for name, code in STAGES.items()}
    works["words parsed, the call made"] = timed(shmctl("read", NAME, "--length", "8"))
    works["beside it: click, posix_ipc and mmap imported"] = timed([PYTHON, "-c", PEER])
    print(f"Click {version('click')}, Python {sys.version.split()[0]}")
    before = 0.0
    for name, seconds in take_turns(works, ROUNDS).items():
        taken = statistics.median(seconds) * 1e3
        print(f"{name}: {taken:.1f} ms ({taken - before:+.1f})")
        before = taken


if __name__ == "__main__":
    PATH.write_bytes(bytes(64))
    try:
        main()
    finally:
        PATH.unlink()
