"""Works timed in turns, so that what slows the machine slows them all: medians, ratios and their noise.

What the benches of this folder have in common. A bench ends with status 1 where a bar is missed by more than
the noise: where all of the ratio's interval lies above it.
"""

import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
"""For the commands: modules come from their compiled files, as in an installation of daily use."""

PYTHON = sys.executable
WARM_UP = 1


def shmctl(*args: str) -> list[str]:
    """The command line of the shmctl that stands beside this Python."""
    script = Path(PYTHON).with_name("shmctl")
    if not script.exists():
        sys.exit(f"{script} is not there: run this with the Python of the environment that has shmctl")
    return [str(script), *args]


@dataclass(frozen=True)
class Run:
    """A process from start to end: how long it took, in seconds, and its greatest resident set, in KiB."""

    seconds: float
    peak: int


def run(argv: Sequence[str], *, stdin: str = "/dev/null", stdout: str = "/dev/null") -> Run:
    """Run a program, its streams being files; it has to succeed.

    Its peak counts from what this process has, and so is a little too high rather than too low.
    """
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    begun = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, ENVIRONMENT, file_actions=streams)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(argv)} ended with status {os.waitstatus_to_exitcode(status)}")
    return Run(seconds, usage.ru_maxrss)


def take_turns(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds that each work says it took, one a round; every other round goes backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(-WARM_UP, rounds):
        for name in list(works) if number % 2 else reversed(works):
            taken = works[name]()
            if number >= 0:
                seconds[name].append(taken)
    return seconds


@dataclass(frozen=True)
class Ratio:
    """How long one work takes for a unit of another: the median over rounds, and where it lies with 95 %."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"

    def holds(self, bar: float) -> bool:
        """Whether ``bar`` is kept, or missed by no more than the noise."""
        return self.low <= bar


def compare(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The ratio of two works that were timed in the same rounds.

    The interval is that of a median by ranks, which holds whatever the noise looks like.
    """
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    reach = 1.96 * math.sqrt(len(ratios)) / 2
    low = max(0, math.floor(len(ratios) / 2 - reach))
    return Ratio(statistics.median(ratios), ratios[low], ratios[-1 - low])


def report(what: str, ratio: Ratio, bar: float | None, *times: tuple[str, Sequence[float]]) -> bool:
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
