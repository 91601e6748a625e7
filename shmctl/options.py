"""Parameter types and option decorators that commands share."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import parse_name
from shmctl.core.sizes import parse_duration, parse_mode, parse_resize, parse_size
from shmctl.parsing import unmarked

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from click.shell_completion import CompletionItem

    from shmctl.completing import Completer
    from shmctl.core.objects.streams import Progress
    from shmctl.core.typed.structs import Layout
    from shmctl.render.output import Output

Function = TypeVar("Function", bound=Callable[..., Any])


class Session(NamedTuple):
    """What holds for every command: where the objects live, whether to use colour, what may be read.

    ``scripts`` counts the batches around the command; one whose script comes by standard input has it
    for itself (``script_is_input``).
    """

    directory: Directory = DEV_SHM
    color: str = "auto"
    scripts: int = 0
    script_is_input: bool = False

    @property
    def on_terminal(self) -> bool:
        """Whether tables and panels are wanted: standard output is a terminal, or colour is always wanted.

        A dumb terminal (TERM), which a screen reader or an editor may be, gets what a pipe gets.
        """
        return self.color == "always" or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")

    @property
    def in_color(self) -> bool:
        """Whether to use colour: on a terminal, unless NO_COLOR or a plain TERM says otherwise."""
        if self.color != "auto":
            return self.color == "always"
        return self.on_terminal and not os.environ.get("NO_COLOR")

    def output(self, sizes: str | None = None, *, headings: bool = True) -> "Output":
        """Standard output, with sizes as "bytes", "human", or as suits who reads."""
        from shmctl.render.output import Output

        for_people = self.on_terminal or sys.stdout.isatty()
        human = for_people if sizes is None else sizes == "human"
        return Output(sys.stdout, self.on_terminal, self.in_color, human, headings)

    def paged(self, output: "Output | None" = None) -> "AbstractContextManager[Output]":
        """`output`, through a pager if it turns out to be longer than the screen."""
        from shmctl.render.pager import paged

        return paged(output or self.output())


pass_session = click.make_pass_decorator(Session, ensure=True)


def progress_on(
    description: str, total: int | None, *, wanted: bool = True
) -> "AbstractContextManager[Progress]":
    """A progress bar for a copy of ``total`` bytes; see `progress_bar`."""
    from shmctl.render.progress import progress_bar

    session = click.get_current_context().find_object(Session)
    return progress_bar(description, total, wanted=wanted, color=not session or session.color != "never")


class Parsed(click.ParamType[Any]):
    """A parameter that a function of the library parses; its InputError is a usage error."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse text; leave a default alone."""
        return self._parse(value) if isinstance(value, str) else value


class NameType(Parsed):
    """An object's name, completed from what is there."""

    def __init__(self) -> None:
        super().__init__("name", parse_name)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """The objects whose names begin with what is typed, in the spelling that was begun."""
        return _complete_names(ctx, incomplete)


class FileType(click.ParamType[str]):
    """A file's path, kept as typed and completed by the shell."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """What the shell finds."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class PatternType(click.ParamType[str]):
    """An object's name or a glob, kept as typed."""

    name = "pattern"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """As for a name."""
        return _complete_names(ctx, incomplete)


def _complete_names(ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
    from shmctl.completing import complete_names

    return complete_names(ctx, incomplete)


def completed_by(name: str) -> "Completer":
    """The function of that name in `completing`, which is loaded when a shell asks."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from shmctl import completing

        completer: Completer = getattr(completing, name)
        return completer(ctx, param, incomplete)

    return complete


NAME = NameType()
PATTERN = PatternType()
FILE = FileType()
SIZE = Parsed("size", parse_size)
RESIZE = Parsed("size", parse_resize)
DURATION = Parsed("duration", parse_duration)
MODE = Parsed("mode", parse_mode)


VALUE = Parsed("value", unmarked)


def name_argument(function: Function) -> Function:
    """One NAME."""
    return click.argument("name", type=NAME)(function)


def names_argument(function: Function) -> Function:
    """One NAME or more, as ``names``."""
    return click.argument("names", metavar="NAME...", type=NAME, nargs=-1, required=True)(function)


def offset_option(function: Function) -> Function:
    """``-o/--offset``, in bytes."""
    return click.option(
        "-o", "--offset", type=SIZE, default=0, metavar="OFFSET", help="Where to start, in bytes (0)."
    )(function)


def struct_options(function: Function) -> Function:
    """``--type``, ``--endian``, ``--struct`` and ``--header``."""
    decorators = [
        click.option(
            "--type",
            "type_name",
            metavar="TYPE",
            shell_complete=completed_by("complete_types"),
            help="A C type: int8 ... uint64, float, size_t ...",
        ),
        click.option(
            "--endian",
            type=click.Choice(["little", "big"]),
            help="Byte order for --type (native unless given).",
        ),
        click.option(
            "--struct",
            "declaration",
            metavar="DECL",
            help="C member declarations or a whole typedef; with --header, the name of a type.",
        ),
        click.option(
            "--header",
            metavar="FILE",
            type=FILE,
            help="The C header that declares the --struct type.",
        ),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def field_completer(ending: str) -> "Completer":
    """Completes the fields of the --struct that was declared before, each with ``ending``."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from shmctl.completing import complete_fields

        declaration = ctx.params.get("declaration")
        if declaration is None:
            return []
        return complete_fields(load_layout(declaration, ctx.params.get("header")), ending, incomplete)

    return complete


def owner_option(function: Function) -> Function:
    """``--owner``, a user's number."""
    return click.option(
        "--owner",
        type=Parsed("user", user_id),
        metavar="USER",
        shell_complete=completed_by("complete_owners"),
        help="Only what USER (a name or number) owns.",
    )(function)


def verbose_option(function: Function) -> Function:
    """``-v/--verbose``."""
    return click.option("-v", "--verbose", is_flag=True, help="Tell what was done.")(function)


def atomic_options(function: Function) -> Function:
    """``--atomic`` and ``--replace``."""
    function = click.option(
        "--replace", is_flag=True, help="With --atomic: take the place of an object that exists (rename)."
    )(function)
    return click.option(
        "--atomic", is_flag=True, help="Let the object appear only when it is complete (O_TMPFILE, linkat)."
    )(function)


def watch_option(function: Function) -> Function:
    """``--watch [SECONDS]``, as ``watch_seconds``; None where it is not given."""
    return click.option(
        "--watch",
        "watch_seconds",
        is_flag=False,
        flag_value="2",
        type=Parsed("duration", parse_interval),
        metavar="[SECONDS]",
        help="Look again every SECONDS (2), until q is typed. Put it last, or as --watch=SECONDS.",
    )(function)


def parse_interval(text: str) -> float:
    """A duration that is long enough to see something."""
    return max(parse_duration(text), 0.05)


def min_age_option(function: Function) -> Function:
    """``--min-age``, in seconds."""
    from shmctl.core.inspect.verdicts import DEFAULT_MIN_AGE

    return click.option(
        "--min-age",
        type=DURATION,
        default=DEFAULT_MIN_AGE,
        metavar="DURATION",
        help="Keep what was changed more recently: 30s, 10m, 2h, 3d (10m).",
    )(function)


def json_option(function: Function) -> Function:
    """``--json``, as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON: an array, one line an object.")(
        function
    )


def user_id(text: str) -> int:
    """The user ID of a login name or a number."""
    import pwd

    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        pass
    return _number_or_fail(text, "user")


def group_id(text: str) -> int:
    """The group ID of a group's name or a number."""
    import grp

    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        pass
    return _number_or_fail(text, "group")


def _number_or_fail(text: str, what: str) -> int:
    # The largest ID stands for "leave it alone" in chown(2).
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32 - 1:
        return int(text)
    raise click.UsageError(f"unknown {what} '{text}'")


def load_layout(declaration: str, header: str | None) -> "Layout":
    """The struct that ``--struct`` declares, or names out of ``--header``."""
    from shmctl.core.typed import structs

    return structs.parse(declaration) if header is None else structs.load_header(header, declaration)
