"""Decorators for the arguments and options that several commands share."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from shmctl.cli.parsing import OptionWithBareValue
from shmctl.cli.types import (
    DURATION,
    FILE,
    NAME,
    PATTERN,
    SIZE,
    Parsed,
    completed_by,
    parse_interval,
    user_id,
)
from shmctl.core.errors import InputError
from shmctl.core.names import Name
from shmctl.core.sizes import looks_like_size, looks_like_unit, parse_count

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from shmctl.cli.completion.candidates import Completer
    from shmctl.core.rules import Rule
Function = TypeVar("Function", bound=Callable[..., Any])


def name_argument(function: Function) -> Function:
    """Add the argument NAME."""
    return click.argument("name", type=NAME)(function)


def names_argument(function: Function) -> Function:
    """Add the argument NAME..., as ``names``."""
    return click.argument("names", metavar="NAME...", type=NAME, nargs=-1, required=True)(function)


def new_names_argument(function: Function) -> Function:
    """Add the argument NAME... of new objects, as ``words`` for `new_names`."""
    return click.argument("words", metavar="NAME...", type=PATTERN, nargs=-1, required=True)(function)


def new_names(
    words: Sequence[str], number: int | None, parse: Callable[[str], Name], what: str, option: str
) -> list[Name]:
    """Return the names of new objects. Raises InputError for a number that lacks its option, or a unit."""
    for word in words:
        if number is None and word[:1].isdigit() and looks_like_size(word):
            raise InputError(f"'{word}' looks like {what}, which {option} gives; as a name it is '/{word}'")
        if number is not None and len(words) > 1 and looks_like_unit(word):
            raise InputError(
                f"'{word}' looks like a unit, which follows its number at once; as a name it is '/{word}'"
            )
    return list(map(parse, words))


def offset_option(function: Function) -> Function:
    """``-o/--offset``, in bytes."""
    return click.option(
        "-o", "--offset", type=SIZE, default=0, metavar="OFFSET", help="Where to start, in bytes (0)."
    )(function)


class Combine:
    """A command's ``finish``: refuses parameters that break one of ``rules``, and gathers them in ``groups``.

    Each group is a NamedTuple, and takes its fields out of the parameters, the earlier groups among
    them; it is None where its first field is. What no group takes stays as it is.
    """

    def __init__(self, *rules: "Rule", **groups: type[NamedTuple]) -> None:
        self.rules = rules
        self.groups = groups

    def __call__(self, ctx: click.Context) -> None:
        """Raises UsageError."""
        from shmctl.core.rules import find_problem, given_of

        defaults = {param.name or "": param.default for param in ctx.command.params}
        given = given_of(ctx.params, defaults)
        problem = find_problem(self.rules, given, lambda *term: _spell(ctx.command, *term))
        if problem:
            raise click.UsageError(problem, ctx)
        for name, group in self.groups.items():
            values = [ctx.params.pop(field) for field in group._fields]
            ctx.params[name] = None if values[0] is None else group._make(values)


def _spell(command: click.Command, name: str, value: object) -> str:
    """A parameter as it is typed: ``--length``, or ``a VALUE``. Options that share a name differ by value."""
    named = [param for param in command.params if param.name == name]
    chosen = next((each for each in named if getattr(each, "flag_value", None) == value), named[0])
    if isinstance(chosen, click.Argument):
        return f"a {(chosen.metavar or name.upper()).strip('[].')}"
    return next(opt for opt in chosen.opts if opt.startswith("--"))


def typed_options(function: Function) -> Function:
    """``--type`` and ``--endian``, and those of `layout_options`."""
    return _with_options(
        layout_options(function),
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
    )


def layout_options(function: Function) -> Function:
    """``--struct``, and what `source_options` has: the fields of a `LayoutSource`."""
    return _with_options(
        source_options(function),
        click.option(
            "--struct",
            "declaration",
            metavar="DECL",
            shell_complete=completed_by("complete_struct"),
            help="C member declarations, a whole typedef, or the name of a type.",
        ),
    )


def source_options(function: Function) -> Function:
    """Where a type is defined: ``--header`` and what it is compiled with, ``--elf``."""
    return _with_options(
        function,
        click.option(
            "--header",
            metavar="FILE",
            type=FILE,
            help="The C or C++ header that defines the type (compiled).",
        ),
        click.option(
            "--elf",
            metavar="FILE",
            type=FILE,
            help="A program, library or object file with -g that has the type.",
        ),
        click.option(
            "-I",
            "--include",
            metavar="DIR",
            multiple=True,
            type=FILE,
            help="Look for the header's headers in DIR, too.",
        ),
        click.option(
            "-D", "--define", metavar="NAME[=VALUE]", multiple=True, help="Define a macro for the header."
        ),
        click.option(
            "--lang",
            "language",
            type=click.Choice(["c", "c++"]),
            help="The header's language (by its name unless given).",
        ),
    )


def _with_options(function: Function, *decorators: Callable[[Function], Function]) -> Function:
    """Add the options, in the order of the list."""
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def field_completer(ending: str) -> "Completer":
    """Return a completer for the fields of the --struct given before, each followed by ``ending``."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from shmctl.cli.completion.candidates import complete_fields

        return complete_fields(ctx, ending, incomplete)

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
    return click.option("-v", "--verbose", is_flag=True, help="Report what was done.")(function)


def uninspected_option(function: Function) -> Function:
    """``-v/--verbose`` of a command that inspects processes."""
    help_text = "Name the processes that could not be inspected, and why."
    return click.option("-v", "--verbose", is_flag=True, help=help_text)(function)


def atomic_options(function: Function) -> Function:
    """``--atomic`` and ``--replace``."""
    function = click.option(
        "--replace", is_flag=True, help="With --atomic: replace an existing object (rename)."
    )(function)
    return click.option(
        "--atomic", is_flag=True, help="Let the object appear only when it is complete (O_TMPFILE, linkat)."
    )(function)


def watch_option(function: Function) -> Function:
    """``--watch [SECONDS]``, as ``watch_seconds``; None where it is not given."""
    return click.option(
        "--watch",
        "watch_seconds",
        cls=OptionWithBareValue,
        bare="2",
        type=Parsed("duration", parse_interval),
        metavar="[SECONDS]",
        help="Look again every SECONDS (2), until q is typed. Put it last, or as --watch=SECONDS.",
    )(function)


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


def verdict_options(function: Function) -> Function:
    """``--semaphores`` and ``--trackers``: reasons that keep nothing."""
    return _with_options(
        function,
        click.option("--semaphores", is_flag=True, help="Also semaphores that no process has open."),
        click.option("--trackers", is_flag=True, help="Also what a live Python resource tracker keeps."),
    )


def count_option(help: str) -> Callable[[Function], Function]:
    """``-c COUNT`` or ``-c all``, as ``number``."""
    count = Parsed("count", parse_count)
    return click.option("-c", "--count", "number", type=count, metavar="COUNT|all", help=help)


def json_option(function: Function) -> Function:
    """``--json``, as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON: an array, one line an object.")(
        function
    )
