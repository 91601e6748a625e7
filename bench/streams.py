"""Bulk copies, a gibibyte of data each: shmctl beside cp, dd and cat, whole processes in turns.

Bars, of the fastest peer's time: 1.1 into an object, from a file and from a pipe, and out of it into a file;
0.8 out of it into a pipe; 1.3 into an object that another process has created with that size; 1.2 of
cp --sparse=always for a file with 90 % holes, with the same blocks in the end. And 40 MiB of memory for each.
Ends with status 1 if one is missed by more than the noise. Takes 4 GiB of memory.
Usage: bench/streams.py [ROUNDS [MIB [WORK]]]; WORK is a part of the names of the works to do.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pairs import Run, compare, report, run, shmctl, take_turns

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 9
MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 1024
ONLY = sys.argv[3] if len(sys.argv) > 3 else ""
PEAK_BAR = 40 * 1024
DATA_IN = 10  # one mebibyte of so many is data in a sparse file
NAME = f"/shmctl-bench-{os.getpid()}-stream"
OBJECT = "/dev/shm" + NAME
COPY = OBJECT + "-copy"
SPARSE = OBJECT + "-sparse"


@dataclass(frozen=True)
class Copy:
    """One work: how shmctl does it, how its peers do, where the bytes arrive, and its bar."""

    ours: Callable[[], Run]
    peers: dict[str, Callable[[], Run]]
    target: str | None
    bar: float
    fresh: bool = True
    source: str | None = None  # where it is not the dense file; the target is to have as many blocks

    def timed(self, way: Callable[[], Run], peaks: list[int] | None = None) -> float:
        """The seconds of one way to do it; a fresh target is removed before, and that is not counted."""
        if self.target and self.fresh:
            Path(self.target).unlink(missing_ok=True)
        done = way()
        if peaks is not None:
            peaks.append(done.peak)
        return done.seconds


def copies(file: str, sparse: str) -> dict[str, Copy]:
    """The works, with ``file`` for a source, or ``sparse``."""
    dd = ["dd", f"if={file}", f"of={OBJECT}", "bs=256k", "status=none"]
    write, read, sparsely = shmctl("write", NAME), shmctl("read", NAME), ["cp", "--sparse=always"]
    return {
        "file to fresh object": Copy(
            lambda: run([*write, "--create", "-i", file]),
            {"cp": lambda: run(["cp", file, OBJECT]), "dd": lambda: run(dd)},
            OBJECT,
            1.1,
        ),
        "file to allocated object": Copy(
            lambda: run([*write, "-i", file]),
            {"dd": lambda: run([*dd, "conv=notrunc"])},
            OBJECT,
            1.1,
            fresh=False,
        ),
        "pipe to fresh object": Copy(
            lambda: run(["cat", file], [*write, "--create"]),
            {"cat": lambda: run(["cat", file], ["cat"], stdout=OBJECT)},
            OBJECT,
            1.1,
        ),
        "object to pipe": Copy(
            lambda: run(read, ["cat"]), {"cat": lambda: run(["cat", OBJECT], ["cat"])}, None, 0.8
        ),
        "object to file on /dev/shm": Copy(
            lambda: run(read, stdout=COPY), {"cp": lambda: run(["cp", OBJECT, COPY])}, COPY, 1.1
        ),
        "file to object of that size": Copy(
            lambda: in_turn(run(shmctl("create", NAME, "-s", f"{MIB}M")), run([*write, "-i", file])),
            {"cp": lambda: run(["cp", file, OBJECT])},
            OBJECT,
            1.3,
        ),
        "sparse file to fresh object": Copy(
            lambda: run([*write, "--create", "-i", sparse]),
            {"cp --sparse=always": lambda: run([*sparsely, sparse, OBJECT])},
            OBJECT,
            1.2,
            source=sparse,
        ),
        "sparse object to file on /dev/shm": Copy(
            lambda: run(read, stdout=COPY),
            {"cp --sparse=always": lambda: run([*sparsely, OBJECT, COPY])},
            COPY,
            1.2,
            source=sparse,
        ),
    }


def in_turn(first: Run, second: Run) -> Run:
    """Two processes, one after the other, as one work."""
    return Run(first.seconds + second.seconds, max(first.peak, second.peak))


def measure(what: str, copy: Copy, file: str) -> bool:
    """Do one work in turns and print how it went; whether its bars hold."""
    peaks: list[int] = []
    ways = {"shmctl": lambda: copy.timed(copy.ours, peaks)}
    ways |= {name: partial(copy.timed, way) for name, way in copy.peers.items()}
    turns = take_turns(ways, ROUNDS)
    if copy.target:
        copy.timed(copy.ours)
        source = copy.source or file
        if subprocess.run(["cmp", source, copy.target], check=False).returncode:
            sys.exit(f"{what}: the copy differs")
        if copy.source and Path(copy.target).stat().st_blocks != Path(source).stat().st_blocks:
            sys.exit(f"{what}: the copy has other blocks")
    fastest = min(copy.peers, key=lambda name: statistics.median(turns[name]))
    held = report(what, compare(turns["shmctl"], turns[fastest]), copy.bar, *turns.items())
    lean = max(peaks) <= PEAK_BAR
    outcome = "holds" if lean else "MISSED"
    print(
        f"{' ' * len(what)}  peak {max(peaks) / 1024:.1f} MiB, bar {PEAK_BAR // 1024}: {outcome}", flush=True
    )
    return held and lean


def fill(path: str) -> None:
    block = bytearray(os.urandom(1 << 20))
    with open(path, "wb") as out:
        for number in range(MIB):
            block[:8] = number.to_bytes(8, "little")
            out.write(block)
        os.fsync(out.fileno())


def fill_sparsely(path: str) -> None:
    block = os.urandom(1 << 20)
    with open(path, "wb") as out:
        for number in range(MIB):
            out.seek(number * DATA_IN << 20)
            out.write(block)
        out.truncate(MIB * DATA_IN << 20)


def main() -> int:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, open(SPARSE, "wb"):
        file = f"{folder}/source"
        fill(file)
        fill_sparsely(SPARSE)
        works = {what: copy for what, copy in copies(file, SPARSE).items() if ONLY in what}
        held = [measure(what, copy, file) for what, copy in works.items()]
    return 0 if all(held) else 1


if __name__ == "__main__":
    try:
        status = main()
    finally:
        for path in (OBJECT, COPY, SPARSE):
            Path(path).unlink(missing_ok=True)
    sys.exit(status)
