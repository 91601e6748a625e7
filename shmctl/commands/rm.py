"""shmctl rm."""

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
@click.option("-f", "--force", "ask", flag_value="never", help="Never ask, and ignore what is not there.")
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

    def remove_one(name: Name) -> None:
        if dry_run:
            describe_any(name, session.directory)
            click.echo(f"would remove {escape(name)}")
            return
        shown = None
        if ask == "always":
            shown = describe_any(name, session.directory).st
            if not _confirmed(name):
                return
        remove(name, session.directory, shown=shown)
        if verbose:
            click.echo(f"removed {escape(name)}")

    def remove_unless_gone(name: Name) -> None:
        try:
            remove_one(name)
        except ShmError as problem:
            if not (ask == "never" and isinstance(problem.__cause__, FileNotFoundError)):
                raise

    # Each name once, in the order in which they were given.
    names = dict.fromkeys(name for text in pattern for name in _expand(text, session))
    messages.for_each(names, remove_unless_gone)


def _confirmed(name: Name) -> bool:
    """The answer to the question whether to remove an object; the end of input is a no."""
    try:
        return click.confirm(f"shmctl: rm: remove {escape(name)}?", err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _expand(text: str, session: Session) -> list[Name]:
    """The objects that a pattern matches; a plain name, or one that exists as it stands, is itself."""
    name = parse_name(text)
    if not is_pattern(text):
        return [name]
    try:
        describe_any(name, session.directory)
    except ShmError:
        infos = scan(session.directory, matcher([text]))
        return sorted(info.name for info in infos if info.kind.is_object) or [name]
    return [name]
