"""What fills a /dev/shm: rows that add up, and a bar on a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from shmctl.core.inspect.usage import Mounted, Usage
from shmctl.core.names import escape
from shmctl.render.columns import write_table
from shmctl.render.holders import unlinked_record
from shmctl.render.output import Cell, Heading, Output

_PART_STYLES = {
    "shm": "green",
    "semaphore": "magenta",
    "unlinked": "red",
    "unexplained": "yellow",
    "free": "dim",
}


def filling_record(where: Mounted, filling: Usage, by_verdict: Mapping[str, int]) -> dict[str, Any]:
    """A /dev/shm by the keys that scripts rely on; all sizes in bytes."""
    return {
        "path": filling.path.decode("utf-8", "replace"),
        "pid": where.pid,
        "container": where.container,
        "capacity": filling.capacity,
        "used": filling.used,
        "free": filling.free,
        "inodes": filling.inodes,
        "inodes_used": filling.inodes_used,
        "by_kind": dict(filling.by_kind),
        "by_owner": dict(filling.by_owner),
        "by_verdict": dict(by_verdict),
        "unlinked": [unlinked_record(each) for each in filling.unlinked],
        "unexplained": filling.unexplained,
    }


def write_filling(output: Output, where: Mounted, filling: Usage, by_verdict: Mapping[str, int]) -> None:
    """Write one /dev/shm: a row for each part of what is used, and the same bytes by owner and verdict."""
    if output.terminal:
        _write_bar(output, filling)
    rows = [*_total_rows(output, where, filling), *_part_rows(output, filling)]
    rows += [
        _row(output, "by-owner", escape(owner), size) for owner, size in _largest_first(filling.by_owner)
    ]
    rows += [_row(output, "by-verdict", verdict, size) for verdict, size in _largest_first(by_verdict)]
    headings = [Heading("GROUP"), Heading("OF"), Heading("BYTES", right=True), Heading("NOTE")]
    write_table(output, headings, rows)


def _total_rows(output: Output, where: Mounted, filling: Usage) -> Iterator[list[Cell]]:
    note = "" if where.pid is None else f"seen by PID {where.pid}"
    if where.container:
        note += f", container {where.container[:12]}"
    limit = "" if filling.capacity else ", which has no limit"
    yield _row(output, "total", "capacity", filling.capacity, (note or escape(filling.path)) + limit)
    used = f"{100 * filling.used // filling.capacity} %" if filling.capacity else ""
    inodes = f"{filling.inodes_used} of {filling.inodes} inodes"
    yield _row(output, "total", "used", filling.used, ", ".join(filter(None, (used, inodes))))
    yield _row(output, "total", "free", filling.free)


def _part_rows(output: Output, filling: Usage) -> Iterator[list[Cell]]:
    """Rows whose bytes add up to what is used."""
    for kind, size in _largest_first(filling.by_kind):
        yield _row(output, "used", kind, size)
    for each in filling.unlinked:
        pids = ", ".join(f"{holder.pid} {escape(holder.command)}" for holder in each.holders)
        name = f"unlinked:{escape(each.name or b'?')}"
        untold = "size unknown; " if each.allocated is None else ""
        yield _row(output, "used", name, each.allocated or 0, f"{untold}held by PID {pids}")
    yield _row(output, "used", "unexplained", filling.unexplained, _why_unexplained(filling))


def _why_unexplained(filling: Usage) -> str:
    if not filling.unexplained:
        return "it all adds up"
    if filling.unexplained < 0:
        return "memory was given back while it was being counted"
    if not filling.whole:
        return "the file system holds more than this directory"
    reasons = ["held where /proc does not show it: in flight through a socket, or in a hidden process"]
    if filling.uninspected:
        reasons.append(f"{filling.uninspected} could not be inspected")
    return "; ".join(reasons)


def _row(output: Output, group: str, of: str, size: int, note: str = "") -> list[Cell]:
    style = _PART_STYLES.get(of.partition(":")[0], "")
    shown = output.size(size) if size >= 0 else f"-{output.size(-size)}"
    return [(group, "bold"), (of, style), (shown, ""), (note or ("" if output.terminal else "-"), "")]


def _largest_first(parts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(parts.items(), key=lambda part: (-part[1], part[0]))


def _write_bar(output: Output, filling: Usage) -> None:
    from rich.text import Text

    from shmctl.render.table import console

    screen = console(output)
    width = max(10, min(screen.width, 80) - 2)
    unlinked = sum(each.allocated or 0 for each in filling.unlinked)
    parts = {**filling.by_kind, "unlinked": unlinked, "unexplained": max(0, filling.unexplained)}
    taken, left = ("█", "░") if screen.encoding.startswith("utf") else ("#", ".")
    bar = Text()
    for part, size in _largest_first(parts):
        cells = -(-size * width // filling.capacity) if filling.capacity else 0
        bar.append(taken * min(cells, width - len(bar)), style=_PART_STYLES.get(part, "blue"))
    bar.append(left * (width - len(bar)), style=_PART_STYLES["free"])
    screen.print(bar)
