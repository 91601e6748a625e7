"""Symbolic modes, as in chmod(1): ``u+x``, ``go=``, ``a=rX,u+w``, ``-w``."""

import os
import re
from typing import NamedTuple

from shmctl.core.errors import InputError

_ALL = 0o7777
_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": _ALL}
_PERMISSIONS = {"r": 0o444, "w": 0o222, "x": 0o111, "X": 0, "s": 0o6000, "t": 0o1000}
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[0-7]+|[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([0-7]+|[ugo]|[rwxXst]*)")


class _Change(NamedTuple):
    """An operator, its right side, and the bits that it may touch: 0 without a letter of ``ugoa``."""

    operator: str
    what: str
    affected: int


class Mode(NamedTuple):
    """Changes to a mode, one after the other, under a umask."""

    changes: tuple[_Change, ...]
    umask: int

    def apply(self, mode: int) -> int:
        """Return the permission bits that follow from ``mode``."""
        mode &= _ALL
        for operator, what, affected in self.changes:
            value = _value(what, mode) & (affected or ~self.umask)
            if operator == "+":
                mode |= value
            elif operator == "-":
                mode &= ~value
            else:
                mode = mode & ~affected | value if affected else value
        return mode


def parse_symbolic(text: str, umask: int) -> Mode:
    """Parse a symbolic mode. Raises InputError."""
    changes = []
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if not match:
            raise _invalid(text)
        affected = 0
        for letter in match[1]:
            affected |= _WHO[letter]
        for operator, what in _ACTION.findall(match[2]):
            octal = what[:1].isdigit()
            if octal and (affected or int(what, 8) > _ALL or not match[2].endswith(what)):
                raise _invalid(text)
            changes.append(_Change(operator, what, _ALL if octal else affected))
    return Mode(tuple(changes), umask)


def current_umask() -> int:
    """Return the process's umask, which can be read only by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _value(what: str, mode: int) -> int:
    """Return the bits that the right side of an operator stands for, for every class of users."""
    if what[:1].isdigit():
        return int(what, 8)
    if what in ("u", "g", "o"):
        bits = mode >> {"u": 6, "g": 3, "o": 0}[what] & 0o7
        return bits * 0o111
    value = 0
    for letter in what:
        value |= _PERMISSIONS[letter]
    return value | 0o111 if "X" in what and mode & 0o111 else value


def _invalid(text: str) -> InputError:
    return InputError(f"invalid mode '{text}'", hint="modes are as in chmod(1): 600, 0644, u+rw, go=, a=rX")
