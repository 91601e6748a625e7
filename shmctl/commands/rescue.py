"""shmctl rescue."""

import sys

import click

from shmctl.cli import messages
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import NAME, Parsed, WholeNumber, completed_by
from shmctl.core.errors import InputError
from shmctl.core.inspect.rescue import find_lost, rescue_into, rescue_to
from shmctl.core.names import Name, escape, parse_name
from shmctl.core.sizes import counted


def parse_lost(text: str) -> Name | int:
    """Parse a last name, or an inode: digits alone. Raises InputError."""
    return int(text) if text.isascii() and text.isdigit() else parse_name(text)


@click.command(cls=Command)
@click.argument(
    "lost",
    metavar="NAME|INODE",
    type=Parsed("name", parse_lost),
    shell_complete=completed_by("complete_lost"),
)
@click.argument("new", metavar="[NEW]", type=NAME, required=False)
@click.option("--pid", type=WholeNumber(1), metavar="PID", help="Only what this process holds.")
@click.option(
    "--from-memory", is_flag=True, help="Copy what a process has mapped, where nothing else is possible."
)
@pass_session
def command(session: Session, lost: Name | int, new: Name | None, pid: int | None, from_memory: bool) -> None:
    """Copy what an object holds that has no name any more (/proc).

    NAME is the last name it had, INODE what 'holders --unlinked' shows. The copy NEW appears whole,
    with holes, mode and owner; without NEW the bytes go to a pipe or file.
    """
    if new is None and sys.stdout.isatty():
        raise InputError("the bytes would go to the terminal", "name NEW, or redirect to a file or pipe")
    found = find_lost(session.directory, lost, pid)
    if new is None:
        rescued = rescue_to(found, sys.stdout.fileno(), session.directory, from_memory=from_memory)
    else:
        rescued = rescue_into(found, new, session.directory, from_memory=from_memory)
    holder = rescued.holder
    messages.notice(
        rescued.name,
        f"copied {counted(rescued.size, 'byte')} from {rescued.by} of PID {holder.pid} "
        f"({escape(holder.command)}); "
        "its holders go on with the old object",
    )
