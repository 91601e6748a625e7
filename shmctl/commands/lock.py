"""shmctl lock."""

import errno
import os

import click

from shmctl.cli import messages
from shmctl.cli.exec import run_child
from shmctl.cli.options import Combine, name_argument
from shmctl.cli.parsing import CommandWithProgram
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, completed_by
from shmctl.core.errors import ShmError
from shmctl.core.locking import flock, flock_within, try_flock
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject, opened
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
    with opened(name, os.O_RDONLY, session.directory) as target:
        _lock(target, exclusive=not shared, nonblock=nonblock, timeout=timeout)
        status = run_child(argv, inherited=[target.fd])
    messages.end_with(status)


def _lock(target: OpenObject, *, exclusive: bool, nonblock: bool, timeout: float | None) -> None:
    if nonblock:
        if not try_flock(target.fd, target.name, exclusive=exclusive):
            raise ShmError("flock", target.name, errno.EAGAIN, detail="somebody else has the lock")
    elif timeout is not None:
        if not flock_within(target.fd, target.name, timeout, exclusive=exclusive):
            detail = f"timed out after {timeout:g} s: somebody else has the lock"
            raise ShmError("flock", target.name, errno.ETIMEDOUT, detail=detail)
    else:
        flock(target.fd, target.name, exclusive=exclusive)
