"""Click commands that parse as users of Unix commands expect.

A negative number is a value, options end where CMD begins, and a batch line costs
only the options that it has. The words are rearranged before click sees them; only
click's public API is used, which is the same from 8.1.3 on.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import click

from shmctl.cli.messages import ExitStatus
from shmctl.core.errors import InputError

COMMAND_PATH = "shmctl.command_path"
"""The key of a context's ``meta`` for the command that was found last: ``sem create``."""

_NEGATIVE_NUMBER = r"-(0[xX]|[0-9.])"
_TAKEN_MODE = r"-[rwxXst0-7ugo][rwxXst0-7ugoa,=+-]*\Z"


class Helped(click.Command):
    """Has click's ``--help`` without the search for a translation, a millisecond at each start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._help_params: list[click.Option] = []

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the one help option: click compares parameters by identity."""
        if not self._help_params:
            # Some versions of click return the names in random order.
            names = sorted(self.get_help_option_names(ctx), key=len)
            self._help_params.append(
                click.Option(
                    [*names, "_help_is_wanted"],
                    is_flag=True,
                    is_eager=True,
                    expose_value=False,
                    callback=_show_help,
                    help="Show this message and exit.",
                )
            )
        return self._help_params[0]


def _show_help(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(ctx.get_help())
        ctx.exit()


class Group(Helped, click.Group):
    """A group that prints its help if no command is given, and for ``help [COMMAND]``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Click's own help for a bare group ends with status 0 or 2, depending on its version.
        super().__init__(*args, **{**kwargs, "no_args_is_help": False})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does; without a command, print the help as a usage error."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(ExitStatus.USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first word names, and its words. Raises UsageError."""
        name, *rest = args
        command = self.get_command(ctx, name)
        if command is not None:
            ctx.meta[COMMAND_PATH] = " ".join([*ctx.command_path.split()[1:], name])
            return name, command, rest
        if name == "help":
            return self._resolve_help(ctx, rest)
        if ctx.resilient_parsing:
            # Nothing completes an unknown command.
            return name, click.Command(name, add_help_option=False), rest
        raise self._unknown(ctx, name, rest)

    def _resolve_help(
        self, ctx: click.Context, topic: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if topic and topic[0] != "help" and not topic[0].startswith("-"):
            return self.resolve_command(ctx, topic if ctx.resilient_parsing else [*topic, "--help"])
        if not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        # 'help' is completed with the names of commands.
        return None, None, []

    def _unknown(self, ctx: click.Context, name: str, rest: Sequence[str]) -> Exception:
        from difflib import get_close_matches

        from shmctl.cli.habits import synonym

        message = f"no such command '{name}'"
        hint = synonym(ctx.command_path, name, rest)
        if hint:
            return InputError(message, hint)
        near = get_close_matches(name, self.list_commands(ctx), n=1)
        return click.UsageError(f"{message}; did you mean '{near[0]}'?" if near else message, ctx)


class OptionWithBareValue(click.Option):
    """An option with an optional value: ``bare`` at the end of a line or before another option."""

    def __init__(self, *args: Any, bare: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bare = bare


class _Spelling:
    """An option, and its long spelling: of a short one click first tries whether it is a long one."""

    __slots__ = ("bare", "long", "option", "takes_value")

    def __init__(self, option: click.Option, long: str, takes_value: bool, bare: str | None) -> None:
        self.option = option
        self.long = long
        self.takes_value = takes_value
        self.bare = bare


class _Line:
    """The words of a command line: options with their values, operands, and the names of the options.

    ``sound`` is False once there is an option that click refuses: it has the message.
    """

    def __init__(self) -> None:
        self.options: list[str] = []
        self.operands: list[str] = []
        self.given: set[str | None] = set()
        self.sound = True

    @property
    def words(self) -> list[str]:
        """The words in an order that click parses unambiguously."""
        return [*self.options, "--", *self.operands] if self.sound else self.options

    def take(self, spelling: _Spelling | None, word: str) -> None:
        """Add a flag, or an unknown option."""
        self.options.append(word)
        if spelling is None:
            self.sound = False
        else:
            self.given.add(spelling.option.name)

    def take_with_value(
        self, spelling: _Spelling, name: str, attached: str | None, others: deque[str]
    ) -> None:
        """Add an option with its value: attached, or the next word."""
        self.given.add(spelling.option.name)
        if attached is None and others and (spelling.bare is None or not _looks_like_option(others[0])):
            attached = others.popleft()
        value = spelling.bare if attached is None else attached
        self.options.append(name if value is None else f"{spelling.long}={value}")
        self.sound = value is not None


class Command(Helped):
    """A command that lets click process only the parameters that a line gives, and caches the other values.

    A batch parses thousands of lines for the same few commands. Taking the value of each option
    that is not given through its type would be most of the time, and it stays the same: none of our
    options takes its value from a prompt, the environment or a function.
    ``finish`` has the last word on the parameters of a line: see `options.Combine`.
    """

    values: str | None = None
    """The pattern of words that begin with ``-`` and are values rather than options."""
    takes_program = False
    """Whether the last argument is a command line, whose options are not shmctl's."""

    def __init__(
        self, *args: Any, finish: Callable[[click.Context], None] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.finish = finish
        self._all_params: list[click.Parameter] = []
        self._spellings: dict[str, _Spelling] = {}
        self._operands_end: int | None = None
        self._some = _SomeParams(None)
        self._settled: set[str | None] = set()
        self._defaults: dict[str, Any] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, except for cached values."""
        try:
            return self._parse(ctx, args)
        except click.UsageError as problem:
            # Click omits the context if an option lacks its value; the hint needs it to name the command.
            problem.ctx = problem.ctx or ctx
            raise

    def _parse(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not self._all_params:
            self._learn(ctx)
        if ctx.resilient_parsing and args and args[-1] in self._spellings:
            # The value of this option is what the shell completes; click would stop at it.
            args = args[:-1] if self._spellings[args[-1]].takes_value else args
        line = self._split(args)
        if ctx.resilient_parsing or not line.sound:
            return super().parse_args(ctx, line.words)
        given = line.given
        # Options that share a name, such as --raw and --hex, are processed together.
        considered = [p for p in self._all_params if p.name in given or p.name not in self._settled]
        self._some.params = considered
        rest = self._some.parse_args(ctx, line.words)
        for param in considered:
            if param.name not in given and isinstance(param, click.Option):
                self._settled.add(param.name)
                if param.expose_value:
                    self._defaults[param.name] = ctx.params[param.name]
        ctx.params = {**self._defaults, **ctx.params}
        if self.finish:
            self.finish(ctx)
        return rest

    def _learn(self, ctx: click.Context) -> None:
        self._all_params = self.get_params(ctx)
        options = [param for param in self._all_params if isinstance(param, click.Option)]
        for option in options:
            takes_value = not (option.is_flag or option.count)
            bare = option.bare if isinstance(option, OptionWithBareValue) else None
            for spellings in (option.opts, option.secondary_opts):
                long = max(spellings, key=len, default="")
                for spelling in spellings:
                    self._spellings[spelling] = _Spelling(option, long, takes_value, bare)
        if self.takes_program:
            self._operands_end = len(self._all_params) - len(options)

    def _split(self, args: Sequence[str]) -> _Line:
        """Separate options, their values and operands by the rules of getopt_long(3)."""
        line = _Line()
        words = deque(args)
        while words and line.sound:
            word = words.popleft()
            if word == "--":
                line.operands += words
                break
            if not _looks_like_option(word) or (self.values and re.match(self.values, word)):
                line.operands.append(word)
                if len(line.operands) == self._operands_end:
                    line.operands += words
                    break
            elif word.startswith("--"):
                self._take_long_option(line, word, words)
            else:
                self._take_short_options(line, word, words)
        return line

    def _take_long_option(self, line: _Line, word: str, others: deque[str]) -> None:
        name, equals, value = word.partition("=")
        spelling = self._spellings.get(name)
        if spelling is None or not spelling.takes_value:
            # Click reports a flag with a value.
            line.take(spelling, word)
        else:
            line.take_with_value(spelling, name, value if equals else None, others)

    def _take_short_options(self, line: _Line, word: str, others: deque[str]) -> None:
        for end, letter in enumerate(word[1:], 2):
            name = f"-{letter}"
            spelling = self._spellings.get(name)
            if spelling is not None and spelling.takes_value:
                line.take_with_value(spelling, name, word[end:] or None, others)
                return
            line.take(spelling, spelling.long if spelling else word)
            if spelling is None:
                return


def _looks_like_option(word: str) -> bool:
    return word[:1] == "-" and word != "-"


class _SomeParams(click.Command):
    """The parameters of a command that a line gives."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return these alone: click would add --help and check for duplicate spellings."""
        return self.params


class CommandWithValues(Command):
    """A command that takes ``-5`` as a value."""

    values = _NEGATIVE_NUMBER


class CommandWithMode(Command):
    """A command that takes ``-w`` as a symbolic mode."""

    values = _TAKEN_MODE


class CommandWithProgram(Command):
    """A command whose options end where CMD begins, as in env(1) and timeout(1): ``--`` is optional."""

    takes_program = True

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return all parameters; after a word of CMD, a shell completes no options of shmctl."""
        params = super().get_params(ctx)
        arguments: list[click.Parameter] = [param for param in params if isinstance(param, click.Argument)]
        return arguments if ctx.resilient_parsing and ctx.params.get(arguments[-1].name) else params
