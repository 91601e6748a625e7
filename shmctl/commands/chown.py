"""shmctl chown."""

from dataclasses import dataclass

import click

from shmctl.cli import messages
from shmctl.cli.options import names_argument, verbose_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import Parsed, completed_by, group_id, user_id
from shmctl.core.names import Name, escape
from shmctl.core.objects.attributes import change_owner

_UNCHANGED = -1


@dataclass(frozen=True, slots=True)
class Ownership:
    """A user ID and a group ID; -1 leaves one as it is."""

    uid: int
    gid: int


def parse_ownership(text: str) -> Ownership:
    """``OWNER``, ``OWNER:GROUP``, ``:GROUP``, and ``OWNER:`` for OWNER's login group, by name or number.

    As in chown(1) ``+1`` is a number for sure, and ``:`` leaves both.
    """
    owner, colon, group = text.partition(":")
    if not text:
        raise click.UsageError(f"invalid owner '{text}'")
    uid = user_id(owner) if owner else _UNCHANGED
    if group:
        return Ownership(uid, group_id(group))
    return Ownership(uid, _login_group(uid) if owner and colon else _UNCHANGED)


def _login_group(uid: int) -> int:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError as error:
        raise click.UsageError(f"user {uid} has no login group") from error


@click.command(cls=Command)
@click.argument(
    "ownership",
    metavar="OWNER[:GROUP]",
    type=Parsed("owner", parse_ownership),
    shell_complete=completed_by("complete_ownership"),
)
@names_argument
@verbose_option
@pass_session
def command(session: Session, ownership: Ownership, names: tuple[Name, ...], verbose: bool) -> None:
    """Change the owner and group of objects (fchown).

    Each is a name or a number: OWNER, OWNER:GROUP, :GROUP, or OWNER: for OWNER's login group.
    """

    def chown_one(name: Name) -> None:
        change_owner(name, ownership.uid, ownership.gid, session.directory)
        if verbose:
            click.echo(f"ownership of {escape(name)} changed")

    messages.for_each(names, chown_one)
