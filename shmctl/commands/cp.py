"""shmctl cp."""

import click

from shmctl.cli.options import verbose_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import NAME
from shmctl.core.names import Name, escape
from shmctl.core.objects.copy import copy_object
from shmctl.core.sizes import counted


@click.command(cls=Command)
@click.argument("old", metavar="OLD", type=NAME)
@click.argument("new", metavar="NEW", type=NAME)
@click.option("--replace/--no-replace", help="Replace a NEW that exists, or refuse it (the default).")
@verbose_option
@pass_session
def command(session: Session, old: Name, new: Name, replace: bool, verbose: bool) -> None:
    """Copy an object (copy_file_range).

    NEW appears at once and whole, with OLD's data, holes and mode, as root also with its owner.
    """
    size = copy_object(old, new, session.directory, replace=replace)
    if verbose:
        click.echo(f"copied {counted(size, 'byte')} from {escape(old)} to {escape(new)}")
