"""shmctl lock."""

import os

import click

from shmctl.cli import messages
from shmctl.cli.exec import run_child
from shmctl.cli.options import Combine, name_argument
from shmctl.cli.parsing import CommandWithProgram
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, completed_by
from shmctl.core.names import Name
from shmctl.core.objects.lock import locked
from shmctl.core.objects.open import opened
from shmctl.core.rules import exclude


@click.command(cls=CommandWithProgram, finish=Combine(exclude("nonblock", "timeout")))
@name_argument
@click.argument(
    "argv",
    metavar="CMD...",
    nargs=-1,
    type=click.UNPROCESSED,
    required=True,
    shell_complete=completed_by("complete_command"),
)
@click.option("--shared", is_flag=True, help="A shared lock: others may have it shared, too.")
@click.option("--nonblock", is_flag=True, help="Fail with status 1 if the lock is not free.")
@click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="Give up after this time, with status 124."
)
@pass_session
def command(
    session: Session,
    name: Name,
    argv: tuple[str, ...],
    shared: bool,
    nonblock: bool,
    timeout: float | None,
) -> None:
    """Run CMD holding the lock of an object (flock).

    The lock is flock(1)'s; 'read --lock' and 'write --lock' take it too. It is exclusive unless
    --shared, and free again when CMD, and all that inherited it, have ended. CMD's status is
    returned.
    """
    with locked(
        lambda: opened(name, os.O_RDONLY, session.directory),
        exclusive=not shared,
        timeout=timeout,
        at_once=nonblock,
    ) as target:
        status = run_child(argv, inherited=[target.fd])
    messages.end_with(status)
