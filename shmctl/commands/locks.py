"""shmctl locks."""

import sys

import click

from shmctl.cli import messages
from shmctl.cli.options import (
    Combine,
    count_option,
    json_option,
    layout_options,
    offset_option,
    uninspected_option,
)
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import PATTERN
from shmctl.core.errors import InputError
from shmctl.core.inspect.blockers import Inside, find_locks
from shmctl.core.inspect.listing import matcher, missing_names
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.requests import LAYOUT_RULES, LayoutSource
from shmctl.core.rules import go_with
from shmctl.core.sizes import ALL, counted

_DEAD = (
    "the next thread to lock a robust mutex gets it, with EOWNERDEAD; any other lock stays locked until its "
    "programs create the object anew. shmctl breaks no lock"
)


@click.command(
    cls=Command,
    finish=Combine(
        *LAYOUT_RULES, go_with("offset", "declaration"), go_with("number", "declaration"), layout=LayoutSource
    ),
)
@click.argument("patterns", metavar="[NAME|PATTERN]...", type=PATTERN, nargs=-1)
@layout_options
@offset_option
@count_option("How many structures, one after the other (all: as many as fit).")
@json_option
@click.option("--exit-code", is_flag=True, help="End with status 1 if a dead owner still has a lock.")
@uninspected_option
@pass_session
def command(
    session: Session,
    patterns: tuple[str, ...],
    layout: LayoutSource | None,
    offset: int,
    number: int | None,
    as_json: bool,
    exit_code: bool,
    verbose: bool,
) -> None:
    """Show the locks on and in objects: who has them, who waits (/proc/locks).

    Locks of flock and fcntl, semaphores, and threads that sleep on a word of an object; with --struct
    also the pthread locks inside. An owner is a thread's number, and DEAD if no thread has it.
    """
    from shmctl.render.locks import lock_record, write_locks

    snapshot = Snapshot(session.directory, matcher(patterns))
    found = find_locks(snapshot, snapshot.objects, _inside(session, snapshot, layout, offset, number))
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, map(lock_record, found))
    else:
        with session.paged() as output:
            write_locks(output, found)
    messages.flush_output()
    if found:
        messages.uninspected(snapshot.holders.uninspected, by_pid=verbose)
    dead = [each for each in found if each.is_dead]
    if dead:
        have = "has" if 1 in (len(dead), len(found)) else "have"
        messages.error(f"{len(dead)} of {counted(len(found), 'lock')} {have} a dead owner", _DEAD, "locks")
    if messages.missing(missing_names(patterns, snapshot.entries)) or (exit_code and dead):
        messages.fail()


def _inside(
    session: Session, snapshot: Snapshot, source: LayoutSource | None, offset: int, number: int | None
) -> Inside | None:
    """Where pthread locks are, if a layout is given; its bare name is looked up in the holders' programs."""
    if source is None:
        return None
    from shmctl.cli.struct_output import find_layout

    if not snapshot.objects:
        raise InputError("--struct needs an object that exists")
    layout = find_layout(source, snapshot.objects[0].name, session)

    def count(size: int) -> int:
        fit = max(0, size - offset) // layout.size if layout.size else 0
        return fit if number == ALL else min(1 if number is None else number, fit)

    return Inside(layout, offset, count)
