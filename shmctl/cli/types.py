"""Parameter types: how arguments and options are parsed and completed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from shmctl.core.names import Name, parse_name, parse_path
from shmctl.core.sizes import parse_duration, parse_mode, parse_size

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from shmctl.cli.completion.candidates import Completer

    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # older versions of click do not support subscripts


class Parsed(ParamType):
    """A parameter that a function of the library parses; its InputError is a usage error."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse text; leave a default alone."""
        return self._parse(value) if isinstance(value, str) else value


class WholeNumber(ParamType):
    """A number from ``low`` to ``high``, in digits; click's own writes ``[x>=1]`` into the help."""

    name = "number"

    def __init__(self, low: int, high: int | None = None) -> None:
        self.low = low
        self.high = high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse text; leave a default alone."""
        if not isinstance(value, str):
            return value
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
            self.fail(f"'{value}' is not a whole number", param, ctx)
        number = int(value)
        if number < self.low:
            self.fail(f"{number} is less than {self.low}", param, ctx)
        if self.high is not None and number > self.high:
            self.fail(f"{number} is more than {self.high}", param, ctx)
        return number


class NameType(Parsed):
    """An object's name, completed from /dev/shm."""

    def __init__(self, parse: Callable[[str], Name] = parse_name) -> None:
        super().__init__("name", parse)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Complete object names, in the spelling that the user began."""
        return _complete_names(ctx, incomplete)


class FileType(ParamType):
    """A file's path, kept as typed and completed by the shell."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Leave completion to the shell."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class PatternType(ParamType):
    """An object's name or a glob, kept as typed."""

    name = "pattern"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        """Complete object names."""
        return _complete_names(ctx, incomplete)


def _complete_names(ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
    from shmctl.cli.completion.candidates import complete_names

    return complete_names(ctx, incomplete)


def completed_by(name: str) -> "Completer":
    """The function of that name in `completion.candidates`, which is loaded when a shell asks."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        from shmctl.cli.completion import candidates

        completer: Completer = getattr(candidates, name)
        return completer(ctx, param, incomplete)

    return complete


def parse_interval(text: str) -> float:
    """Parse the interval of --watch, 0.05 seconds at least."""
    return max(parse_duration(text), 0.05)


def user_id(text: str) -> int:
    """Return the user ID of a login name or number."""
    import pwd

    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        pass
    return _number_or_fail(text, "user")


def group_id(text: str) -> int:
    """Return the group ID of a group name or number."""
    import grp

    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        pass
    return _number_or_fail(text, "group")


def _number_or_fail(text: str, what: str) -> int:
    # The largest ID means "unchanged" in chown(2); a plus is chown(1)'s mark of a number.
    text = text.removeprefix("+")
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32 - 1:
        return int(text)
    raise click.UsageError(f"unknown {what} '{text}'")


NAME = NameType()
PATH = NameType(parse_path)
"""A name, or the path of a file in a directory of /dev/shm."""
PATTERN = PatternType()
FILE = FileType()
SIZE = Parsed("size", parse_size)
DURATION = Parsed("duration", parse_duration)
MODE = Parsed("mode", parse_mode)
