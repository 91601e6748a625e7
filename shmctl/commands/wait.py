"""shmctl wait."""

from typing import TYPE_CHECKING

import click

from shmctl.cli.options import Combine, field_completer, name_argument, offset_option, typed_options
from shmctl.cli.parsing import CommandWithValues
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, SIZE
from shmctl.core.names import Name
from shmctl.core.requests import LayoutSource
from shmctl.core.rules import go_with
from shmctl.core.sync.wanted import WAIT_RULES, Wanted, parse_conditions, wait_for

if TYPE_CHECKING:
    from shmctl.core.layouts.layout import Layout


@click.command(
    cls=CommandWithValues,
    finish=Combine(*WAIT_RULES, go_with("show", "conditions"), layout=LayoutSource, wanted=Wanted),
)
@name_argument
@click.argument("conditions", metavar="[CONDITION]...", nargs=-1, shell_complete=field_completer("=="))
@click.option("--exists", "state", flag_value="exists", help="Until the object is there (the default).")
@click.option("--gone", "state", flag_value="gone", help="Until no object has the name.")
@click.option("--unused", "state", flag_value="unused", help="Until no process has it open or mapped.")
@click.option(
    "--changed", "state", flag_value="changed", help="Until the bytes at OFFSET, LENGTH of them, change."
)
@typed_options
@offset_option
@click.option("-n", "--length", type=SIZE, metavar="LENGTH", help="How many bytes --changed watches (all).")
@click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="Give up after this time, with status 124."
)
@click.option(
    "--interval",
    type=DURATION,
    default=0.001,
    metavar="DURATION",
    help="The longest sleep between two looks (0.001).",
)
@click.option("--spin", is_flag=True, help="Never sleep: look as often as can be.")
@click.option("--print", "show", is_flag=True, help="Print the values that were waited for.")
@pass_session
def command(session: Session, name: Name, layout: LayoutSource | None, wanted: Wanted, show: bool) -> None:
    """Wait until an object is there, gone, unused, changed, or holds a value.

    A CONDITION compares a value: '== 1' with --type, 'new_data == 1' with --struct; == != < <= > >=,
    and & for any of these bits. Several must hold together.
    """
    conditions = parse_conditions(wanted, layout and _found(layout, name, session))
    values = wait_for(name, wanted, conditions, session.directory)
    if show and conditions is not None:
        for line in conditions.lines(values):
            click.echo(line)


def _found(source: LayoutSource, name: Name, session: Session) -> "Layout":
    from shmctl.cli.structs import find_layout

    return find_layout(source, name, session)
