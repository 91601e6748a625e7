"""shmctl truncate."""

import click

from shmctl.cli import messages
from shmctl.cli.options import names_argument, verbose_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import Parsed
from shmctl.core.names import Name, escape
from shmctl.core.objects.resize import resize
from shmctl.core.size_change import Resize, parse_resize
from shmctl.core.sizes import counted


@click.command(cls=Command)
@names_argument
@click.option(
    "-s",
    "--size",
    "change",
    type=Parsed("size", parse_resize),
    required=True,
    metavar="[+|-|<|>|/|%]SIZE",
    help="The new size; by how much to grow (+) or shrink (-); at most (<), at least (>); "
    "rounded down (/) or up (%) to a multiple.",
)
@verbose_option
@pass_session
def command(session: Session, names: tuple[Name, ...], change: Resize, verbose: bool) -> None:
    """Set the size of objects (ftruncate).

    What is added is zero; what is cut off is lost, also for processes that have it mapped.
    """

    def truncate_one(name: Name) -> None:
        old, new = resize(name, change, session.directory)
        if verbose:
            click.echo(f"resized {escape(name)} from {old} to {counted(new, 'byte')}")

    messages.for_each(names, truncate_one)
