"""shmctl truncate."""

import click

from shmctl import report
from shmctl.core.names import Name, escape
from shmctl.core.objects.lifecycle import resize
from shmctl.core.sizes import Resize
from shmctl.options import RESIZE, Session, names_argument, pass_session, verbose_option
from shmctl.parsing import Command


@click.command(cls=Command)
@names_argument
@click.option(
    "-s",
    "--size",
    "change",
    type=RESIZE,
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
            click.echo(f"resized {escape(name)} from {old} to {new} bytes")

    report.for_each(names, truncate_one)
