"""shmctl rm."""

import errno
from collections.abc import Sequence, Set

import click

from shmctl.cli import messages
from shmctl.cli.options import verbose_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import PATTERN
from shmctl.core.errors import ShmError
from shmctl.core.inspect.listing import is_pattern, matcher, scan
from shmctl.core.names import Name, escape, parse_name
from shmctl.core.objects.describe import describe_any
from shmctl.core.objects.remove import remove


@click.command(cls=Command)
@click.argument("pattern", metavar="NAME-or-PATTERN...", type=PATTERN, nargs=-1)
@click.option("-f", "--force", "ask", flag_value="never", help="Never ask; ignore names that do not exist.")
@click.option("-i", "--interactive", "ask", flag_value="always", help="Ask before each removal.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@verbose_option
@pass_session
def command(
    session: Session, pattern: tuple[str, ...], ask: str | None, dry_run: bool, verbose: bool
) -> None:
    """Remove objects by name or pattern (unlink).

    A quoted PATTERN ('psm_*') stands for every object that it matches; a NAME that exists is taken
    as it is, whatever is in it. The memory goes when the last process that has it open or mapped
    lets it go.
    """
    if not pattern and ask != "never":
        raise click.UsageError("missing argument 'NAME-or-PATTERN...'", click.get_current_context())

    rehearsed: set[Name] = set()

    def remove_one(name: Name) -> None:
        if dry_run:
            _rehearse(name, session, rehearsed)
            return
        shown = None
        if ask == "always":
            shown = describe_any(name, session.directory).st
            if not _confirmed(name):
                return
        staying = _staying(name, session) if verbose else ""
        remove(name, session.directory, shown=shown)
        if verbose:
            click.echo(f"removed {escape(name)}{staying}")

    def remove_unless_gone(name: Name) -> None:
        try:
            remove_one(name)
        except ShmError as problem:
            if not (ask == "never" and problem.errno == errno.ENOENT):
                raise

    messages.for_each(_expand_all(pattern, session), remove_unless_gone)


def _staying(name: Name, session: Session) -> str:
    """Who keeps the memory of an object that is about to lose its name."""
    from shmctl.core.inspect.lease import State
    from shmctl.core.inspect.snapshot import Snapshot

    try:
        info = describe_any(name, session.directory)
    except ShmError:
        return ""  # its removal fails in its turn
    snapshot = Snapshot.of([info], session.directory)
    if not info.is_object or snapshot.test.ask_each([info])[0].state is State.FREE:
        return ""
    pids = dict.fromkeys(holder.pid for holder in snapshot.holders_of(info))
    return f"; PID {', '.join(map(str, pids))} still holds its memory" if pids else ""


def _rehearse(name: Name, session: Session, rehearsed: set[Name]) -> None:
    """Show what would be removed; the second time a name would be gone."""
    if name in rehearsed:
        raise ShmError("unlink", name, errno.ENOENT)
    describe_any(name, session.directory)
    rehearsed.add(name)
    click.echo(f"would remove {escape(name)}")


def _confirmed(name: Name) -> bool:
    """The answer to the question whether to remove an object; the end of input is a no."""
    try:
        return click.confirm(f"shmctl: rm: remove {escape(name)}?", err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _expand_all(patterns: Sequence[str], session: Session) -> list[Name]:
    names: list[Name] = []
    before: set[Name] = set()
    for text in patterns:
        expanded = _expand(text, session, before)
        names += expanded
        before.update(expanded)
    return names


def _expand(text: str, session: Session, before: Set[Name]) -> list[Name]:
    """The objects that a pattern matches, without those ``before``, which are gone when its turn comes.

    A plain name, or one that exists as it stands, is itself.
    """
    name = parse_name(text)
    if not is_pattern(text):
        return [name]
    try:
        describe_any(name, session.directory)
    except ShmError:
        infos = scan(session.directory, matcher([text]))
        found = sorted(info.name for info in infos if info.is_object) or [name]
        return [each for each in found if each not in before]
    return [name]
