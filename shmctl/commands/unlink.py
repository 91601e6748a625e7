"""shmctl unlink."""

import click

from shmctl.core.names import Name
from shmctl.core.objects.lifecycle import unlink_object
from shmctl.options import Session, name_argument, pass_session
from shmctl.parsing import Command


@click.command(cls=Command)
@name_argument
@pass_session
def command(session: Session, name: Name) -> None:
    """Remove one object (shm_unlink).

    One name, one call. The memory goes when the last process that has it open or mapped lets it go.
    """
    unlink_object(name, session.directory)
