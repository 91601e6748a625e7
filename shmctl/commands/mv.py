"""shmctl mv."""

import click

from shmctl.cli.options import verbose_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import NAME
from shmctl.core.names import Name, escape
from shmctl.core.objects.rename import Existing, rename_object


@click.command(cls=Command)
@click.argument("old", metavar="OLD", type=NAME)
@click.argument("new", metavar="NEW", type=NAME)
@click.option("--no-replace", "existing", flag_value="keep", help="Refuse a NEW that exists (the default).")
@click.option("--replace", "existing", flag_value="replace", help="Take the name from an object that has it.")
@click.option("--exchange", "existing", flag_value="exchange", help="Swap the names of two objects.")
@verbose_option
@pass_session
def command(session: Session, old: Name, new: Name, existing: str | None, verbose: bool) -> None:
    """Rename an object (renameat2).

    One step: at no moment does NEW not exist, or name anything else. Processes keep what they have
    open or mapped; who opens a name from now on gets what it names now.
    """
    rename_object(old, new, session.directory, existing=Existing(existing or "keep"))
    if verbose:
        click.echo(f"renamed {escape(old)} to {escape(new)}")
