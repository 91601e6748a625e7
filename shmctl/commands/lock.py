"""shmctl lock."""

import os
from contextlib import ExitStack

import click

from shmctl.cli import messages
from shmctl.cli.exec import run_child
from shmctl.cli.options import Combine, name_argument
from shmctl.cli.parsing import CommandWithProgram
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, WholeNumber, completed_by
from shmctl.core.errors import ShmError
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
@click.option("-s", "--shared", is_flag=True, help="A shared lock: others may share it.")
@click.option("-n", "--nonblock", is_flag=True, help="Fail with status 1 if the lock is not free.")
@click.option(
    "-w", "--timeout", type=DURATION, metavar="DURATION", help="Give up after this time, with status 124."
)
@click.option(
    "-E",
    "--conflict-exit-code",
    "conflict_status",
    type=WholeNumber(0, 255),
    metavar="N",
    help="The exit status if the lock is not acquired (1, 124 after --timeout).",
)
@click.option("-o", "--close", is_flag=True, help="Let processes that CMD leaves running not keep the lock.")
@pass_session
def command(
    session: Session,
    name: Name,
    argv: tuple[str, ...],
    shared: bool,
    nonblock: bool,
    timeout: float | None,
    conflict_status: int | None,
    close: bool,
) -> None:
    """Run CMD holding the lock of an object (flock).

    The lock is flock(1)'s; 'read --lock' and 'write --lock' take it too. It is exclusive unless
    --shared, and free again when CMD, and all that inherited it, have ended. CMD's status is
    returned.
    """
    with ExitStack() as held:
        try:
            target = held.enter_context(
                locked(
                    lambda: opened(name, os.O_RDONLY, session.directory),
                    exclusive=not shared,
                    timeout=timeout,
                    at_once=nonblock,
                )
            )
        except ShmError as error:
            if conflict_status is None or error.call != "flock":
                raise
            messages.failure("lock", error)
            messages.end_with(conflict_status)
        status = run_child(argv, inherited=[] if close else [target.fd])
    messages.end_with(status)
