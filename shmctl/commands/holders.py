"""shmctl holders."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from shmctl.cli import messages
from shmctl.cli.options import Combine, json_option, uninspected_option, watch_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import NAME
from shmctl.core.inspect.lease import State
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.models import ObjectInfo
from shmctl.core.names import Name, escape
from shmctl.core.objects.describe import describe
from shmctl.core.rules import exclude, need

if TYPE_CHECKING:
    from shmctl.core.inspect.holders import Holder
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
@uninspected_option
@pass_session
def command(
    session: Session,
    names: tuple[Name, ...],
    unlinked: bool,
    quiet: bool,
    as_json: bool,
    watch_seconds: float | None,
    verbose: bool,
) -> None:
    """Show the processes that have objects open or mapped (/proc).

    Every object's holders, or those of NAMEs. Holders are found by device and inode, never by path.
    Where the kernel knows of a holder that /proc does not show, that is said on standard error.
    """
    if watch_seconds:
        _watch(session, names, watch_seconds, unlinked=unlinked, as_json=as_json)
        return
    if unlinked:
        _show_unlinked(session, as_json, verbose=verbose)
        return
    if not names:
        snapshot = Snapshot(session.directory)
        _show(session, snapshot, snapshot.objects, as_json, verbose=verbose)
        return
    infos, failed = messages.try_each(names, lambda name: describe(name, session.directory))
    snapshot = Snapshot.of(infos, session.directory)
    if quiet:
        failed |= not _any_held(snapshot, infos)
    elif infos:
        _show(session, snapshot, infos, as_json, ask_kernel=True, verbose=verbose)
    if failed:
        messages.fail()


def _watch(
    session: Session, names: tuple[Name, ...], seconds: float, *, unlinked: bool, as_json: bool
) -> None:
    """Frames without remarks; a NAME that is not there has no holders."""
    from shmctl.render.holders import holder_record, unlinked_record, write_holders, write_unlinked
    from shmctl.render.jsonlines import write_line
    from shmctl.render.watch import watch

    def draw_unlinked(output: "Output") -> None:
        objects = Snapshot(session.directory).unlinked
        if as_json:
            write_line(output.stream, map(unlinked_record, objects))
        else:
            write_unlinked(output, objects)

    def draw(output: "Output") -> None:
        snapshot = Snapshot(session.directory)
        pairs = _pairs(snapshot, (info for info in snapshot.objects if not names or info.name in names))
        if as_json:
            write_line(output.stream, (holder_record(name, holder) for name, holder in pairs))
        else:
            write_holders(output, pairs)

    watch(session.output(), seconds, draw_unlinked if unlinked else draw, "" if as_json else "\n")


def _pairs(snapshot: Snapshot, infos: Iterable[ObjectInfo]) -> "list[tuple[Name, Holder]]":
    """Each object's name with each of its holders, by name and PID."""
    names = {info.name: info for info in infos}
    return [(name, holder) for name in sorted(names) for holder in snapshot.holders_of(names[name])]


def _any_held(snapshot: Snapshot, infos: Sequence[ObjectInfo]) -> bool:
    """Whether some object is held; what is not known counts as held, and is reported."""
    usages = [(info, snapshot.test.ask(info)) for info in infos]
    for info, usage in usages:
        if usage.state is State.UNKNOWN:
            messages.error(f"{escape(info.name)}: taken for held: {usage.evidence}", command="holders")
    return any(usage.state is not State.FREE for _, usage in usages)


def _tell_hidden(snapshot: Snapshot, infos: Sequence[ObjectInfo]) -> None:
    """What the kernel knows and /proc does not show: other PID namespaces, descriptors in flight."""
    for info in infos:
        if snapshot.holders_of(info) or snapshot.test.lease_problem is not None:
            continue
        if snapshot.test.ask(info).state is State.HELD:
            messages.error(
                f"{escape(info.name)}: in use by a process that is not visible from here",
                "it may be in another PID namespace, or a descriptor may be on its way through a socket",
                "holders",
            )


def _show(
    session: Session,
    snapshot: Snapshot,
    infos: Sequence[ObjectInfo],
    as_json: bool,
    *,
    ask_kernel: bool = False,
    verbose: bool,
) -> None:
    from shmctl.render.holders import holder_record, write_holders

    pairs = _pairs(snapshot, infos)
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, (holder_record(name, holder) for name, holder in pairs))
    else:
        with session.paged() as output:
            write_holders(output, pairs)
    if ask_kernel:
        _tell_hidden(snapshot, infos)
    uninspected = snapshot.holders.uninspected
    if not uninspected or not _are_free(snapshot, infos):
        messages.uninspected(uninspected, by_pid=verbose)


def _are_free(snapshot: Snapshot, infos: Sequence[ObjectInfo]) -> bool:
    """Whether the kernel's lease says that nobody holds any: then it does not matter who is not seen."""
    return snapshot.test.lease_problem is None and all(
        snapshot.test.ask(info).state is State.FREE for info in infos
    )


def _show_unlinked(session: Session, as_json: bool, *, verbose: bool) -> None:
    from shmctl.render.holders import unlinked_record, write_unlinked

    snapshot = Snapshot(session.directory)
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, map(unlinked_record, snapshot.unlinked))
    else:
        with session.paged() as output:
            write_unlinked(output, snapshot.unlinked)
    messages.uninspected(snapshot.processes.uninspected, by_pid=verbose)
