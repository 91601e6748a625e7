"""Time 'shmctl leaks' with 10,000 objects and 300 holding processes, in a /dev/shm of its own. Needs root.

Bar: 0.5 s where 'lsof /dev/shm' takes 0.08 s, and in proportion where it takes longer; and no process's
descriptors or mappings are looked at, for the kernel answers. Ends with status 1 if that does not hold.
Needs lsof, gcc and strace.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from holders import SIZE, compile_crowd, crowd
from pairs import compare, median, report, shmctl, take_turns, timed

OBJECTS = 10_000
HOLDERS = 300
ROUNDS = 9
LIMIT = 0.5
REFERENCE = 0.08
"""Seconds that 'lsof /dev/shm' takes on the machine that the limit was set for."""

LOOKED_INTO = re.compile(r'"/proc/([0-9]+)/(?:fd|maps|map_files)')


def inside_own_shm() -> int:
    """Run this again where /dev/shm is a fresh tmpfs; its status."""
    script = 'mount -t tmpfs -o size=256m tmpfs /dev/shm && exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, __file__, "inside"]
    return subprocess.run(argv, check=False).returncode


def count_verdicts(out: bytes) -> dict[str, int]:
    """The totals at the end of what leaks prints."""
    rows = [line.split() for line in out.decode().splitlines()[-4:]]
    return {row[0]: int(row[1]) for row in rows}


def leaks() -> float:
    """The seconds that 'shmctl leaks' takes, which has to come to the right verdicts."""
    seconds, out = timed(shmctl("leaks"))
    found = count_verdicts(out)
    if (found["held"], found["kept"]) != (HOLDERS, OBJECTS - HOLDERS):
        sys.exit(f"wrong verdicts: {found}")
    return seconds


def looked_into(folder: str) -> int:
    """How many processes' descriptors or mappings 'shmctl leaks' looks at."""
    log = Path(folder) / "strace"
    trace = ["strace", "-f", "-o", str(log), "-e", "trace=open,openat,readlink,readlinkat"]
    subprocess.run([*trace, *shmctl("leaks")], stdout=subprocess.DEVNULL, check=True)
    return len(set(LOOKED_INTO.findall(log.read_text())))


def main() -> int:
    """Prints the medians; 1 if the bar is missed."""
    for number in range(OBJECTS):
        Path(f"/dev/shm/x{number}").write_bytes(bytes(SIZE))
    lsof = ["lsof", "/dev/shm"]
    alone = statistics.median(timed(lsof)[0] for _ in range(ROUNDS))
    limit = LIMIT * max(1.0, alone / REFERENCE)
    with tempfile.TemporaryDirectory() as folder:
        program = compile_crowd(folder)
        with crowd(program, "/dev/shm/x", HOLDERS, each=True):
            ways = {"leaks": leaks, "leaks --json": lambda: timed(shmctl("leaks", "--json"))[0]}
            turns = take_turns({**ways, "lsof": lambda: timed(lsof)[0]}, ROUNDS)
            processes = looked_into(folder)
    ours = median(turns["leaks"])
    holds = ours.holds(limit)
    print(
        f"leaks, {OBJECTS:,} objects, {HOLDERS} holding processes: {ours} s, limit {limit:.2f} s (lsof with"
        f"out holders: {alone:.3f} s): {'holds' if holds else 'MISSED'}"
    )
    for way in ways:
        report(way, compare(turns[way], turns["lsof"]), None, (way, turns[way]), ("lsof", turns["lsof"]))
    outcome = "MISSED" if processes else "holds"
    print(f"processes whose descriptors or mappings it looks at: {processes}, bar 0: {outcome}")
    return 0 if holds and not processes else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("it takes root: a mount namespace")
    sys.exit(main() if sys.argv[1:] == ["inside"] else inside_own_shm())
