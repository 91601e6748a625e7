"""How time and memory of the commands that look at all of /dev/shm grow with its objects and with processes.

Draws docs/growth.svg, or the file given, and prints what it draws. Bar: ten times the objects, or ten times
the processes, take at most twelve times as long; nothing grows faster than its work. Everything is in a
/dev/shm and a PID namespace of its own. Needs root and gcc; takes some minutes. Usage: bench/growth.py [FILE]
"""

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from holders import SIZE, compile_crowd, crowd
from pairs import ENVIRONMENT, in_words, shmctl

ROUNDS = 3
MOST = 12
OBJECTS = (100, 1_000, 10_000, 100_000)
PROCESSES = (10, 100, 1_000)
FEW_PROCESSES = 10
SOME_OBJECTS = 1_000
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "ls": ("ls",),
    "leaks": ("leaks",),
    "df": ("df",),
    "gc": ("gc",),
    "holders": ("holders",),
    # Its start alone, which is when it looks at what is there. The status is that of a timeout.
    "events": ("events", "--timeout", "0"),
}


class Cost(NamedTuple):
    """What a whole process takes: seconds, and the greatest resident set in MiB."""

    seconds: float
    memory: float


Curves = dict[str, list[Cost]]
"""For each command what it costs, one for each number of objects or processes."""


def cost(argv: list[str]) -> Cost:
    """Run it to its end."""
    begun = time.perf_counter()
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    pid = os.posix_spawn(argv[0], argv, ENVIRONMENT, file_actions=null)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - begun
    if os.waitstatus_to_exitcode(status) not in (0, 124):
        sys.exit(f"{' '.join(argv)} ended with status {os.waitstatus_to_exitcode(status)}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def add_costs(curves: Curves) -> None:
    """Measure each command in turn, and append the medians."""
    rounds = [{name: cost(shmctl(*words)) for name, words in COMMANDS.items()} for _ in range(ROUNDS)]
    for name in COMMANDS:
        measured = zip(*(each[name] for each in rounds), strict=True)
        curves.setdefault(name, []).append(Cost(*map(statistics.median, measured)))


def measure() -> tuple[Curves, Curves]:
    """The curves over objects, and those over processes."""
    by_objects: Curves = {}
    by_processes: Curves = {}
    made = 0
    with tempfile.TemporaryDirectory() as folder:
        program = compile_crowd(folder)
        for count in OBJECTS:
            for number in range(made, count):
                with open(f"/dev/shm/x{number}", "xb") as file:
                    file.truncate(SIZE)
            made = count
            with crowd(program, "/dev/shm/x", FEW_PROCESSES, each=True):
                add_costs(by_objects)
            if count == SOME_OBJECTS:
                for processes in PROCESSES:
                    with crowd(program, "/dev/shm/x", processes, each=True):
                        add_costs(by_processes)
    return by_objects, by_processes


def report(what: str, counts: Sequence[int], curves: Curves) -> bool:
    """Print the costs; whether no last step, ten times the work, takes more than MOST times as long."""
    print(f"{'':8}" + "".join(f"{count:>20,}" for count in counts), what)
    held = True
    for name, costs in curves.items():
        growth = costs[-1].seconds / costs[-2].seconds
        held &= growth <= MOST
        cells = "".join(f"{in_words(each.seconds):>11}, {each.memory:3.0f} MiB" for each in costs)
        print(f"{name:8}{cells}  x {growth:.1f}{'' if growth <= MOST else ' MISSED'}", flush=True)
    return held


# -- the picture: two diagrams of time above two of memory, with logarithmic axes

COLORS = dict(zip(COMMANDS, ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#444444"), strict=True))
WIDTH, HEIGHT = 330, 230
LEFT, TOP = 76, 44
"""The upper left corner of the first diagram, and the room for the labels of each."""


class Axis(NamedTuple):
    """Numbers from ``low`` to ``high``, drawn from ``start`` over ``length`` pixels."""

    low: float
    high: float
    start: float
    length: float

    def at(self, value: float) -> float:
        """Where the number is drawn."""
        return self.start + self.length * math.log(value / self.low) / math.log(self.high / self.low)

    def decades(self) -> Iterable[float]:
        """The powers of ten on it."""
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return [10.0**power for power in range(first, last + 1)]


def text(x: float, y: float, words: str, anchor: str = "middle", color: str = "#333333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{words}</text>'


def line(color: str, *points: tuple[float, float]) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    width = 2 if color in COLORS.values() else 1
    return f'<polyline points="{joined}" fill="none" stroke="{color}" stroke-width="{width}"/>'


def diagram(
    title: str, unit: str, across: Axis, up: Axis, curves: Mapping[str, Sequence[float]]
) -> list[str]:
    """One diagram; the numbers of the last step across are those of the curves' last points."""
    drawn = [text(across.start, up.start + up.length - 8, title, "start")]
    for decade in across.decades():
        drawn.append(
            line("#dddddd", (across.at(decade), up.start), (across.at(decade), up.start + up.length))
        )
        drawn.append(text(across.at(decade), up.start + 16, f"{decade:,.0f}"))
    for decade in up.decades():
        drawn.append(
            line("#dddddd", (across.start, up.at(decade)), (across.start + across.length, up.at(decade)))
        )
        drawn.append(text(across.start - 6, up.at(decade) + 4, f"{decade:g} {unit}", "end"))
    counts = list(across.decades())
    for name, values in curves.items():
        points = [(across.at(count), up.at(value)) for count, value in zip(counts, values, strict=True)]
        drawn.append(line(COLORS[name], *points))
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLORS[name]}"/>' for x, y in points]
    return drawn


def picture(by_objects: Curves, by_processes: Curves) -> str:
    """All of it as SVG."""
    drawn = []
    columns: list[tuple[str, Sequence[int], Curves]] = [
        (f"objects, {FEW_PROCESSES} processes", OBJECTS, by_objects),
        (f"processes, {SOME_OBJECTS:,} objects", PROCESSES, by_processes),
    ]
    rows = [("time", "s", 0, (0.02, 20.0)), ("memory", "MiB", 1, (10.0, 1000.0))]
    for row, (what, unit, part, (low, high)) in enumerate(rows):
        bottom = TOP + HEIGHT + row * (HEIGHT + 2 * TOP)
        up = Axis(low, high, bottom, -HEIGHT)
        for column, (over, counts, curves) in enumerate(columns):
            across = Axis(counts[0], counts[-1], LEFT + column * (WIDTH + LEFT), WIDTH)
            values = {name: [each[part] for each in costs] for name, costs in curves.items()}
            drawn += diagram(f"{what} by {over}", unit, across, up, values)
    for number, (name, color) in enumerate(COLORS.items()):
        drawn.append(text(LEFT + number * 80, 18, name, "start", color))
    width, height = 2 * (WIDTH + LEFT) + 40, 2 * (HEIGHT + 2 * TOP)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    background = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'{head} font-size="12">', background, *drawn, "</svg>"]) + "\n"


def main(file: str) -> int:
    """Measure, print and draw; 1 if a bar is missed."""
    by_objects, by_processes = measure()
    held = report(f"objects, {FEW_PROCESSES} processes", OBJECTS, by_objects)
    held &= report(f"processes, {SOME_OBJECTS:,} objects", PROCESSES, by_processes)
    Path(file).write_text(picture(by_objects, by_processes))
    return 0 if held else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("it takes root: namespaces")
    if sys.argv[1:2] == ["inside"]:
        sys.exit(main(sys.argv[2]))
    picture_file = (
        sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent.with_name("docs") / "growth.svg")
    )
    script = 'mount -t tmpfs -o size=256m tmpfs /dev/shm && exec "$@"'
    unshare = ["unshare", "-m", "-p", "-f", "--mount-proc", "sh", "-c", script, "sh"]
    sys.exit(
        subprocess.run([*unshare, sys.executable, __file__, "inside", picture_file], check=False).returncode
    )
