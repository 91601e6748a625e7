"""The guards that stand between shmctl and what could go wrong, and how each is taken out.

`threats.toml` has those of the rows of SECURITY.md, `environments.toml` those of the tests of environments.
A change names a definition, wherever it stands, by as much of its dotted name as only it has:

    in = "posix.open_path"

and one thing in it. Of the keys that follow, WORDS are code that the thing mentions, in any formatting:

    statement = WORDS      a statement, or a compound one by its first line: it becomes `pass`, or the
                           statements of `becomes`
    condition = WORDS      the condition of an if or while: it becomes False, or `becomes`
    handler = WORDS        what an `except` catches: it becomes `becomes`, or the statements of `begin`
                           come first after it
    part = WORDS           the smallest operand of |, and, or; item of a list, tuple, dictionary; argument of
                           a call: it goes
    argument = NAME        the value that a call gives by this name, of a call that mentions `of` if there are
                           several: it becomes `becomes`
    expression = PATTERN   an expression: it becomes `becomes`. In a pattern a bare name fits an attribute of
                           any module, ... fits anything, and _1, _2 are put in again where `becomes` has them
    begin = CODE           statements that are put where a function begins
    returns = CODE         all that a function does from now on
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Guard:
    """What is taken out ("the check that ..."), how, and the tests that each have to fail without it.

    ``row`` begins a row of SECURITY.md, or is a test function of the environments; ``file`` names the file
    that it stands in, without its ending.
    """

    file: str
    row: str
    guard: str
    tests: tuple[str, ...]
    changes: tuple[Mapping[str, str], ...]


def all_guards() -> list[Guard]:
    """The guards in the files of this folder."""
    return [
        _guard(path.stem, **entry)
        for path in sorted(FOLDER.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["guard"]
    ]


def _guard(file: str, row: str, guard: str, tests: list[str], change: list[dict[str, str]]) -> Guard:
    return Guard(file, row, guard, tuple(tests), tuple(change))
