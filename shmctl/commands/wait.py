"""shmctl wait."""

from typing import TYPE_CHECKING

import click

from shmctl.cli.options import Combine, field_completer, offset_option, typed_options
from shmctl.cli.parsing import CommandWithValues
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, NAME, SIZE, Parsed
from shmctl.core.names import Name
from shmctl.core.requests import LayoutSource
from shmctl.core.rules import go_with
from shmctl.core.sync.fullness import parse_fullness
from shmctl.core.sync.wait_request import (
    DEFAULT_INTERVAL,
    WAIT_RULES,
    Wanted,
    parse_conditions,
    wait_for,
    wait_for_use,
)

if TYPE_CHECKING:
    from shmctl.core.layouts.layout import Layout


@click.command(
    cls=CommandWithValues,
    finish=Combine(
        *WAIT_RULES, go_with("show", "conditions", "fuller_than"), layout=LayoutSource, wanted=Wanted
    ),
)
@click.argument("name", type=NAME, required=False)
@click.argument("conditions", metavar="[CONDITION]...", nargs=-1, shell_complete=field_completer("=="))
@click.option("--exists", "state", flag_value="exists", help="Until the object exists (the default).")
@click.option("--gone", "state", flag_value="gone", help="Until no object has the name.")
@click.option("--unused", "state", flag_value="unused", help="Until no process has it open or mapped.")
@click.option(
    "--changed", "state", flag_value="changed", help="Until the bytes at OFFSET, LENGTH of them, change."
)
@click.option(
    "--fuller-than",
    type=Parsed("use", parse_fullness),
    metavar="USE",
    help="Until more of /dev/shm than 90%, or a SIZE, is used; without NAME.",
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
    default=DEFAULT_INTERVAL,
    metavar="DURATION",
    help="The longest sleep between two looks (0.1).",
)
@click.option("--spin", is_flag=True, help="Never sleep: look as often as possible.")
@click.option("--print", "show", is_flag=True, help="Print the values that were waited for.")
@pass_session
def command(
    session: Session, name: Name | None, layout: LayoutSource | None, wanted: Wanted, show: bool
) -> None:
    """Wait until an object is there, gone, unused, changed, or holds a value.

    A CONDITION compares a value: '== 1' with --type, 'new_data == 1' with --struct; == != < <= > >=,
    and & for any of these bits. Several must hold together.
    """
    if wanted.fuller_than is not None:
        used = wait_for_use(wanted.fuller_than, wanted, session.directory)
        if show:
            click.echo(used)
        return
    if name is None:
        raise click.UsageError("missing argument 'NAME'")
    conditions = parse_conditions(wanted, layout and _found(layout, name, session))
    values = wait_for(name, wanted, conditions, session.directory)
    if show and conditions is not None:
        for line in conditions.lines(values):
            click.echo(line)


def _found(source: LayoutSource, name: Name, session: Session) -> "Layout":
    from shmctl.cli.struct_output import find_layout

    return find_layout(source, name, session)
