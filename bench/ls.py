"""Time 'shmctl ls' with 10,000 and 100,000 objects, in a /dev/shm of its own. Needs root.

Bars: in a pipe 1.85 of the time of 'ls -l /dev/shm', 2.3 with --json; on a terminal of 120 columns, in
colour, 4 of what it takes in a pipe; with 100,000 objects 12 of what it takes with 10,000; and there 1.15 of
that for sorting, filters and patterns. Ends with status 1 if one is missed by more than the noise.
Usage: bench/ls.py [ROUNDS [WORK]], such as bench/ls.py 21 sort for the works whose names have that in them.
"""

import fcntl
import os
import random
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pairs import ENVIRONMENT, compare, floor_of, report, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 11
WANTED = sys.argv[2] if len(sys.argv) > 2 else ""
FEW, MANY = 10_000, 100_000
DAYS = 30
SHM = "/dev/shm"
OPTIONS = {
    "--sort size": ["--sort", "size"],
    "--sort modified -r": ["--sort", "modified", "-r"],
    "--older, --larger, --owner": ["--older", "1s", "--larger", "0", "--owner", "0"],
    "a pattern": ["object*"],
    "three patterns": ["nothing*", "object-*[02468]", "object-*[13579]"],
}
"""Each of these selects all objects, so that as many lines are written as without."""


def inside_own_mounts() -> int:
    """Run this again in a mount namespace of its own; its status."""
    argv = ["unshare", "-m", "env", "SHMCTL_BENCH=inside", sys.executable, *sys.argv]
    return subprocess.run(argv, check=False).returncode


def fill(folder: str, count: int) -> None:
    """A file system of so many small objects, modified at any time of the last days."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,nr_inodes=0", "tmpfs", folder], check=True)
    now, numbers = time.time(), random.Random(count)
    for number in range(count):
        path = Path(folder, f"object-{number}")
        path.write_bytes(b"x" * numbers.randrange(1, 5000))
        moment = now - numbers.uniform(2, DAYS * 86400)
        os.utime(path, (moment, moment))


def show(folder: str) -> None:
    """Make ``folder`` the /dev/shm."""
    subprocess.run(["mount", "--bind", folder, SHM], check=True)


def hide() -> None:
    subprocess.run(["umount", "--lazy", SHM], check=True)


def in_pipe(argv: Sequence[str], lines: int) -> float:
    """Seconds until a process has ended and all that it wrote has been read: so many lines."""
    begun = time.perf_counter()
    done = subprocess.run(argv, env=ENVIRONMENT, stdout=subprocess.PIPE, check=True)
    seconds = time.perf_counter() - begun
    check_lines(argv, done.stdout, lines)
    return seconds


def on_terminal(argv: Sequence[str], lines: int) -> float:
    """The same on a terminal of 120 columns, without a pager."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    shown = []
    environment = {**ENVIRONMENT, "TERM": "xterm-256color", "PAGER": "cat"}
    begun = time.perf_counter()
    with subprocess.Popen(argv, env=environment, stdin=slave, stdout=slave):
        os.close(slave)
        with suppress(OSError):  # EIO: the last process has closed the terminal
            while data := os.read(master, 1 << 16):
                shown.append(data)
    seconds = time.perf_counter() - begun
    os.close(master)
    check_lines(argv, b"".join(shown), lines)
    return seconds


def check_lines(argv: Sequence[str], out: bytes, lines: int) -> None:
    found = out.count(b"\n")
    if found != lines:
        sys.exit(f"{' '.join(argv)} wrote {found} lines instead of {lines}")


Work = Callable[[], float]


def listing(*options: str, objects: int = FEW, around: int = 1) -> Work:
    """Our listing, in a pipe, with so many lines beside those of the objects."""
    return lambda: in_pipe(shmctl("ls", *options), objects + around)


def floor(form: str) -> Work:
    return lambda: in_pipe(floor_of(form), FEW)


def gnu_ls(objects: int = FEW) -> Work:
    return lambda: in_pipe(["ls", "-l", SHM], objects + 1)


def race(what: str, ours: Work, other: str, theirs: Work, bar: float | None) -> bool:
    """Time both in turns, if that is wanted, and print the outcome; whether the bar holds."""
    if WANTED not in what:
        return True
    turns = take_turns({"ours": ours, "theirs": theirs}, ROUNDS)
    ratio = compare(turns["ours"], turns["theirs"])
    return report(what, ratio, bar, ("it", turns["ours"]), (other, turns["theirs"]))


def in_another(folder: str, back: str, work: Work) -> Work:
    """``work`` with another /dev/shm, then back; the switching does not count."""

    def switched() -> float:
        hide()
        show(folder)
        try:
            return work()
        finally:
            hide()
            show(back)

    return switched


def main(few: str, many: str) -> int:
    """All bars; 1 if one is missed."""
    fill(few, FEW)
    fill(many, MANY)
    show(few)
    held = [
        race(f"ls, {FEW:,} objects, pipe", listing(), "ls -l", gnu_ls(), 1.85),
        race(f"ls --json, {FEW:,} objects", listing("--json", around=2), "ls -l", gnu_ls(), 2.3),
        race(
            f"ls, {FEW:,} objects, coloured, on a terminal of 120 columns",
            lambda: on_terminal(shmctl("ls"), FEW + 2),
            "in a pipe",
            listing(),
            4,
        ),
    ]
    for form in ("listing", "json"):
        race(f"floor of {FEW:,} objects, {form}", floor(form), "ls -l", gnu_ls(), None)
    larger = in_another(many, few, listing(objects=MANY))
    held.append(race(f"ls, {MANY:,} objects, pipe", larger, f"{FEW:,}", listing(), 12))
    hide()
    show(many)
    race(f"ls, {MANY:,} objects, pipe", listing(objects=MANY), "ls -l", gnu_ls(MANY), None)
    for what, options in OPTIONS.items():
        ours = listing(*options, objects=MANY)
        held.append(race(f"ls, {MANY:,} objects, {what}", ours, "without", listing(objects=MANY), 1.15))
    return 0 if all(held) else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("it takes root: a mount namespace")
    if os.environ.get("SHMCTL_BENCH") != "inside":
        sys.exit(inside_own_mounts())
    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        try:
            status = main(few, many)
        finally:
            for folder in (few, many):
                subprocess.run(["umount", "--lazy", folder], check=False)
    sys.exit(status)
