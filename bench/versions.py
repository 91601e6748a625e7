"""Time this shmctl beside another version of it: what every day's commands take, in turns.

Bar: no work takes longer than it does there. Ends with status 1 if one is missed by more than the noise.
Everything is in a /dev/shm of its own. Needs root and gcc.
Usage: bench/versions.py /path/to/the/other/bin/shmctl [ROUNDS]
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from holders import compile_crowd, crowd
from pairs import compare, report, run, shmctl, take_turns

OBJECTS, HOLDERS = 10_000, 300
SMALL = {
    "write of 8 bytes": ["write", "/x0", "12345678"],
    "read of 8 bytes": ["read", "/x0", "--length", "8"],
    "read --type int64": ["read", "/x0", "--type", "int64"],
    "stat --json": ["stat", "/x0", "--json"],
    "--help": ["--help"],
}
LARGE = {
    f"ls of {OBJECTS:,} objects": ["ls"],
    f"ls --json of {OBJECTS:,} objects": ["ls", "--json"],
    f"leaks of {OBJECTS:,} objects": ["leaks"],
    f"df of {OBJECTS:,} objects": ["df"],
    f"gc of {OBJECTS:,} objects": ["gc"],
}
HELD = {f"holders of {HOLDERS}": ["holders", "/x0"]}


def inside_own_mounts() -> int:
    """Run this again where /dev/shm is a fresh tmpfs; its status."""
    script = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    return subprocess.run(argv, env={**os.environ, "SHMCTL_BENCH": "inside"}, check=False).returncode


def seconds(argv: Sequence[str]) -> float:
    return run(argv).seconds


def race(other: str, works: dict[str, list[str]], rounds: int) -> list[bool]:
    """Each work with both versions in turns; whether the bar holds."""
    held = []
    for what, words in works.items():
        ways: dict[str, Callable[[], float]] = {
            "this": partial(seconds, shmctl(*words)),
            "the other": partial(seconds, [other, *words]),
        }
        turns = take_turns(ways, rounds)
        held.append(report(what, compare(turns["this"], turns["the other"]), 1, *turns.items()))
    return held


def main(other: str, rounds: int) -> int:
    """All works; 1 if the bar is missed."""
    Path("/dev/shm/x0").write_bytes(bytes(4096))
    held = race(other, SMALL, 3 * rounds)
    with tempfile.TemporaryDirectory() as folder:
        program = compile_crowd(folder)
        with crowd(program, "/dev/shm/x0", HOLDERS):
            held += race(other, HELD, 2 * rounds)
    for number in range(1, OBJECTS):
        Path(f"/dev/shm/x{number}").write_bytes(bytes(number))
    held += race(other, LARGE, rounds)
    return 0 if all(held) else 1


if __name__ == "__main__":
    if len(sys.argv) < 2 or os.geteuid() != 0:
        sys.exit("it takes root, and the command of another version: bench/versions.py PATH [ROUNDS]")
    if os.environ.get("SHMCTL_BENCH") != "inside":
        sys.exit(inside_own_mounts())
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 11))
