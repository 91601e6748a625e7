"""shmctl wait."""

from typing import Any

import click

from shmctl.cli.options import field_completer, load_layout, name_argument, offset_option, struct_options
from shmctl.cli.parsing import CommandWithValues
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, SIZE, VALUE
from shmctl.core.names import Name
from shmctl.core.sync.backoff import NameWatch, Pacer

_UNUSED_INTERVAL = 0.02


@click.command(cls=CommandWithValues)
@name_argument
@click.argument(
    "conditions", metavar="[CONDITION]...", nargs=-1, type=VALUE, shell_complete=field_completer("==")
)
@click.option("--exists", "state", flag_value="exists", help="Until the object is there (the default).")
@click.option("--gone", "state", flag_value="gone", help="Until no object has the name.")
@click.option("--unused", "state", flag_value="unused", help="Until no process has it open or mapped.")
@click.option(
    "--changed", "state", flag_value="changed", help="Until the bytes at OFFSET, LENGTH of them, change."
)
@struct_options
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
def command(session: Session, /, name: Name, **options: Any) -> None:
    """Wait until an object is there, gone, unused, changed, or holds a value.

    A CONDITION compares a value: '== 1' with --type, 'new_data == 1' with --struct; == != < <= > >=,
    and & for any of these bits. Several must hold together.
    """
    _check(options)
    with NameWatch(name, session.directory) as watch:
        interval = max(options["interval"], 0.00001)
        if options["state"] == "unused":
            interval = max(interval, _UNUSED_INTERVAL)
        pacer = Pacer(name, watch, options["timeout"], interval, spin=options["spin"])
        if options["conditions"]:
            _wait_for_value(session, name, pacer, options)
        else:
            _wait_for_state(session, name, pacer, options)


def _check(options: dict[str, Any]) -> None:  # noqa: C901 - a branch for each rule
    typed = options["type_name"] is not None or options["declaration"] is not None
    problem = None
    if options["type_name"] is not None and options["declaration"] is not None:
        problem = "--type and --struct exclude each other"
    elif options["conditions"] and not typed:
        problem = "a CONDITION needs --type or --struct"
    elif typed and not options["conditions"]:
        problem = "--type and --struct need a CONDITION"
    elif options["conditions"] and options["state"]:
        problem = f"--{options['state']} takes no CONDITION"
    elif options["length"] is not None and options["state"] != "changed":
        problem = "--length goes with --changed"
    elif options["offset"] and not (typed or options["state"] == "changed"):
        problem = "--offset goes with a CONDITION or --changed"
    elif options["endian"] and options["type_name"] is None:
        problem = "--endian goes with --type"
    elif options["header"] and options["declaration"] is None:
        problem = "--header goes with --struct"
    elif options["show"] and not options["conditions"]:
        problem = "--print goes with a CONDITION"
    if problem:
        raise click.UsageError(problem, click.get_current_context())


def _wait_for_value(session: Session, name: Name, pacer: Pacer, options: dict[str, Any]) -> None:
    from shmctl.core.sync.conditions import parse_scalar_conditions, parse_struct_conditions
    from shmctl.core.sync.waiting import wait_for_value

    if options["type_name"] is not None:
        conditions = parse_scalar_conditions(options["type_name"], options["endian"], options["conditions"])
    else:
        layout = load_layout(options["declaration"], options["header"])
        conditions = parse_struct_conditions(layout, options["conditions"])
    values = wait_for_value(
        name, options["offset"], conditions.length, conditions.look, pacer, directory=session.directory
    )
    if options["show"]:
        for line in conditions.lines(values):
            click.echo(line)


def _wait_for_state(session: Session, name: Name, pacer: Pacer, options: dict[str, Any]) -> None:
    from shmctl.core.sync import waiting

    match options["state"]:
        case "gone":
            waiting.wait_until_gone(name, pacer, session.directory)
        case "changed":
            offset, length = options["offset"], options["length"]
            waiting.wait_for_change(name, offset, length, pacer, directory=session.directory)
        case "unused":
            from shmctl.core.inspect.holders import find_holders
            from shmctl.core.inspect.lease import UsageTest
            from shmctl.core.objects.describe import describe

            def new_test() -> UsageTest:
                return UsageTest(session.directory, lambda: find_holders([describe(name, session.directory)]))

            waiting.wait_until_unused(name, pacer, new_test, session.directory)
        case _:
            waiting.wait_until_there(name, pacer, session.directory)
