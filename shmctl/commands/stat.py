"""shmctl stat."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from shmctl.cli import messages
from shmctl.cli.options import Combine, json_option, names_argument, uninspected_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import Parsed
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.names import Name
from shmctl.core.objects.describe import describe
from shmctl.core.rules import exclude
from shmctl.render.statformat import (
    check_format,
    format_for_program,
    format_for_terminal,
    needs_birth_time,
)

if TYPE_CHECKING:
    from shmctl.core.inspect.holders import Holder
    from shmctl.core.proc import Uninspected


@click.command(
    cls=Command, finish=Combine(exclude("format_text", "as_json"), exclude("format_text", "with_holders"))
)
@names_argument
@click.option(
    "-f",
    "--format",
    "format_text",
    type=Parsed("format", check_format),
    metavar="FORMAT",
    help="Print FORMAT, with the letters of stat(1): %n name, %s size, %a mode, %U owner ...",
)
@click.option(
    "--holders", "with_holders", is_flag=True, help="Also the processes that have it open or mapped."
)
@json_option
@uninspected_option
@pass_session
def command(
    session: Session,
    names: tuple[Name, ...],
    format_text: str | None,
    with_holders: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Show all that the system knows of objects (fstat).

    Works on an object that you may not open. On a terminal a panel each; elsewhere 'field value'
    lines; --json adds every st_ field as a number.
    """
    birth = format_text is None or needs_birth_time(format_text)
    infos, failed = messages.try_each(names, lambda name: describe(name, session.directory, birth=birth))
    if format_text is not None:
        _show_formatted(format_text, infos)
    else:
        _show(session, infos, as_json=as_json, with_holders=with_holders, verbose=verbose)
    if failed:
        messages.fail()


def _show_formatted(text: str, infos: Sequence[ObjectInfo]) -> None:
    """Names reach a program as they are, a terminal escaped."""
    if sys.stdout.isatty():
        sys.stdout.writelines(format_for_terminal(text, info) + "\n" for info in infos)
    else:
        sys.stdout.buffer.writelines(format_for_program(text, info) + b"\n" for info in infos)


def _show(
    session: Session, infos: Sequence[ObjectInfo], *, as_json: bool, with_holders: bool, verbose: bool
) -> None:
    from shmctl.render.stat import stat_record, write_stat

    holders: dict[Name, list[Holder]] | None = None
    uninspected: list[Uninspected] = []
    if with_holders:
        from shmctl.core.inspect.snapshot import Snapshot

        snapshot = Snapshot.of(infos, session.directory)
        holders = {info.name: snapshot.holders_of(info) for info in infos}
        uninspected = snapshot.holders.uninspected
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, (stat_record(info, holders, _value(info)) for info in infos))
    else:
        for info in infos:
            write_stat(session.output(), info, holders, _value(info))
    if with_holders:
        messages.uninspected(uninspected, by_pid=verbose)


def _value(info: ObjectInfo) -> int | None:
    """A semaphore's value, where it can be read."""
    if info.kind is not Kind.SEMAPHORE:
        return None
    from shmctl.core.sync.semaphores import value_of

    return value_of(info)
