"""shmctl write."""

from contextlib import AbstractContextManager
from typing import Any

import click

from shmctl.cli import messages
from shmctl.cli.options import (
    atomic_options,
    field_completer,
    name_argument,
    offset_option,
    struct_options,
    verbose_option,
)
from shmctl.cli.parsing import CommandWithValues
from shmctl.cli.session import Session, pass_session
from shmctl.cli.sources import choose_writer, parse_byte, parse_hex
from shmctl.cli.types import FILE, MODE, SIZE, VALUE, Parsed
from shmctl.core.names import Name, escape
from shmctl.core.objects.open import DEFAULT_MODE, OpenObject
from shmctl.core.objects.write import Fit, writable


@click.command(cls=CommandWithValues)
@name_argument
@click.argument("values", metavar="[VALUE]...", nargs=-1, type=VALUE, shell_complete=field_completer("="))
@offset_option
@click.option(
    "-n", "--length", type=SIZE, metavar="LENGTH", help="How many bytes to --fill, or to take from a stream."
)
@struct_options
@click.option(
    "--hex",
    "hexadecimal",
    type=Parsed("hex", parse_hex),
    metavar="HEX",
    help="Store these bytes: 68656c6c6f.",
)
@click.option(
    "--fill",
    "byte",
    type=Parsed("byte", parse_byte),
    metavar="BYTE",
    help="Store BYTE, LENGTH times or up to the end.",
)
@click.option(
    "-i",
    "--input",
    "input_file",
    metavar="FILE",
    type=FILE,
    help="Store what FILE holds (-: standard input).",
)
@click.option("--grow", is_flag=True, help="Extend the object to fit.")
@click.option("--exact", is_flag=True, help="Make the object end where the data ends: extend or shrink it.")
@click.option("--create", is_flag=True, help="Make the object, just large enough, if it is not there.")
@click.option(
    "-m",
    "--mode",
    type=MODE,
    metavar="MODE",
    help="Permissions for --create, in octal (600).",
)
@atomic_options
@click.option("--lock", is_flag=True, help="Hold the object's lock (flock) meanwhile.")
@verbose_option
@pass_session
def command(session: Session, /, name: Name, **options: Any) -> None:
    """Store data in an object (mmap).

    The data is VALUE (a text, exactly its bytes), or VALUEs of a --type, FIELD=VALUEs of a --struct,
    --hex, --fill, a file, or else standard input. Data that does not fit is an error. A VALUE may
    be negative: -5.
    """
    fit = Fit(options["grow"], options["exact"])
    writer = choose_writer(options, fit)
    mode = DEFAULT_MODE if options["mode"] is None else options["mode"]
    with _opened(session, name, mode, options) as target:
        messages.UmaskNotice(mode)(target)
        count = writer(target)
    if options["verbose"]:
        click.echo(f"stored {count} bytes in {escape(name)}")


def _opened(
    session: Session, name: Name, mode: int, options: dict[str, Any]
) -> AbstractContextManager[OpenObject]:
    """The object to store in; it closes, or appears, at the end."""
    _check_publishing(options)
    if options["atomic"]:
        from shmctl.core.objects.publish import created_atomically

        return created_atomically(name, mode, session.directory, replace=options["replace"])
    return writable(name, session.directory, create=options["create"], mode=mode, lock=options["lock"])


def _check_publishing(options: dict[str, Any]) -> None:
    problem = None
    if options["replace"] and not options["atomic"]:
        problem = "--replace goes with --atomic"
    elif options["atomic"] and not options["create"]:
        problem = "--atomic goes with --create: it makes a new object"
    elif options["atomic"] and options["lock"]:
        problem = "--atomic needs no --lock: nobody sees the object before it is complete"
    if problem:
        raise click.UsageError(problem, click.get_current_context())
