"""shmctl chmod."""

import click

from shmctl.cli import messages
from shmctl.cli.options import names_argument, verbose_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import MODE
from shmctl.core.names import Name, escape
from shmctl.core.objects.attributes import change_mode


@click.command(cls=Command)
@click.argument("mode", type=MODE)
@names_argument
@verbose_option
@pass_session
def command(session: Session, mode: int, names: tuple[Name, ...], verbose: bool) -> None:
    """Change the permissions of objects (fchmod).

    MODE is octal: 600, 0644, 0o666. The umask has no say here.
    """

    def chmod_one(name: Name) -> None:
        change_mode(name, mode, session.directory)
        if verbose:
            click.echo(f"mode of {escape(name)} set to {mode:04o}")

    messages.for_each(names, chmod_one)
