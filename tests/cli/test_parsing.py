"""Our commands parse as click's do: the same values or the same complaint, the first time and ever after."""

from copy import copy
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.cli.group import COMMANDS, cli
from shmctl.cli.parsing import Command, CommandWithValues
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


def plain(command: click.Command) -> click.Command:
    """The same parameters, parsed by click itself."""
    return click.Command(command.name, params=list(command.params))


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
    """What a command that takes negative values hands to click."""
    if not isinstance(command, CommandWithValues):
        return args
    end = args.index("--") if "--" in args else len(args)
    negative = [arg for arg in args[:end] if arg[:1] == "-" and arg[1:2].isdigit()]
    return [f"\0{arg}" if arg in negative else arg for arg in args[:end]] + args[end:]


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    name = draw(st.sampled_from(sorted(ALL)))
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
