"""What each key of a change takes out of a module."""

import ast
from pathlib import Path

import pytest

from tests.guards.surgery import MatchError, Package

MODULE = '''
LIMITS = {"a": 1, "b": 2}

class Door:
    def close(self, fd):
        """Close it."""
        try:
            if fd < 0 and self.patient:
                wait(fd, limit=3)
            os.close(fd)
        except OSError:
            os.open(os.O_RDONLY | os.O_NOFOLLOW, fd)
'''


@pytest.fixture
def package(tmp_path: Path) -> Package:
    (tmp_path / "shmctl").mkdir()
    (tmp_path / "shmctl/doors.py").write_text(MODULE)
    return Package(tmp_path / "shmctl")


def changed(package: Package, **change: str) -> str:
    """The lines that a change leaves unlike what they were."""
    (text,) = package.changed([{"in": "Door.close", **change}]).values()
    before = ast.unparse(ast.parse(MODULE)).splitlines()
    return " ".join(line.strip() for line in text.splitlines() if line not in before)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"statement": "os.close"}, "pass"),
        ({"statement": "self.patient"}, "pass"),
        ({"statement": "wait", "becomes": "yield fd\nbreak_in()"}, "yield fd break_in()"),
        ({"condition": "patient"}, "if False:"),
        ({"condition": "fd < 0", "becomes": "True"}, "if True:"),
        ({"handler": "OSError", "becomes": "(KeyError, LookupError)"}, "except (KeyError, LookupError):"),
        ({"handler": "OSError", "begin": "raise"}, "raise"),
        ({"part": "O_NOFOLLOW"}, "os.open(os.O_RDONLY, fd)"),
        ({"part": "patient"}, "if fd < 0:"),
        ({"part": "limit"}, "wait(fd)"),
        ({"argument": "limit", "becomes": "4"}, "wait(fd, limit=4)"),
        ({"expression": "close(_1)", "becomes": "keep(_1, _1)"}, "keep(fd, fd)"),
        ({"expression": "open(_1 | _2, ...)", "becomes": "open(_2)"}, "open(os.O_NOFOLLOW)"),
        ({"expression": "wait(fd, limit=...)", "becomes": "None"}, "None"),
        ({"begin": "raise"}, "raise"),
        ({"returns": "None"}, "return None"),
    ],
)  # fmt: skip
def test_keys(package: Package, change: dict[str, str], left: str) -> None:
    assert changed(package, **change) == left


def test_an_item_of_a_constant(package: Package) -> None:
    (text,) = package.changed([{"in": "doors.LIMITS", "part": "'a'"}]).values()
    assert text.startswith("LIMITS = {'b': 2}")


@pytest.mark.parametrize(
    "change",
    [
        {"in": "Window.close", "returns": "None"},
        {"in": "Door.close", "statement": "fd"},
        {"in": "Door.close", "statement": "os.clos"},
        {"in": "Door.close", "condition": "fd < 0", "becomes": "fd < 0 and self.patient"},
    ],
    ids=["no such function", "several", "part of a word", "no change"],
)
def test_what_does_not_fit_is_told(package: Package, change: dict[str, str]) -> None:
    with pytest.raises(MatchError):
        package.changed([change])
