"""Time 'shmctl leaks' with 10,000 objects and 300 holding processes, in a /dev/shm of its own. Needs root.

Bar: 1 s where 'lsof /dev/shm' takes 0.08 s, and in proportion where it takes longer; and no process's
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

from holders import SIZE, Contest, compile_crowd, crowd, shmctl, timed

OBJECTS = 10_000
HOLDERS = 300
ROUNDS = 9
LIMIT = 1.0
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
    text, json = Contest(), Contest()
    with tempfile.TemporaryDirectory() as folder:
        program = compile_crowd(folder)
        with crowd(program, "/dev/shm/x", HOLDERS, each=True):
            for _ in range(ROUNDS):
                seconds, out = timed(shmctl("leaks"))
                found = count_verdicts(out)
                if (found["held"], found["kept"]) != (HOLDERS, OBJECTS - HOLDERS):
                    sys.exit(f"wrong verdicts: {found}")
                text.ours.append(seconds)
                json.ours.append(timed(shmctl("leaks", "--json"))[0])
                for contest in (text, json):
                    contest.theirs.append(timed(lsof)[0])
            processes = looked_into(folder)
    ours = statistics.median(text.ours)
    spread = statistics.median(abs(seconds - ours) for seconds in text.ours)
    holds = ours - spread <= limit
    print(
        f"lsof /dev/shm: {alone:.3f} s without holders, {statistics.median(text.theirs):.3f} s with {HOLDERS}"
    )
    print(
        f"leaks, {OBJECTS:,} objects, {HOLDERS} holding processes: {ours:.3f} ± {spread:.3f} s "
        f"({text.ratio:.2f} of lsof's), limit {limit:.2f} s: {'holds' if holds else 'MISSED'}"
    )
    print(f"leaks --json: {statistics.median(json.ours):.3f} s ({json.ratio:.2f} of lsof's)")
    outcome = "MISSED" if processes else "holds"
    print(f"processes whose descriptors or mappings it looks at: {processes}, bar 0: {outcome}")
    return 0 if holds and not processes else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("it takes root: a mount namespace")
    sys.exit(main() if sys.argv[1:] == ["inside"] else inside_own_shm())
