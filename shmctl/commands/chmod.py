"""shmctl chmod."""

from typing import TYPE_CHECKING

import click

from shmctl.cli import messages
from shmctl.cli.options import names_argument, verbose_option
from shmctl.cli.parsing import CommandWithMode
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import Parsed
from shmctl.core.names import Name, escape
from shmctl.core.objects.attributes import change_mode
from shmctl.core.sizes import parse_mode

if TYPE_CHECKING:
    from shmctl.core.symbolic import Mode


def parse_change(text: str) -> "int | Mode":
    """Parse a mode in octal, or what a symbolic one makes of an object's mode."""
    if text.removeprefix("0o")[:1].isdigit():
        return parse_mode(text)
    from shmctl.core.symbolic import current_umask, parse_symbolic

    return parse_symbolic(text, current_umask())


@click.command(cls=CommandWithMode)
@click.argument("mode", type=Parsed("mode", parse_change))
@names_argument
@verbose_option
@pass_session
def command(session: Session, mode: "int | Mode", names: tuple[Name, ...], verbose: bool) -> None:
    """Change the permissions of objects (fchmod).

    MODE is octal (600, 0644) or symbolic as in chmod(1): u+rw, go=, a+rX. The umask counts only where
    a symbolic MODE names nobody: +w.
    """

    change = mode if isinstance(mode, int) else mode.apply

    def chmod_one(name: Name) -> None:
        now = change_mode(name, change, session.directory)
        if verbose:
            click.echo(f"mode of {escape(name)} set to {now:04o}")

    messages.for_each(names, chmod_one)
