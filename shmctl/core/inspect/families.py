"""Which software makes which object names, and whether such objects are meant to stay."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from shmctl.core.names import Name

_PID_MAX = 2**22
_UID_MAX = 2**32 - 2


class Lifetime(StrEnum):
    """How long objects of a family are meant to stay."""

    USERS = "users"
    """Free to go once no process holds it."""
    CREATOR = "creator"
    """Needed, perhaps closed and unmapped, while its creator lives: the PID in the name."""
    PERSISTENT = "persistent"
    """Meant to stay when no process holds it."""


@dataclass(frozen=True, slots=True)
class Family:
    """The names that one piece of software gives its objects.

    A name belongs to it when one of the regular expressions ``patterns`` matches
    the whole of it, without its slash. ``tracker`` matches a part of the command
    line of a process that may need an object of its user's although no process
    has it open.
    """

    software: str
    patterns: tuple[str, ...]
    lifetime: Lifetime
    tracker: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """What a name says about its object.

    ``pid`` is its creator's process ID, in the PID namespace of the creator;
    ``uid`` is the creator's user. Objects of one family with an equal
    ``set_key`` belong together. Each is ``None`` where the name does not tell.
    """

    family: Family
    pid: int | None
    uid: int | None
    set_key: str | None


class Families:
    """Families in order of precedence: a name belongs to the first that matches it."""

    def __init__(self, families: Iterable[Family]) -> None:
        self.families = tuple(families)
        entries = [
            _Entry(literal_prefix(pattern), pattern, family)
            for family in self.families
            for pattern in family.patterns
        ]
        self._anywhere = [entry for entry in entries if not entry.prefix]
        # By the first character of the names that can match: most patterns never see most names.
        self._by_start = {
            start: [entry for entry in entries if entry.prefix[:1] in ("", start)]
            for start in {entry.prefix[0] for entry in entries if entry.prefix}
        }

    def __iter__(self) -> Iterator[Family]:
        return iter(self.families)

    def match(self, name: Name) -> Match | None:
        """Return what ``name`` says, or ``None`` if it belongs to no family.

        A PID or user ID that cannot be one (too large, leading zeros) is
        left out. Bytes that are not UTF-8 are matched as lone surrogates.
        """
        bare = name[1:].decode("utf-8", "surrogateescape")
        for entry in self._by_start.get(bare[:1], self._anywhere):
            if bare.startswith(entry.prefix) and (found := entry.fullmatch(bare)):
                groups = found.groupdict()
                pid = _number(groups.get("pid"), 1, _PID_MAX)
                uid = _number(groups.get("uid"), 0, _UID_MAX)
                return Match(entry.family, pid, uid, groups.get("set"))
        return None


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of names. A name may have any byte in it, line feeds as well: '.' has to mean that."""
    return re.compile(pattern, re.DOTALL)


class _Entry:
    """A pattern, compiled when a name first begins as its matches do: all together take 20 ms."""

    def __init__(self, prefix: str, pattern: str, family: Family) -> None:
        self.prefix = prefix
        self.family = family
        self._pattern = pattern

    @cached_property
    def fullmatch(self) -> Callable[[str], re.Match[str] | None]:
        return compiled(self._pattern).fullmatch


_LITERALS = re.compile(r"(?:(?:\\[^a-zA-Z0-9]|[^\\.^$*+?{}\[\]()|])(?![*?{]))*")
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_CHARACTER_SET = re.compile(r"\[\^?\]?[^]]*\]")
_INNERMOST_GROUP = re.compile(r"\([^()]*\)")


def literal_prefix(pattern: str) -> str:
    """Return characters with which every match of a regular expression begins, if not all of them."""
    rest = _CHARACTER_SET.sub("", _ESCAPE.sub("", pattern))
    while "|" in rest and (shorter := _INNERMOST_GROUP.sub("", rest)) != rest:
        rest = shorter
    start = _LITERALS.match(pattern)
    if "|" in rest or not start:
        return ""
    return _ESCAPE.sub(lambda escape: escape[0][1], start[0])


def _number(text: str | None, smallest: int, largest: int) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    number = int(text)
    return number if str(number) == text and smallest <= number <= largest else None
