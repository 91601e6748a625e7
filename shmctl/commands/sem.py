"""shmctl sem."""

import errno
import sys
from typing import TYPE_CHECKING

import click

from shmctl.cli import messages
from shmctl.cli.options import Combine, json_option, new_names, new_names_argument, verbose_option
from shmctl.cli.parsing import Command, Group
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, MODE, PATTERN, Parsed, WholeNumber
from shmctl.core.errors import ShmError
from shmctl.core.inspect.listing import matcher, scan
from shmctl.core.models import DEV_SHM, Kind
from shmctl.core.names import Name, escape
from shmctl.core.objects.describe import describe
from shmctl.core.objects.open import DEFAULT_MODE
from shmctl.core.objects.semaphore_file import VALUE_MAX
from shmctl.core.rules import exclude
from shmctl.core.sync import semaphores

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class SemaphoreType(Parsed):
    """A semaphore's name."""

    def __init__(self) -> None:
        super().__init__("name", semaphores.parse_semaphore_name)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """The semaphores whose names begin with what is typed."""
        from shmctl.cli.completion.candidates import complete_names

        return complete_names(ctx, incomplete, Kind.SEMAPHORE)


SEMAPHORE = SemaphoreType()
_one_name = click.argument("name", type=SEMAPHORE)
_names = click.argument("names", metavar="NAME...", type=SEMAPHORE, nargs=-1, required=True)


@click.group(cls=Group)
@click.pass_context
@pass_session
def command(session: Session, context: click.Context) -> None:
    """Use POSIX named semaphores (sem_open).

    A semaphore /free lives in /dev/shm as sem.free; both names are understood.
    """
    if session.directory != DEV_SHM and context.invoked_subcommand not in ("ls", "unlink"):
        path = session.directory.path
        detail = "the C library finds semaphores in its own /dev/shm only; ls and unlink work elsewhere"
        raise ShmError("sem_open", path, errno.ENOTSUP, detail=detail)


@command.command(cls=Command)
@new_names_argument
@click.option(
    "--value",
    type=WholeNumber(0, VALUE_MAX),
    metavar="N",
    help="The initial value (0).",
)
@click.option(
    "-m",
    "--mode",
    type=MODE,
    metavar="MODE",
    help="Permissions in octal, less the umask (600).",
)
@click.option(
    "--excl/--no-excl",
    "exclusive",
    default=True,
    help="Refuse a name that exists (O_EXCL), or leave that semaphore unchanged.",
)
def create(words: tuple[str, ...], value: int | None, mode: int | None, exclusive: bool) -> None:
    """Make semaphores (sem_open)."""
    tell_mode = messages.ModeNotice(mode)

    def create_one(name: Name) -> None:
        made = semaphores.create_semaphore(
            name, value or 0, DEFAULT_MODE if mode is None else mode, exclusive=exclusive
        )
        if made is not None:
            tell_mode.compare(name, made.st.st_mode)
        elif mode is not None:
            file = semaphores.file_of(name)
            tell_mode.left_alone(file, describe(file).st.st_mode)

    names = new_names(words, value, semaphores.parse_semaphore_name, "a value", "--value")
    messages.for_each(names, create_one)


@command.command(cls=Command)
@_names
def post(names: tuple[Name, ...]) -> None:
    """Add one to the value, and wake a waiter (sem_post)."""

    def post_one(name: Name) -> None:
        with semaphores.opened_semaphore(name) as semaphore:
            semaphore.post()

    messages.for_each(names, post_one)


@command.command(cls=Command, finish=Combine(exclude("nonblock", "timeout")))
@_one_name
@click.option(
    "--timeout", type=DURATION, metavar="DURATION", help="Give up after this time, with status 124."
)
@click.option("--nonblock", is_flag=True, help="Fail with status 1 if the value is 0.")
def wait(name: Name, timeout: float | None, nonblock: bool) -> None:
    """Take one from the value, waiting while it is 0 (sem_wait)."""
    with semaphores.opened_semaphore(name) as semaphore:
        semaphores.take(semaphore, timeout, nonblock=nonblock)


@command.command(cls=Command)
@_names
def value(names: tuple[Name, ...]) -> None:
    """Print the value, one a line (sem_getvalue)."""

    def print_one(name: Name) -> None:
        with semaphores.opened_semaphore(name) as semaphore:
            click.echo(semaphore.value())

    messages.for_each(names, print_one)


@command.command(cls=Command)
@_names
@verbose_option
@pass_session
def unlink(session: Session, names: tuple[Name, ...], verbose: bool) -> None:
    """Remove semaphores (sem_unlink)."""

    def unlink_one(name: Name) -> None:
        semaphores.unlink_semaphore(name, session.directory)
        if verbose:
            click.echo(f"removed {escape(name)}")

    messages.for_each(names, unlink_one)


@command.command(cls=Command)
@click.argument("patterns", metavar="[PATTERN]...", type=PATTERN, nargs=-1)
@json_option
@pass_session
def ls(session: Session, patterns: tuple[str, ...], as_json: bool) -> None:
    """List semaphores and their values (readdir, pread)."""
    from shmctl.render.semaphores import semaphore_record, write_semaphores

    matches = matcher(patterns)
    infos = [
        info
        for info in sorted(scan(session.directory), key=lambda info: info.name)
        if info.kind is Kind.SEMAPHORE and (matches(info.name) or matches(semaphores.bare_name(info.name)))
    ]
    rows = [(info, semaphores.value_of(info)) for info in infos]
    if as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, (semaphore_record(*row) for row in rows))
    else:
        with session.paged() as output:
            write_semaphores(output, rows)
