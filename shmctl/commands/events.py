"""shmctl events."""

import os
import time
from collections.abc import Callable, Iterable

import click

from shmctl.cli import messages
from shmctl.cli.options import json_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, PATTERN, Parsed, WholeNumber
from shmctl.core.errors import InputError, failing_as
from shmctl.core.events.changes import EventKind
from shmctl.core.events.watch import Event, Watch
from shmctl.core.inspect.listing import matcher


def parse_kinds(text: str) -> frozenset[EventKind]:
    """Parse ``create,remove``. Raises InputError."""
    wanted = text.split(",")
    unknown = [word for word in wanted if word not in set(EventKind)]
    if unknown:
        raise InputError(f"no such event: '{unknown[0]}'", f"it is one of {', '.join(EventKind)}")
    return frozenset(map(EventKind, wanted))


@click.command(cls=Command)
@click.argument("patterns", metavar="[PATTERN]...", type=PATTERN, nargs=-1)
@click.option(
    "--only",
    type=Parsed("events", parse_kinds),
    metavar="KIND,...",
    default=",".join(EventKind),
    show_default=False,
    help="Only these events: create, open, resize, write, close, rename, remove, mode, owner, link.",
)
@click.option("--count", type=WholeNumber(1), metavar="N", help="End after N events.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="End after this time, with status 124.")
@click.option(
    "--ready-fd",
    type=WholeNumber(0),
    metavar="FD",
    help="Write a newline to this descriptor, and close it, once events are seen.",
)
@click.option("--no-headings", is_flag=True, help="Leave the headings out.")
@json_option
@pass_session
def command(
    session: Session,
    patterns: tuple[str, ...],
    only: frozenset[EventKind],
    count: int | None,
    timeout: float | None,
    ready_fd: int | None,
    no_headings: bool,
    as_json: bool,
) -> None:
    """Show what happens to objects as it happens (inotify, fanotify).

    Objects are created, opened, resized, written by write(2), closed, renamed and removed; each line
    says which process did it, as root. A store through a mapping is no event.
    """
    from shmctl.render.events import write_event_records, write_events, write_headings

    output = session.output(headings=not no_headings)
    deadline = None if timeout is None else time.monotonic() + timeout
    matches = matcher(patterns)
    with Watch(session.directory, only) as watch:
        _say_ready(session, watch, ready_fd)
        if not as_json:
            write_headings(output)
        output.stream.flush()
        write: Callable[..., None] = write_event_records if as_json else write_events
        left = count
        while left is None or left > 0:
            seconds = None if deadline is None else deadline - time.monotonic()
            if seconds is not None and seconds <= 0:
                messages.end_with(messages.ExitStatus.TIMED_OUT)
            events = [each for each in watch.events(seconds) if _is_wanted(each, only, matches)]
            shown = events if left is None else events[:left]
            write(output, shown)
            output.stream.flush()
            if left is not None:
                left -= sum(each.kind is not EventKind.LOST for each in shown)


def _is_wanted(event: Event, only: Iterable[EventKind], matches: Callable[..., bool]) -> bool:
    if event.kind is EventKind.LOST:
        return True
    names = [name for name in (event.name, event.new_name) if name]
    return event.kind in only and any(map(matches, names))


def _say_ready(session: Session, watch: Watch, ready_fd: int | None) -> None:
    if watch.blind is not None:
        messages.notice(session.directory.path, f"no event has a PID, user or command here: {watch.blind}")
    if ready_fd is None:
        click.echo(f"shmctl: events: watching {os.fsdecode(session.directory.path)}", err=True)
        return
    with failing_as("write", f"descriptor {ready_fd}".encode()):
        os.write(ready_fd, b"\n")
        if ready_fd > 2:
            os.close(ready_fd)
