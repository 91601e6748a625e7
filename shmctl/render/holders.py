"""Holders, and objects without a name."""

from collections.abc import Sequence
from typing import Any

from shmctl.core.inspect.holders import Holder, Unlinked
from shmctl.core.models import user_name
from shmctl.core.names import Name, escape
from shmctl.render.columns import write_table
from shmctl.render.output import Heading, Output
from shmctl.render.records import name_fields

_UNTOLD = "-"


def holder_record(name: bytes, holder: Holder) -> dict[str, Any]:
    """A process that holds an object, by the keys that scripts rely on."""
    return {
        **name_fields(name),
        "pid": holder.pid,
        "uid": holder.uid,
        "user": user_name(holder.uid),
        "command": holder.command.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        "access": holder.access,
        "mapped": holder.mapped,
        "fds": sorted(holder.fds),
    }


def write_holders(output: Output, holders: Sequence[tuple[Name, Holder]]) -> None:
    """Write (name, holder) pairs, one a row."""
    headings = [Heading("NAME"), Heading("PID", right=True), Heading("USER"), Heading("COMMAND")]
    headings += [Heading("ACCESS"), Heading("MAPPED", right=True), Heading("FDS")]
    write_table(output, headings, [_holder_row(output, name, holder) for name, holder in holders])


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


def unlinked_record(unlinked: Unlinked) -> dict[str, Any]:
    """An object without a name, by the keys that scripts rely on; null is what is not known."""
    name = unlinked.name or b""
    return {
        **name_fields(name),
        "inode": unlinked.identity[1],
        "device": unlinked.identity[0],
        "size": unlinked.size,
        "allocated": unlinked.allocated,
        "holders": [holder_record(name, holder) for holder in unlinked.holders],
    }


def write_unlinked(output: Output, objects: Sequence[Unlinked]) -> None:
    """Write objects without a name, one a row."""
    headings = [Heading("INODE", right=True), Heading("FORMER-NAME"), Heading("SIZE", right=True)]
    headings += [Heading("ALLOCATED", right=True), Heading("HOLDERS")]
    rows = []
    for each in objects:
        holders = ",".join(f"{holder.pid}/{escape(holder.command)}" for holder in each.holders)
        rows.append(
            [
                (str(each.identity[1]), ""),
                (escape(each.name) if each.name else _UNTOLD, "bold"),
                (_UNTOLD if each.size is None else output.size(each.size), "green"),
                (_UNTOLD if each.allocated is None else output.size(each.allocated), "green"),
                (holders, "cyan"),
            ]
        )
    write_table(output, headings, rows)
