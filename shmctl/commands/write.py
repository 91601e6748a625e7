"""shmctl write."""

import click

from shmctl.cli import messages
from shmctl.cli.options import (
    Combine,
    atomic_options,
    field_completer,
    name_argument,
    offset_option,
    typed_options,
    verbose_option,
)
from shmctl.cli.parsing import CommandWithValues
from shmctl.cli.session import Session, pass_session
from shmctl.cli.sources import DATA_RULES, Data, choose_writer, parse_byte, parse_hex
from shmctl.cli.types import FILE, MODE, SIZE, Parsed
from shmctl.core.names import Name, escape
from shmctl.core.objects.open import DEFAULT_MODE
from shmctl.core.objects.write import Fit, writable
from shmctl.core.requests import LayoutSource
from shmctl.core.rules import exclude, go_with
from shmctl.core.sizes import counted


@click.command(
    cls=CommandWithValues,
    finish=Combine(
        *DATA_RULES,
        go_with("mode", "create"),
        go_with("replace", "atomic"),
        go_with("atomic", "create", says="--atomic goes with --create: it makes a new object"),
        exclude(
            "atomic", "lock", says="--atomic needs no --lock: nobody sees the object before it is complete"
        ),
        layout=LayoutSource,
        data=Data,
        fit=Fit,
    ),
)
@name_argument
@click.argument("values", metavar="[VALUE]...", nargs=-1, shell_complete=field_completer("="))
@offset_option
@click.option(
    "-n", "--length", type=SIZE, metavar="LENGTH", help="How many bytes to --fill, or to take from a stream."
)
@typed_options
@click.option(
    "--from",
    "rows",
    type=click.Choice(["csv", "json"]),
    help="Store structures, one after the other, from CSV or JSON lines on standard input.",
)
@click.option("--text-arrays", is_flag=True, help="Take text for arrays of uint8_t and wchar_t, too.")
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
    help="Store the content of FILE (-: standard input).",
)
@click.option("--grow", is_flag=True, help="Extend the object to fit.")
@click.option("--exact", is_flag=True, help="Extend or shrink the object to end where the data ends.")
@click.option("--create", is_flag=True, help="Create the object, just large enough, if it does not exist.")
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
def command(
    session: Session,
    name: Name,
    data: Data,
    fit: Fit,
    create: bool,
    mode: int | None,
    atomic: bool,
    replace: bool,
    lock: bool,
    verbose: bool,
) -> None:
    """Store data in an object (mmap).

    The data is VALUE (a text, exactly its bytes), or VALUEs of a --type, FIELD=VALUEs of a --struct,
    --hex, --fill, a file, or else standard input. Data that does not fit is an error. A VALUE may
    be negative: -5.
    """
    writer = choose_writer(data, fit, name, session)
    tell_mode = messages.ModeNotice(mode)
    mode = DEFAULT_MODE if mode is None else mode
    if atomic:
        from shmctl.core.objects.publish import created_atomically

        opening = created_atomically(name, mode, session.directory, replace=replace)
    else:
        opening = writable(name, session.directory, create=create, mode=mode, lock=lock)
    with opening as target:
        tell_mode(target)
        count = writer(target)
    if verbose:
        click.echo(f"stored {counted(count, 'byte')} in {escape(name)}")
