"""Events, a line each: columns that need no look ahead, or JSON."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from shmctl.core.events.changes import EventKind
from shmctl.core.events.watch import Event
from shmctl.core.models import user_name
from shmctl.core.names import escape
from shmctl.render.output import Output
from shmctl.render.records import command_text, name_fields
from shmctl.render.times import iso_time

_ROW = "{:<15}  {:<6}  {:<20}  {:>8}  {:>7}  {:<8}  {}"
_HEADINGS = ("TIME", "EVENT", "NAME", "SIZE", "PID", "USER", "COMMAND")
_RESET = "\x1b[0m"
_COLORS = {
    EventKind.CREATE: "\x1b[32m",
    EventKind.LINK: "\x1b[32m",
    EventKind.REMOVE: "\x1b[31m",
    EventKind.RENAME: "\x1b[33m",
    EventKind.RESIZE: "\x1b[36m",
    EventKind.WRITE: "\x1b[36m",
    EventKind.MODE: "\x1b[35m",
    EventKind.OWNER: "\x1b[35m",
    EventKind.LOST: "\x1b[1;31m",
}
_MOST_OF_A_COMMAND = 200


def write_headings(output: Output) -> None:
    """Write the headings of the columns."""
    if output.headings:
        output.stream.write(_ROW.format(*_HEADINGS) + "\n")


def write_events(output: Output, events: Iterable[Event]) -> None:
    """Write events as columns. A longer name moves what follows it; nothing is cut but commands."""
    for event in events:
        line = _ROW.format(*_cells(output, event)).rstrip()
        color = _COLORS.get(event.kind, "") if output.color else ""
        output.stream.write(f"{color}{line}{_RESET if color else ''}\n")


def write_event_records(output: Output, events: Iterable[Event]) -> None:
    """Write events as JSON, an object a line."""
    import json

    output.stream.writelines(json.dumps(_record(event)) + "\n" for event in events)


def _cells(output: Output, event: Event) -> tuple[str, ...]:
    process = event.process
    clock = iso_time(event.time)[11:26]
    if event.kind is EventKind.LOST:
        return clock, event.kind, "-", "-", "-", "-", "the kernel's queue was full: events are missing here"
    name = escape(event.name)
    if event.new_name is not None:
        name += f" -> {escape(event.new_name)}"
    return (
        clock,
        event.kind,
        name,
        "-" if event.size is None else output.size(event.size),
        str(process.pid) if process else "-",
        "-" if process is None or process.uid is None else escape(user_name(process.uid)),
        "-" if process is None or process.command is None else _shown(process.command),
    )


# Most events of a flood come from few processes.
@lru_cache(maxsize=128)
def _shown(command: str) -> str:
    return escape(command[:_MOST_OF_A_COMMAND], keep=" '\"")


def _record(event: Event) -> dict[str, Any]:
    process = event.process
    uid = process.uid if process else None
    command = process.command if process else None
    return {
        "time": iso_time(event.time),
        "event": event.kind,
        **(name_fields(event.name) if event.name else {"name": None}),
        **_new_name_fields(event.new_name),
        "size": event.size,
        "pid": process.pid if process else None,
        "uid": uid,
        "user": None if uid is None else user_name(uid),
        "command": command and command_text(command),
    }


def _new_name_fields(new_name: bytes | None) -> dict[str, str | None]:
    if new_name is None:
        return {"new_name": None}
    return {f"new_{key}": text for key, text in name_fields(new_name).items()}
