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

if TYPE_CHECKING:
    from shmctl.core.inspect.holders import Holder
    from shmctl.core.inspect.pages import Pages
    from shmctl.core.proc import Uninspected


def _format(text: str) -> str:
    from shmctl.render.statformat import check_format

    return check_format(text)


@click.command(
    cls=Command,
    finish=Combine(
        exclude("format_text", "as_json"),
        exclude("format_text", "with_holders"),
        exclude("format_text", "with_pages"),
    ),
)
@names_argument
@click.option(
    "-f",
    "-c",
    "--format",
    "format_text",
    type=Parsed("format", _format),
    metavar="FORMAT",
    help="Print FORMAT, with the letters of stat(1): %n name, %s size, %a mode, %U owner ...",
)
@click.option(
    "--holders", "with_holders", is_flag=True, help="Also the processes that have it open or mapped."
)
@click.option(
    "--pages", "with_pages", is_flag=True, help="Also where its bytes are: holes, page cache, swap, nodes."
)
@json_option
@uninspected_option
@pass_session
def command(
    session: Session,
    names: tuple[Name, ...],
    format_text: str | None,
    with_holders: bool,
    with_pages: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Show the metadata of objects (fstat).

    Works on an object that you may not open. On a terminal a panel each; elsewhere 'field value'
    lines; --json adds every st_ field as a number.
    """
    if format_text is not None:
        failed = _show_formatted(session, names, format_text)
    else:
        infos, failed = messages.try_each(names, lambda name: describe(name, session.directory, birth=True))
        _show(
            session,
            infos,
            as_json=as_json,
            with_holders=with_holders,
            with_pages=with_pages,
            verbose=verbose,
        )
    if failed:
        messages.fail()


def _show_formatted(session: Session, names: Sequence[Name], text: str) -> bool:
    """Names reach a program as they are, a terminal escaped. Returns whether one failed."""
    from shmctl.render.statformat import format_for_program, format_for_terminal, needs_birth_time

    birth = needs_birth_time(text)
    infos, failed = messages.try_each(names, lambda name: describe(name, session.directory, birth=birth))
    if sys.stdout.isatty():
        sys.stdout.writelines(format_for_terminal(text, info) + "\n" for info in infos)
    else:
        sys.stdout.buffer.writelines(format_for_program(text, info) + b"\n" for info in infos)
    return failed


def _show(
    session: Session,
    infos: Sequence[ObjectInfo],
    *,
    as_json: bool,
    with_holders: bool,
    with_pages: bool,
    verbose: bool,
) -> None:
    from shmctl.render.stat import stat_record, write_stat

    found: dict[Name, list[Holder]] = {}
    uninspected: list[Uninspected] = []
    if with_holders or with_pages:
        from shmctl.core.inspect.snapshot import Snapshot

        snapshot = Snapshot.of(infos, session.directory)
        found = {info.name: snapshot.holders_of(info) for info in infos}
        uninspected = snapshot.holders.uninspected
    holders = found if with_holders else None

    def pages(info: ObjectInfo) -> "Pages | None":
        if not with_pages:
            return None
        from shmctl.core.inspect.pages import find_pages

        return find_pages(info, found[info.name])

    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, (stat_record(info, holders, _value(info), pages(info)) for info in infos))
    else:
        for info in infos:
            write_stat(session.output(), info, holders, _value(info), pages(info))
    if with_holders or with_pages:
        messages.uninspected(uninspected, by_pid=verbose)


def _value(info: ObjectInfo) -> int | None:
    """A semaphore's value, where it can be read."""
    if info.kind is not Kind.SEMAPHORE:
        return None
    from shmctl.core.sync.semaphores import value_of

    return value_of(info)
