"""shmctl holders."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from shmctl.cli import messages
from shmctl.cli.inspection import gather_holders
from shmctl.cli.options import Combine, json_option, watch_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import NAME
from shmctl.core.inspect.holders import Holder, Unlinked, find_holders, find_unlinked
from shmctl.core.inspect.lease import State, UsageTest
from shmctl.core.inspect.listing import scan
from shmctl.core.models import ObjectInfo
from shmctl.core.names import Name, escape
from shmctl.core.objects.describe import describe
from shmctl.core.posix import stat_directory
from shmctl.core.rules import exclude, need

if TYPE_CHECKING:
    from shmctl.render.output import Output


@click.command(
    cls=Command,
    finish=Combine(
        exclude("unlinked", "names"),
        exclude("unlinked", "quiet"),
        need("quiet", "names"),
        exclude("quiet", "watch_seconds"),
    ),
)
@click.argument("names", metavar="[NAME]...", type=NAME, nargs=-1)
@click.option("--unlinked", is_flag=True, help="Objects that have no name any more and still take memory.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; status 0 if a NAME is held, 1 if none is.")
@json_option
@watch_option
@pass_session
def command(
    session: Session,
    names: tuple[Name, ...],
    unlinked: bool,
    quiet: bool,
    as_json: bool,
    watch_seconds: float | None,
) -> None:
    """Show the processes that have objects open or mapped (/proc).

    Every object's holders, or those of NAMEs. Holders are found by device and inode, never by path.
    Where the kernel knows of a holder that /proc does not show, that is said on standard error.
    """
    if watch_seconds:
        _watch(session, names, watch_seconds, unlinked=unlinked, as_json=as_json)
        return
    if unlinked:
        _show_unlinked(session, as_json)
        return
    infos: list[ObjectInfo] = []
    try:
        if names:
            messages.for_each(names, lambda name: infos.append(describe(name, session.directory)))
        else:
            infos += (info for info in scan(session.directory) if info.kind.is_object)
    finally:
        if quiet:
            _answer(infos, session)
        elif infos or not names:
            _show(session, infos, as_json, ask_kernel=bool(names))


def _watch(
    session: Session, names: tuple[Name, ...], seconds: float, *, unlinked: bool, as_json: bool
) -> None:
    """Frames without remarks; a NAME that is not there has no holders."""
    from shmctl.render.holders import holder_record, unlinked_record, write_holders, write_unlinked
    from shmctl.render.jsonlines import write_line
    from shmctl.render.watch import watch

    def draw(output: "Output") -> None:
        infos = list(scan(session.directory))
        if unlinked:
            objects, _ = find_unlinked(
                stat_directory(session.directory).st_dev, {info.st.st_ino for info in infos}
            )
            if as_json:
                write_line(output.stream, map(unlinked_record, objects))
            else:
                write_unlinked(output, objects)
            return
        chosen = [info for info in infos if info.kind.is_object and (not names or info.name in names)]
        pairs = _pairs(gather_holders(chosen)[0])
        if as_json:
            write_line(output.stream, (holder_record(name, holder) for name, holder in pairs))
        else:
            write_holders(output, pairs)

    watch(session.output(), seconds, draw, "" if as_json else "\n")


def _pairs(holders: dict[Name, list[Holder]]) -> list[tuple[Name, Holder]]:
    return [(name, each) for name in sorted(holders) for each in sorted(holders[name], key=lambda h: h.pid)]


def _answer(infos: Sequence[ObjectInfo], session: Session) -> None:
    """End with status 1 unless some object is held; what cannot be told counts as held."""
    test = UsageTest(session.directory, lambda: find_holders(infos))
    states = [test.ask(info) for info in infos]
    for usage, info in zip(states, infos, strict=True):
        if usage.state is State.UNKNOWN:
            messages.error(f"{escape(info.name)}: taken for held: {usage.evidence}", command="holders")
    if all(usage.state is State.FREE for usage in states):
        messages.fail()


def _show(session: Session, infos: Sequence[ObjectInfo], as_json: bool, *, ask_kernel: bool) -> None:
    holders, uninspected = gather_holders(infos)
    _print(session, _pairs(holders), as_json)
    if ask_kernel:
        _tell_hidden([info for info in infos if not holders[info.name]], session)
    messages.uninspected(uninspected)


def _tell_hidden(infos: Sequence[ObjectInfo], session: Session) -> None:
    """What the kernel knows and /proc does not show: other PID namespaces, descriptors in flight."""
    if not infos:
        return
    test = UsageTest(session.directory, lambda: find_holders(infos))
    for info in infos:
        if test.lease_problem is None and test.ask(info).state is State.HELD:
            messages.error(
                f"{escape(info.name)}: in use, but by no process that is to be seen here",
                "it may be in another PID namespace, or a descriptor may be on its way through a socket",
                "holders",
            )


def _print(session: Session, holders: Sequence[tuple[Name, Holder]], as_json: bool) -> None:
    from shmctl.render.holders import holder_record, write_holders

    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, (holder_record(name, holder) for name, holder in holders))
    else:
        with session.paged() as output:
            write_holders(output, holders)


def _show_unlinked(session: Session, as_json: bool) -> None:
    from shmctl.render.holders import unlinked_record, write_unlinked

    unlinked: list[Unlinked]
    unlinked, uninspected = find_unlinked(
        stat_directory(session.directory).st_dev, {info.st.st_ino for info in scan(session.directory)}
    )
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, map(unlinked_record, unlinked))
    else:
        with session.paged() as output:
            write_unlinked(output, unlinked)
    messages.uninspected(uninspected)
