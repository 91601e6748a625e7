"""The use of a /dev/shm: rows that add up, and a bar on a terminal."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shmctl.core.inspect.folders import Folder
from shmctl.core.inspect.holders import Unlinked
from shmctl.core.inspect.peaks import Peak
from shmctl.core.inspect.usage import INSIDE_DIRECTORIES, Mounted, Usage
from shmctl.core.names import escape
from shmctl.core.proc import uninspected_text
from shmctl.core.sizes import counted
from shmctl.render.aligned import write_table
from shmctl.render.holders import holder_record
from shmctl.render.output import Cell, Heading, Output
from shmctl.render.records import name_fields
from shmctl.render.times import iso_time, short_time

_PART_STYLES = {
    "shm": "green",
    "semaphore": "magenta",
    "unlinked": "red",
    "unexplained": "yellow",
    "free": "dim",
}


class Beside(NamedTuple):
    """What is shown beside a use: the highest one, where it is watched, and System V memory, where any is.

    That is a number of segments, and bytes.
    """

    peak: Peak | None = None
    system_v: tuple[int, int] | None = None


def usage_record(
    where: Mounted, usage: Usage, by_verdict: Mapping[str, int], beside: Beside
) -> dict[str, Any]:
    """A /dev/shm by the keys that scripts rely on; all sizes in bytes."""
    watched: dict[str, Any] = {}
    if beside.peak:
        watched = {
            "time": iso_time(time.time_ns()),
            "highest_used": beside.peak.used,
            "highest_time": iso_time(beside.peak.time_ns),
        }
    return watched | {
        "path": usage.path.decode("utf-8", "replace"),
        "pid": where.pid,
        "container": where.place.container,
        "pod": where.place.pod,
        "capacity": usage.capacity,
        "used": usage.used,
        "free": usage.free,
        "inodes": usage.inodes,
        "inodes_used": usage.inodes_used,
        "by_kind": dict(usage.by_kind),
        "by_owner": dict(usage.by_owner),
        "by_verdict": dict(by_verdict),
        "directories": [folder_record(folder, size) for folder, size in usage.by_folder],
        "unlinked": [_unlinked_record(each) for each in usage.unlinked],
        "unexplained": usage.unexplained,
        "given_back": usage.given_back,
        "system_v": beside.system_v and beside.system_v[1],
    }


def _unlinked_record(unlinked: Unlinked) -> dict[str, Any]:
    """An object without a name; null is what is not known."""
    name = unlinked.name or b""
    return {
        **name_fields(name),
        "inode": unlinked.identity[1],
        "device": unlinked.identity[0],
        "size": unlinked.size,
        "allocated": unlinked.allocated,
        "holders": [holder_record(name, holder) for holder in unlinked.holders],
    }


def folder_record(folder: Folder, size: int) -> dict[str, Any]:
    """A directory by the keys that scripts rely on."""
    return {
        **name_fields(folder.info.name),
        "owner": folder.info.owner,
        "files": len(folder.files),
        "allocated": size,
        "software": folder.software,
        "creator_pid": folder.creator_pid,
        "creator_alive": folder.creator_alive,
    }


def write_usage(
    output: Output, where: Mounted, usage: Usage, by_verdict: Mapping[str, int], beside: Beside
) -> None:
    """Write one /dev/shm: a row for each part of what is used, and the same bytes by owner and verdict."""
    if output.terminal:
        _write_bar(output, usage)
    rows = [*_total_rows(output, where, usage), *_peak_rows(output, usage, beside.peak)]
    rows += _part_rows(output, usage)
    rows += [_row(output, "by-owner", escape(owner), size) for owner, size in _largest_first(usage.by_owner)]
    rows += [_row(output, "by-verdict", verdict, size) for verdict, size in _largest_first(by_verdict)]
    rows += _system_v_rows(output, beside.system_v)
    headings = [Heading("GROUP"), Heading("OF"), Heading("BYTES", right=True), Heading("NOTE")]
    write_table(output, headings, rows)


def _total_rows(output: Output, where: Mounted, usage: Usage) -> Iterator[list[Cell]]:
    notes = [escape(usage.path) if where.pid is None else f"seen by PID {where.pid}"]
    if where.is_left:
        notes.append("which no process has as its /dev/shm")
    if where.place.container:
        notes.append(f"container {where.place.container[:12]}")
    if where.place.pod:
        notes.append(f"pod {where.place.pod}")
    if not usage.capacity:
        notes.append("which has no limit")
    yield _row(output, "total", "capacity", usage.capacity, ", ".join(notes))
    used = f"{100 * usage.used // usage.capacity}%" if usage.capacity else ""
    inodes = f"{usage.inodes_used} of {usage.inodes} inodes"
    yield _row(output, "total", "used", usage.used, ", ".join(filter(None, (used, inodes))))
    yield _row(output, "total", "free", usage.free)


def _peak_rows(output: Output, usage: Usage, peak: Peak | None) -> Iterator[list[Cell]]:
    if peak:
        share = f"{100 * peak.used // usage.capacity}%, " if usage.capacity else ""
        yield _row(output, "total", "highest", peak.used, share + short_time(peak.time_ns, human=False))


def _system_v_rows(output: Output, system_v: tuple[int, int] | None) -> Iterator[list[Cell]]:
    """Shared memory that is not in /dev/shm, and that no other row has."""
    if system_v and system_v[1]:
        note = f"{system_v[0]} in memory, outside /dev/shm: see ipcs(1), lsipc(1)"
        yield _row(output, "system-v", "segments", system_v[1], note)


def _part_rows(output: Output, usage: Usage) -> Iterator[list[Cell]]:
    """Rows whose bytes add up to what is used."""
    for kind, size in _largest_first(usage.by_kind):
        if size and kind != INSIDE_DIRECTORIES:
            yield _row(output, "used", kind, size)
    for folder, size in sorted(usage.by_folder, key=lambda part: -part[1]):
        yield _row(output, "used", f"directory:{escape(folder.info.name)}", size, _folder_note(folder))
    for each in usage.unlinked:
        pids = ", ".join(f"{holder.pid} {escape(holder.command)}" for holder in each.holders)
        name = f"unlinked:{escape(each.name or b'?')}"
        untold = "size unknown; " if each.allocated is None else ""
        yield _row(output, "used", name, each.allocated or 0, f"{untold}held by PID {pids}")
    yield _row(output, "used", "unexplained", usage.unexplained, _why_unexplained(usage))


def _folder_note(folder: Folder) -> str:
    parts = [counted(len(folder.files), "file"), escape(folder.software or "", keep=" "), folder.creator_text]
    return ", ".join(filter(None, parts))


def _why_unexplained(usage: Usage) -> str:
    if usage.given_back:
        return f"{counted(usage.given_back, 'byte')} given back while they were counted"
    if not usage.unexplained:
        return "it all adds up"
    if not usage.whole:
        more = "the file system holds more than this directory"
        return more + (f"; {usage.elsewhere} without a name may be of either" if usage.elsewhere else "")
    reasons = ["held where /proc does not show it: in flight through a socket, or in a hidden process"]
    if usage.uninspected:
        reasons.append(uninspected_text(usage.uninspected))
    return "; ".join(reasons)


def _row(output: Output, group: str, of: str, size: int, note: str = "") -> list[Cell]:
    style = _PART_STYLES.get(of.partition(":")[0], "")
    none = "" if output.terminal else "-"
    return [(group, "bold"), (of, style), (output.size(size), ""), (note or none, "")]


def _largest_first(parts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(parts.items(), key=lambda part: (-part[1], part[0]))


def _write_bar(output: Output, usage: Usage) -> None:
    from rich.text import Text

    from shmctl.render.table import console

    screen = console(output)
    width = max(10, min(screen.width, 80) - 2)
    unlinked = sum(each.allocated or 0 for each in usage.unlinked)
    parts = {**usage.by_kind, "unlinked": unlinked, "unexplained": usage.unexplained}
    taken, left = ("█", "░") if screen.encoding.startswith("utf") else ("#", ".")
    bar = Text()
    for part, size in _largest_first(parts):
        cells = -(-size * width // usage.capacity) if usage.capacity else 0
        bar.append(taken * min(cells, width - len(bar)), style=_PART_STYLES.get(part, "blue"))
    bar.append(left * (width - len(bar)), style=_PART_STYLES["free"])
    screen.print(bar)
