"""shmctl unlink."""

import click

from shmctl.cli.options import name_argument
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.core.names import Name
from shmctl.core.objects.remove import unlink_object


@click.command(cls=Command)
@name_argument
@pass_session
def command(session: Session, name: Name) -> None:
    """Remove one object (shm_unlink).

    One name, one call. The memory goes when the last process that has it open or mapped lets it go.
    """
    unlink_object(name, session.directory)
