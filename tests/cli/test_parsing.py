"""Our commands parse as click's do: the same values or the same complaint, the first time and ever after."""

import os
import re
from copy import copy
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.cli.group import COMMANDS, cli
from shmctl.cli.parsing import Command, CommandWithProgram, OptionWithBareValue
from shmctl.cli.types import ParamType
from shmctl.core.errors import InputError

WORDS = [
    "/a",
    "b",
    "-5",
    "-0x1",
    "4K",
    "600",
    "root",
    "1.5",
    "x=3",
    "== 1",
    "--",
    "-",
    "",
    "int32",
    "-n=3",
    "é",
]
MARK = "\ue000"


def all_commands() -> dict[str, click.Command]:
    """Each command and subcommand by its name."""
    found: dict[str, click.Command] = {}
    group_context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(group_context, name)
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": below for sub, below in command.commands.items()}
        elif command is not None:
            found[name] = command
    return found


def unfinished(command: click.Command) -> click.Command:
    """The command, without what it makes of its parameters once they are parsed."""
    bare = copy(command)
    if isinstance(bare, Command):
        bare.finish = None
    return bare


ALL = {name: unfinished(command) for name, command in all_commands().items()}


class Unmarking(ParamType):
    """A type that never sees the mark with which `marked` hides a negative number from click."""

    def __init__(self, inner: ParamType) -> None:
        self.name = inner.name
        self._inner = inner

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        value = value.removeprefix(MARK) if isinstance(value, str) else value
        return self._inner.convert(value, param, ctx)


def as_click_has_it(param: click.Parameter) -> click.Parameter:
    if isinstance(param, OptionWithBareValue):
        words = [*param.opts, param.name]
        return click.Option(words, type=param.type, is_flag=False, flag_value=param.bare)
    return copy(param)


def plain(command: click.Command) -> click.Command:
    """The same parameters, parsed by click itself."""
    params = [as_click_has_it(param) for param in command.params]
    if isinstance(command, Command) and command.values:
        for param in params:
            if not getattr(param, "is_flag", False):
                param.type = Unmarking(param.type)
    settings = {"allow_interspersed_args": not isinstance(command, CommandWithProgram)}
    return click.Command(command.name, params=params, context_settings=settings)


def outcome(command: click.Command, args: list[str]) -> dict[str, Any] | str:
    """The values that a command line gives, or what is wrong with it."""
    context = click.Context(cli, info_name="shmctl", **cli.context_settings)
    try:
        with command.make_context(command.name, list(args), parent=context) as made:
            return {**made.params, "args": made.args}
    except click.exceptions.Exit as ended:
        return f"ends with {ended.exit_code}"
    except click.ClickException as problem:
        return f"{type(problem).__name__}: {problem.format_message()}"
    except InputError as problem:
        return f"InputError: {problem}"


def marked(command: click.Command, args: list[str]) -> list[str]:
    """The words as click has to get them to take a negative number for a value."""
    values = command.values if isinstance(command, Command) else None
    if values is None:
        return args
    # Also behind "--", where it changes nothing: that word may be the value of an option.
    return [MARK + arg if re.match(values, arg) else arg for arg in args]


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    # Click has no way to say that options end at the second operand, as they do for lock.
    name = draw(st.sampled_from(sorted(ALL.keys() - {"lock"})))
    options = [
        spelling
        for param in ALL[name].params
        if isinstance(param, click.Option)
        for spelling in (*param.opts, *param.secondary_opts)
    ]
    # Not --help, which prints a page.
    spellings = st.sampled_from([*options, "--unknown", "-z"])
    part = (
        st.sampled_from(WORDS)
        | spellings
        | st.builds("{}={}".format, spellings, st.sampled_from(WORDS))
        | st.builds("{}{}".format, spellings, st.sampled_from(WORDS))
    )
    # What click takes for two options is a value of the first.
    part = part.filter(lambda word: not word.startswith("--watch=-"))
    return name, draw(st.lists(part, max_size=6))


@settings(max_examples=3000, deadline=None)
@given(command_lines())
@pytest.mark.long
def test_same_as_click(line: tuple[str, list[str]]) -> None:
    name, args = line
    command = ALL[name]
    expected = outcome(plain(command), marked(command, args))
    assert outcome(command, args) == expected
    assert outcome(command, args) == expected, "the second time"


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_is_one_of_ours(name: str) -> None:
    assert isinstance(ALL[name], Command)


@pytest.mark.parametrize("name", sorted(ALL))
def test_nothing_that_is_kept_can_change(name: str) -> None:
    """Values of options that are not given are worked out once: so they must not depend on anything."""
    for param in ALL[name].params:
        assert not callable(param.default)
        assert param.envvar is None
        assert param.callback is None
        assert getattr(param, "prompt", None) is None
        if isinstance(param, click.Option):
            assert param.nargs == 1
            assert not param.count


@pytest.mark.parametrize(
    ("line", "name", "argv", "given"),
    [
        ("/a echo", "/a", "echo", {}),
        ("/a -- echo", "/a", "echo", {}),
        ("-- /a echo", "/a", "echo", {}),
        ("/a echo --shared", "/a", "echo --shared", {}),
        ("/a --shared echo", "/a", "echo", {"shared": True}),
        (
            "--shared /a --timeout 1 echo --timeout 2",
            "/a",
            "echo --timeout 2",
            {"shared": True, "timeout": 1},
        ),
        ("/a echo -- -x", "/a", "echo -- -x", {}),
        ("/a -- -x --shared", "/a", "-x --shared", {}),
        ("/a -- -- x", "/a", "-- x", {}),
        ("/a sh -c --help -h", "/a", "sh -c --help -h", {}),
        ("/a nice -5 true", "/a", "nice -5 true", {}),
    ],
)
def test_options_end_where_the_program_begins(line: str, name: str, argv: str, given: dict[str, Any]) -> None:
    values = outcome(ALL["lock"], line.split())
    assert isinstance(values, dict), values
    assert (os.fsdecode(values["name"]), " ".join(values["argv"])) == (name, argv)
    assert {
        key: value for key, value in values.items() if key not in ("name", "argv", "args") and value
    } == given


@pytest.mark.parametrize(
    "line",
    [
        "write -5 abc",
        "write /x -i -1",
        "write /x --type int8 -n -1 -5",
        "wait --timeout -1 /x",
        "write /x -m -1",
    ],
)
def test_nothing_is_hidden_in_a_negative_number(line: str) -> None:
    name, *args = line.split()
    assert "\\x" not in repr(outcome(ALL[name], args))
    assert MARK not in repr(outcome(ALL[name], args))


def test_many_options_in_one_word() -> None:
    values = outcome(ALL["ls"], ["-" + "rab" * 30_000])
    assert isinstance(values, dict), values
    assert (values["reverse"], values["everything"], values["sizes"]) == (True, True, "bytes")


def test_many_operands() -> None:
    """Click takes words from the front of a list, in a time that grows as the square of their number."""
    values = outcome(ALL["write"], ["/x", "--type", "int8", *["-1"] * 300_000])
    assert isinstance(values, dict), values
    assert len(values["values"]) == 300_000
