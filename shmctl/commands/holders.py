"""shmctl holders."""

import errno
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import click

from shmctl.cli import messages
from shmctl.cli.options import Combine, json_option, uninspected_option, watch_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import PATH
from shmctl.core.errors import ShmError
from shmctl.core.inspect.lease import State
from shmctl.core.inspect.listing import is_pattern, matcher, scan
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.models import Directory, Kind, ObjectInfo
from shmctl.core.names import Name, escape
from shmctl.core.objects.describe import describe, describe_any
from shmctl.core.rules import exclude, need
from shmctl.core.sizes import counted

if TYPE_CHECKING:
    from shmctl.core.inspect.holders import Holder
    from shmctl.render.output import Output


@click.command(
    cls=Command,
    finish=Combine(
        exclude("unlinked", "patterns"),
        exclude("unlinked", "quiet"),
        need("quiet", "patterns"),
        exclude("quiet", "watch_seconds"),
    ),
)
@click.argument("patterns", metavar="[PATTERN]...", type=PATH, nargs=-1)
@click.option("--unlinked", is_flag=True, help="Objects without a name that still take memory.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing; status 0 if one is held, 1 if none is.")
@json_option
@watch_option
@uninspected_option
@pass_session
def command(
    session: Session,
    patterns: tuple[Name, ...],
    unlinked: bool,
    quiet: bool,
    as_json: bool,
    watch_seconds: float | None,
    verbose: bool,
) -> None:
    """Show the processes that have objects open or mapped (/proc).

    The holders of every object, or of those that match. Holders are found by device and inode, never by path.
    Where the kernel knows of a holder that /proc does not show, that is said on standard error.
    """
    if watch_seconds:
        _watch(session, patterns, watch_seconds, unlinked=unlinked, as_json=as_json)
    elif unlinked:
        _show_unlinked(session, as_json, verbose=verbose)
    elif not patterns:
        snapshot = Snapshot(session.directory)
        _show(session, snapshot, _all_files(snapshot), as_json, verbose=verbose)
    else:
        _show_some(session, patterns, quiet=quiet, as_json=as_json, verbose=verbose)


def _show_some(
    session: Session, patterns: tuple[Name, ...], *, quiet: bool, as_json: bool, verbose: bool
) -> None:
    names = [pattern for pattern in patterns if not is_pattern(pattern)]
    found, failed = messages.try_each(names, lambda name: _find(name, session.directory))
    infos = [info for files in found for info in files]
    if globs := list(filter(is_pattern, patterns)):
        infos += [info for info in scan(session.directory, matcher(globs)) if info.is_object]
    infos = list({info.name: info for info in infos}.values())
    snapshot = Snapshot.of(infos, session.directory)
    if quiet:
        failed |= not _any_held(snapshot, infos)
    elif infos or globs or as_json:
        _show(session, snapshot, infos, as_json, ask_kernel=True, verbose=verbose)
    if failed:
        messages.fail()


def _all_files(snapshot: Snapshot) -> list[ObjectInfo]:
    """The objects, and the files in directories."""
    return snapshot.objects + [info for folder in snapshot.folders for info in folder.files]


def _is_wanted(info: ObjectInfo, patterns: Sequence[Name], matches: "Callable[[Name], bool] | None") -> bool:
    """Whether a name or path names a file or a directory above it, or a pattern matches an object."""
    return _is_in(info, patterns) or (matches is not None and matches(info.name))


def _is_in(info: ObjectInfo, names: Sequence[Name]) -> bool:
    """Whether a file has one of the names, or is below one of them."""
    return any(info.name == name or info.name.startswith(name + b"/") for name in names)


def _find(name: Name, directory: Directory) -> list[ObjectInfo]:
    """The object of that name; the files of a directory, or the one with that path. Raises ShmError."""
    top = Name(b"/" + name.split(b"/")[1])
    try:
        if top == name:
            return [describe(name, directory)]
    except ShmError:
        if describe_any(name, directory).kind is not Kind.DIRECTORY:
            raise
    snapshot = Snapshot.of([describe_any(top, directory)], directory)
    files = [info for info in _all_files(snapshot) if _is_in(info, [name])]
    if not files and name != top:
        raise ShmError("stat", name, errno.ENOENT)
    return files


def _watch(
    session: Session, patterns: tuple[Name, ...], seconds: float, *, unlinked: bool, as_json: bool
) -> None:
    """Frames without remarks; a name that is not there has no holders."""
    from shmctl.render.holders import held_record, unlinked_records, write_holders, write_unlinked
    from shmctl.render.jsonlines import write_line
    from shmctl.render.watch import watch

    def draw_unlinked(output: "Output") -> None:
        objects = Snapshot(session.directory).unlinked_software
        if as_json:
            write_line(output.stream, (row for each in objects for row in unlinked_records(*each)))
        else:
            write_unlinked(output, objects)

    globs = list(filter(is_pattern, patterns))
    matches = matcher(globs) if globs else None

    def draw(output: "Output") -> None:
        snapshot = Snapshot(session.directory)
        infos = (info for info in _all_files(snapshot) if not patterns or _is_wanted(info, patterns, matches))
        pairs = _pairs(snapshot, infos)
        if as_json:
            write_line(output.stream, (held_record(*pair) for pair in pairs))
        else:
            write_holders(output, pairs)

    watch(session.output(), seconds, draw_unlinked if unlinked else draw, "" if as_json else "\n")


def _pairs(
    snapshot: Snapshot, infos: Iterable[ObjectInfo], hidden: Collection[ObjectInfo] = ()
) -> "list[tuple[ObjectInfo, Holder | None]]":
    """Each object with each of its holders, by name and PID; those in ``hidden`` with None."""
    unseen = {info.name for info in hidden}
    pairs: list[tuple[ObjectInfo, Holder | None]] = []
    for info in sorted(infos, key=lambda info: info.name):
        pairs += [(info, holder) for holder in snapshot.holders_of(info)]
        if info.name in unseen:
            pairs.append((info, None))
    return pairs


def _any_held(snapshot: Snapshot, infos: Sequence[ObjectInfo]) -> bool:
    """Whether some object is held; what is not known counts as held, and is reported."""
    usages = snapshot.test.ask_each(infos)
    for info, usage in zip(infos, usages, strict=True):
        if usage.state is State.UNKNOWN:
            messages.error(f"{escape(info.name)}: taken for held: {usage.evidence}", command="holders")
    return any(usage.state is not State.FREE for usage in usages)


def _held_by_hidden(snapshot: Snapshot, infos: Sequence[ObjectInfo]) -> list[ObjectInfo]:
    """What the kernel knows and /proc does not show: other PID namespaces, descriptors in flight."""
    unseen = [info for info in infos if not snapshot.holders_of(info)]
    answers = zip(unseen, snapshot.test.ask_each(unseen), strict=True)
    held = [info for info, usage in answers if usage.state is State.HELD]
    return held if snapshot.test.lease_problem is None else []


def _show(
    session: Session,
    snapshot: Snapshot,
    infos: Sequence[ObjectInfo],
    as_json: bool,
    *,
    ask_kernel: bool = False,
    verbose: bool,
) -> None:
    from shmctl.render.holders import held_record, write_holders

    hidden = _held_by_hidden(snapshot, infos) if ask_kernel else []
    pairs = _pairs(snapshot, infos, hidden)
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, (held_record(*pair) for pair in pairs))
    else:
        with session.paged() as output:
            write_holders(output, pairs)
    for info in hidden:
        messages.error(
            f"{escape(info.name)}: in use by a process that is not visible from here",
            "it may be in another PID namespace, or a descriptor may be on its way through a socket",
            "holders",
        )
    uninspected = snapshot.holders.uninspected
    if not uninspected or not _are_free(snapshot, infos):
        messages.uninspected(uninspected, by_pid=verbose)


def _are_free(snapshot: Snapshot, infos: Sequence[ObjectInfo]) -> bool:
    """Whether the kernel's lease says that nobody holds any: then it does not matter who is not seen."""
    if any(snapshot.holders_of(info) for info in infos):
        return False
    return all(usage.state is State.FREE for usage in snapshot.test.ask_each(infos))


def _show_unlinked(session: Session, as_json: bool, *, verbose: bool) -> None:
    from shmctl.render.holders import unlinked_records, write_unlinked

    snapshot = Snapshot(session.directory)
    objects = snapshot.unlinked_software
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, (row for each in objects for row in unlinked_records(*each)))
    else:
        with session.paged() as output:
            write_unlinked(output, objects)
    if unknown := snapshot.locator.unknown:
        count = counted(unknown, "object")
        messages.error(f"nothing shows whether {count} without a name had one in /dev/shm", command="holders")
    messages.uninspected(snapshot.uninspected, by_pid=verbose)
