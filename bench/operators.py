"""Time what an operator runs where there is much: leaks, gc, df, ls, metrics --all.

Bars: leaks of 10,000 objects 0.3 s, and of 100,000 ten times that; ls and leaks of 200,000 objects 150 MiB;
leaks, gc and df of 10,000 objects beside 300 processes that hold some, each with 200 descriptors, 0.5 s, and
no look at any process's descriptors or mappings, for the kernel answers; metrics --all with
100 containers' /dev/shm of 100 objects 1.5 s. Ends with status 1 if one is missed by more than the noise.
Everything is in a /dev/shm and a PID namespace of its own. Needs root, lsof, gcc and strace.
Usage: bench/operators.py [ROUNDS]
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from holders import SIZE, compile_crowd, crowd
from pairs import compare, floor_of, median, report, run, shmctl, take_turns, timed

FEW, MANY, MOST = 10_000, 100_000, 200_000
HOLDERS, DESCRIPTORS = 300, 200
CONTAINERS, IN_EACH = 100, 100
PEAK_BAR = 150 * 1024
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 9

LOOKED_INTO = re.compile(r'"/proc/([0-9]+)/(?:fd|maps|map_files)')
CONTAINER = f"""
mount -t tmpfs tmpfs /dev/shm
i=0; while [ $i -lt {IN_EACH} ]; do echo x > /dev/shm/object-$i; i=$((i+1)); done
echo ready
read end
"""


def inside_own_namespaces() -> int:
    """Run this again where /dev/shm is a fresh tmpfs; its status."""
    script = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
    argv = ["unshare", "-m", "-p", "-f", "--mount-proc", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    return subprocess.run(argv, env={**os.environ, "SHMCTL_BENCH": "inside"}, check=False).returncode


def fill(first: int, last: int) -> None:
    """Objects of a page each."""
    for number in range(first, last):
        Path(f"/dev/shm/x{number}").write_bytes(bytes(SIZE))


def shows(lines: int, *words: str) -> Callable[[], float]:
    """The seconds of a command that has to write at least so many lines."""

    def work() -> float:
        seconds, out = timed(shmctl(*words))
        found = out.count(b"\n")
        if found < lines:
            sys.exit(f"shmctl {' '.join(words)} wrote {found} lines, not {lines}")
        return seconds

    return work


def within(what: str, work: Callable[[], float], bar: float) -> bool:
    """Time it, and print the median; whether it holds the bar, in seconds."""
    seconds = median(take_turns({what: work}, ROUNDS)[what])
    holds = seconds.holds(bar)
    print(f"{what}: {seconds} s, bar {bar} s: {'holds' if holds else 'MISSED'}", flush=True)
    return holds


def lean(command: str) -> bool:
    """Whether a command that shows each object keeps the bar of memory."""
    peak = run(shmctl(command)).peak
    holds = peak <= PEAK_BAR
    outcome = "holds" if holds else "MISSED"
    print(f"{command} of {MOST:,} objects: peak {peak / 1024:.0f} MiB, bar {PEAK_BAR // 1024}: {outcome}")
    return holds


def looks_into_nobody(command: str) -> bool:
    """Whether a command leaves every process's descriptors and mappings alone."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "strace"
        trace = ["strace", "-f", "-o", str(log), "-e", "trace=open,openat,readlink,readlinkat"]
        subprocess.run([*trace, *shmctl(command)], stdout=subprocess.DEVNULL, check=True)
        found = len(set(LOOKED_INTO.findall(log.read_text())))
    print(f"processes that {command} looks into: {found}, bar 0: {'MISSED' if found else 'holds'}")
    return not found


@contextmanager
def containers() -> Iterator[None]:
    """While the body runs, so do processes in mount namespaces with a /dev/shm of their own."""
    with ExitStack() as running:
        for _ in range(CONTAINERS):
            argv = ["unshare", "-m", "sh", "-c", CONTAINER]
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            running.enter_context(process)
            assert process.stdin
            running.callback(process.stdin.close)
            assert process.stdout
            if process.stdout.readline() != b"ready\n":
                sys.exit("a container could not be made")
        yield


def beside_holders() -> list[bool]:
    """The works with holding processes."""
    with tempfile.TemporaryDirectory() as folder:
        program = compile_crowd(folder)
        with crowd(program, "/dev/shm/x", HOLDERS, descriptors=DESCRIPTORS, each=True):
            turns = take_turns(
                {"leaks": shows(FEW, "leaks"), "lsof": lambda: timed(["lsof", "/dev/shm"])[0]}, ROUNDS
            )
            report("leaks beside lsof", compare(turns["leaks"], turns["lsof"]), None, *turns.items())
            around = f" of {FEW:,} objects, {HOLDERS} processes of {DESCRIPTORS} descriptors"
            with tempfile.TemporaryFile(dir="/dev/shm"):
                turns = take_turns(
                    {"df": shows(5, "df"), "floor": lambda: timed(floor_of("links"))[0]}, ROUNDS
                )
            what = f"df{around}, and one without a name, beside where the descriptors lead"
            report(what, compare(*turns.values()), None, *turns.items())
            return [
                within(f"leaks{around}", shows(FEW, "leaks"), 0.5),
                within(f"gc{around}", shows(0, "gc"), 0.5),
                within(f"df{around}", shows(5, "df"), 0.5),
                *map(looks_into_nobody, ("leaks", "gc", "df")),
            ]


def main() -> int:
    """All bars; 1 if one is missed."""
    with containers():
        lines = CONTAINERS
        held = [within(f"metrics --all, {CONTAINERS} containers", shows(lines, "metrics", "--all"), 1.5)]
    fill(0, FEW)
    few = shows(FEW, "leaks")
    turns = take_turns({"leaks": few, "floor": lambda: timed(floor_of("leases"))[0]}, ROUNDS)
    report(f"leaks of {FEW:,} objects beside its floor", compare(*turns.values()), None, *turns.items())
    held += [within(f"leaks of {FEW:,} objects", few, 0.3), *beside_holders()]
    alone = take_turns({"few": few}, ROUNDS)["few"]
    fill(FEW, MANY)
    many = take_turns({"many": shows(MANY, "leaks")}, ROUNDS)["many"]
    ratio = compare(many, alone)
    held.append(report(f"leaks of {MANY:,} objects", ratio, 10, ("it", many), (f"{FEW:,}", alone)))
    fill(MANY, MOST)
    held += [lean("ls"), lean("leaks")]
    return 0 if all(held) else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("it takes root: namespaces")
    sys.exit(main() if os.environ.get("SHMCTL_BENCH") == "inside" else inside_own_namespaces())
