"""The guards that stand between shmctl and what could go wrong, as edits that take each of them out.

`threats.toml` has those of the rows of SECURITY.md, `environments.toml` those of the tests of environments.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Change:
    """``new`` in place of ``old``, which stands in ``file`` once."""

    file: str
    old: str
    new: str


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
    changes: tuple[Change, ...]


def all_guards() -> list[Guard]:
    """The guards in the files of this folder."""
    return [
        _guard(path.stem, **entry)
        for path in sorted(FOLDER.glob("*.toml"))
        for entry in tomllib.loads(path.read_text())["guard"]
    ]


def _guard(file: str, row: str, guard: str, tests: list[str], change: list[dict[str, Any]]) -> Guard:
    return Guard(file, row, guard, tuple(tests), tuple(Change(**each) for each in change))


def take_out(guard: Guard, package: Path) -> None:
    """Make the changes in ``package``, a copy of shmctl/."""
    for change in guard.changes:
        path = package.parent / change.file
        text = path.read_text()
        assert text.count(change.old) == 1, change
        path.write_text(text.replace(change.old, change.new))
