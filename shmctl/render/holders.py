"""Holders, and objects without a name."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from shmctl.core.inspect.containers import Place
from shmctl.core.inspect.holders import Holder, Unlinked
from shmctl.core.models import ObjectInfo, user_name
from shmctl.core.names import escape
from shmctl.render.aligned import write_table
from shmctl.render.output import Cell, Heading, Output
from shmctl.render.records import command_text, name_fields

_UNTOLD = "-"


def holder_record(name: bytes, holder: Holder) -> dict[str, Any]:
    """A process that holds an object, by the keys that scripts rely on."""
    return {**name_fields(name), **_process_fields(holder)}


def held_record(info: ObjectInfo, holder: Holder | None) -> dict[str, Any]:
    """An object and one of its holders; None is a holder that is not visible from here."""
    st = info.st
    return {
        **name_fields(info.name),
        "inode": st.st_ino,
        "device": st.st_dev,
        **_process_fields(holder),
    }


def _process_fields(holder: Holder | None) -> dict[str, Any]:
    if holder is None:
        keys = ("pid", "uid", "user", "command", "access", "mapped", "fds", "container", "pod")
        return dict.fromkeys(keys)
    return {
        "pid": holder.pid,
        "uid": holder.uid,
        "user": user_name(holder.uid),
        "command": command_text(holder.command),
        "access": holder.access,
        "mapped": holder.mapped,
        "fds": sorted(holder.fds),
        "container": holder.place.container,
        "pod": holder.place.pod,
    }


def write_holders(output: Output, pairs: Iterable[tuple[ObjectInfo, Holder | None]]) -> None:
    """Write objects with their holders, a pair a row; those that are not visible are left out."""
    headings = [Heading("NAME"), Heading("PID", right=True), Heading("USER"), Heading("COMMAND")]
    headings += [Heading("ACCESS"), Heading("MAPPED", right=True), Heading("FDS")]
    shown = [(info.name, holder) for info, holder in pairs if holder]
    rows = [_holder_row(output, *pair) for pair in shown]
    write_table(output, *_with_places(headings, rows, [{holder.place} for _, holder in shown]))


def _with_places(
    headings: list[Heading], rows: list[list[Cell]], places: Sequence[set[Place]]
) -> tuple[list[Heading], list[list[Cell]]]:
    """Add the columns of containers and pods, each if there is any to show."""
    containers = [{place.container or "" for place in some} for some in places]
    pods = [{place.pod or "" for place in some} for some in places]
    for heading, ids in (("CONTAINER", containers), ("POD", pods)):
        if any(map(any, ids)):
            headings = [*headings, Heading(heading)]
            cells = [",".join(sorted(each - {""})) or _UNTOLD for each in ids]
            rows = [[*row, (cell, "")] for row, cell in zip(rows, cells, strict=True)]
    return headings, rows


def _holder_row(output: Output, name: bytes, holder: Holder) -> list[Cell]:
    return [
        (escape(name), "bold"),
        (str(holder.pid), "cyan"),
        (escape(user_name(holder.uid)), ""),
        (escape(holder.command), ""),
        (holder.access or _UNTOLD, "yellow"),
        (output.size(holder.mapped), "green"),
        (",".join(map(str, sorted(holder.fds))) or _UNTOLD, ""),
    ]


def unlinked_records(unlinked: Unlinked, software: str | None) -> Iterator[dict[str, Any]]:
    """An object without a name, once for each holder; null is what is not known."""
    for holder in unlinked.holders:
        yield {
            **name_fields(unlinked.name or b""),
            "inode": unlinked.identity[1],
            "device": unlinked.identity[0],
            "size": unlinked.size,
            "allocated": unlinked.allocated,
            "software": software,
            **_process_fields(holder),
        }


def write_unlinked(output: Output, objects: Iterable[tuple[Unlinked, str | None]]) -> None:
    """Write objects without a name, each with the software that made it if that is known, one a row."""
    headings = [Heading("INODE", right=True), Heading("FORMER-NAME"), Heading("SIZE", right=True)]
    headings += [Heading("ALLOCATED", right=True), Heading("HOLDERS"), Heading("SOFTWARE")]
    rows: list[list[Cell]] = []
    places = []
    for each, software in objects:
        places.append({holder.place for holder in each.holders})
        holders = ",".join(f"{holder.pid}/{escape(holder.command)}" for holder in each.holders)
        rows.append(
            [
                (str(each.identity[1]), ""),
                (escape(each.name) if each.name else _UNTOLD, "bold"),
                (_UNTOLD if each.size is None else output.size(each.size), "green"),
                (_UNTOLD if each.allocated is None else output.size(each.allocated), "green"),
                (holders, "cyan"),
                (escape(software or _UNTOLD, keep=" " if output.terminal else ""), ""),
            ]
        )
    write_table(output, *_with_places(headings, rows, places))
