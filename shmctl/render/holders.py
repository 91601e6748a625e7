"""Holders, and objects without a name."""

from collections.abc import Iterable, Iterator
from typing import Any

from shmctl.core.inspect.holders import Holder, Unlinked
from shmctl.core.models import ObjectInfo, user_name
from shmctl.core.names import escape
from shmctl.render.aligned import write_table
from shmctl.render.output import Heading, Output
from shmctl.render.records import name_fields

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
        return dict.fromkeys(("pid", "uid", "user", "command", "access", "mapped", "fds"))
    return {
        "pid": holder.pid,
        "uid": holder.uid,
        "user": user_name(holder.uid),
        "command": holder.command.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        "access": holder.access,
        "mapped": holder.mapped,
        "fds": sorted(holder.fds),
    }


def write_holders(output: Output, pairs: Iterable[tuple[ObjectInfo, Holder | None]]) -> None:
    """Write objects with their holders, a pair a row; those that are not visible are left out."""
    headings = [Heading("NAME"), Heading("PID", right=True), Heading("USER"), Heading("COMMAND")]
    headings += [Heading("ACCESS"), Heading("MAPPED", right=True), Heading("FDS")]
    write_table(
        output, headings, [_holder_row(output, info.name, holder) for info, holder in pairs if holder]
    )


def _holder_row(output: Output, name: bytes, holder: Holder) -> list[tuple[str, str]]:
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
    rows = []
    for each, software in objects:
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
    write_table(output, headings, rows)
