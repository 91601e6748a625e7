"""Works timed in turns, so that what slows the machine slows them all: medians, ratios and their noise.

What the benches of this folder have in common. A bench ends with status 1 where a bar is missed by more than
the noise: where all of the ratio's interval lies above it.
"""

import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
"""For the commands: modules come from their compiled files, as in an installation of daily use."""

PYTHON = sys.executable
WARM_UP = 1


# So that a bench that runs out of time cleans up behind itself, too.
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def shmctl(*args: str) -> list[str]:
    """The command line of the shmctl that stands beside this Python."""
    script = Path(PYTHON).with_name("shmctl")
    if not script.exists():
        sys.exit(f"{script} is not there: run this with the Python of the environment that has shmctl")
    return [str(script), *args]


def floor_of(work: str) -> list[str]:
    """What the work costs Python itself: see floors.py."""
    return [PYTHON, str(Path(__file__).with_name("floors.py")), work]


@dataclass(frozen=True)
class Run:
    """Processes from start to end: the seconds they took, and the greatest resident set of one, in KiB."""

    seconds: float
    peak: int


def run(
    *pipeline: Sequence[str],
    stdin: str = "/dev/null",
    stdout: str = "/dev/null",
    variables: Mapping[str, str] | None = None,
) -> Run:
    """Run programs, the output of each being the input of the next; all have to succeed.

    One whose reader has left may end by SIGPIPE. ``variables`` come to their environment.

    A peak counts from what this process has, and so is a little too high rather than too low.
    """
    environment = {**ENVIRONMENT, **(variables or {})}
    begun = time.perf_counter()
    source = os.open(stdin, os.O_RDONLY)
    pids = []
    for argv in pipeline[:-1]:
        following, sink = os.pipe()
        pids.append(_spawn(argv, environment, source, sink))
        source = following
    sink = os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    pids.append(_spawn(pipeline[-1], environment, source, sink))
    ends = [os.wait4(pid, 0) for pid in pids]
    seconds = time.perf_counter() - begun
    for argv, (_, status, _) in zip(pipeline, ends, strict=True):
        if status and (argv is pipeline[-1] or status != signal.SIGPIPE):
            sys.exit(f"{' '.join(argv)} ended with status {os.waitstatus_to_exitcode(status)}")
    return Run(seconds, max(usage.ru_maxrss for _, _, usage in ends))


def _spawn(argv: Sequence[str], environment: Mapping[str, str], source: int, sink: int) -> int:
    """Start a program with these streams, which are its own from now on."""
    streams = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, sink, 1)]
    # Python ignores SIGPIPE, and what it starts would, too.
    pid = os.posix_spawnp(argv[0], list(argv), environment, file_actions=streams, setsigdef=[signal.SIGPIPE])
    os.close(source)
    os.close(sink)
    return pid


def timed(argv: Sequence[str]) -> tuple[float, bytes]:
    """The seconds that a program takes from start to end, and its output."""
    begun = time.perf_counter()
    done = subprocess.run(argv, check=False, env=ENVIRONMENT, stdout=PIPE, stderr=DEVNULL)
    return time.perf_counter() - begun, done.stdout


def take_turns(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds that each work says it took, one a round; every other round goes backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-WARM_UP, rounds):
        for name in works if number % 2 else reversed(list(works)):
            taken = works[name]()
            if number >= 0:
                seconds[name].append(taken)
    return seconds


@dataclass(frozen=True)
class Median:
    """What is measured once a round: the median, and between which limits it lies with 95 %."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"

    def holds(self, bar: float) -> bool:
        """Whether ``bar`` is kept, or missed by no more than the noise."""
        return self.low <= bar


def median(measured: Iterable[float]) -> Median:
    """The median with its limits, by ranks: so they are right whatever the noise looks like."""
    ranked = sorted(measured)
    low = max(0, math.floor((len(ranked) - 1.96 * math.sqrt(len(ranked))) / 2))
    return Median(statistics.median(ranked), ranked[low], ranked[-1 - low])


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Median:
    """How long one work takes for a unit of another that was timed in the same rounds."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def report(what: str, ratio: Median, bar: float | None, *times: tuple[str, Sequence[float]]) -> bool:
    """Print a line: each work's median, and the ratio of the first to the second; whether the bar holds."""
    holds = bar is None or ratio.holds(bar)
    outcome = "" if bar is None else f", bar {bar}: {'holds' if holds else 'MISSED'}"
    medians = ", ".join(f"{name} {in_words(statistics.median(seconds))}" for name, seconds in times)
    print(f"{what}: {medians}, ratio {ratio}{outcome}", flush=True)
    return holds


def in_words(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.1 else f"{seconds:.3f} s"
