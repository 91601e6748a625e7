"""Commands that parse as click's do, and work out only once what no argument changes.

A batch parses thousands of lines for the same few commands. Building the parser,
and taking the value of each option that is not given through its type, would be
most of the time.
"""

import re
from collections.abc import Callable
from typing import Any

import click
from click._utils import UNSET
from click.core import iter_params_for_processing
from click.parser import _OptionParser, _ParsingState

_NEGATIVE_NUMBER = re.compile(r"-(0[xX]|[0-9.])")
# No argument of a process can have a NUL byte, so this cannot be anything that was typed.
_VALUE_MARK = "\0"


class Helped(click.Command):
    """Has a ``--help`` as click's own, which would look for a translation that nobody has made.

    Looking for it takes a millisecond at each start, whether help is wanted or not.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._help_params: list[click.Option] = []

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """The one help option: click compares parameters by identity."""
        if not self._help_params:
            self._help_params.append(
                click.Option(
                    [*self.get_help_option_names(ctx), "_help_is_wanted"],
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


class Command(Helped):
    """Keeps its parser, and the values of what is not given, for the next time.

    They stay the same: none of our options takes its value from a prompt, the environment or a function.
    ``finish`` has the last word on the parameters of a line: see `options.Combine`.
    """

    def __init__(
        self, *args: Any, finish: Callable[[click.Context], None] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.finish = finish
        self._parser: _Parser | None = None
        self._all_params: list[click.Parameter] = []
        self._settled: set[str] = set()
        self._defaults: dict[str, Any] = {}

    def make_parser(self, ctx: click.Context) -> _OptionParser:
        """The command's one parser, at work for ``ctx``."""
        if self._parser is None:
            self._parser = _Parser(ctx)
            self._all_params = self.get_params(ctx)
            for param in self._all_params:
                param.add_to_parser(self._parser, ctx)
        self._parser.ctx = ctx
        return self._parser

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, but for what is settled."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        given, rest, order = self.make_parser(ctx).parse_args(list(args))
        # Options that share a name, as --raw and --hex do, agree on one value: all of them, or none.
        open_params = [p for p in self._all_params if p.name in given or p.name not in self._settled]
        for param in iter_params_for_processing(order, open_params):
            _, rest = param.handle_parse_result(ctx, given, rest)
        if rest:
            # Click has the words for arguments that are too many.
            return super().parse_args(ctx, args)
        values = {name: None if value is UNSET else value for name, value in ctx.params.items()}
        for param in open_params:
            if param.name not in given:
                self._settled.add(param.name)
                if param.expose_value:
                    self._defaults[param.name] = values[param.name]
        ctx.params = {**self._defaults, **values}
        if self.finish:
            self.finish(ctx)
        return rest


class CommandWithValues(Command):
    """Takes ``-5`` for a value, not for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Mark negative numbers, as far as the first ``--``, so that click takes them for arguments."""
        end = args.index("--") if "--" in args else len(args)
        marked = [_VALUE_MARK + arg if _NEGATIVE_NUMBER.match(arg) else arg for arg in args[:end]]
        return super().parse_args(ctx, marked + args[end:])


def unmarked(value: str) -> str:
    """What was typed as an argument of a `CommandWithValues`."""
    return value.removeprefix(_VALUE_MARK)


class _Parser(_OptionParser):
    """Knows short options at sight, where click first looks for a long one of that name."""

    def _process_opts(self, arg: str, state: _ParsingState) -> None:
        if arg in self._short_opt:
            self._match_short_opt(arg, state)
        else:
            super()._process_opts(arg, state)
