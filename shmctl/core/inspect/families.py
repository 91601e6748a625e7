"""Which software makes which object names, and whether such objects are meant to stay."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from shmctl.core.names import Name

_PID_MAX = 2**22
_UID_MAX = 2**32 - 2


class Lifetime(StrEnum):
    """How long objects of a family are meant to stay."""

    USERS = "users"
    """Free to go once nobody holds it."""
    CREATOR = "creator"
    """Its creator, the PID in the name, may have closed and unmapped it and need it all the same."""
    PERSISTENT = "persistent"
    """Meant to stay when nobody holds it."""


@dataclass(frozen=True, slots=True)
class Family:
    """Names that one piece of software makes.

    A name belongs to it when one of ``patterns`` matches the whole of it,
    without its slash.
    """

    software: str
    patterns: tuple[re.Pattern[str], ...]
    lifetime: Lifetime


@dataclass(frozen=True, slots=True)
class Match:
    """What a name says about its object.

    ``pid`` is its creator's process ID, in whichever PID namespace that
    lived; ``uid`` its creator's user. Objects of one family with an equal
    ``set_key`` belong together. Each is ``None`` where the name does not tell.
    """

    family: Family
    pid: int | None
    uid: int | None
    set_key: str | None


class Families:
    """Families in order of precedence: the first that matches a name has it."""

    def __init__(self, families: Iterable[Family]) -> None:
        self.families = tuple(families)
        entries = [
            _Entry(literal_prefix(pattern.pattern), pattern, family)
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
        """What is known of ``name``, or ``None`` if no family has it.

        A PID or user ID that cannot be one (too large, leading zeros) is
        left out. Bytes that are not UTF-8 are matched as lone surrogates.
        """
        bare = name[1:].decode("utf-8", "surrogateescape")
        for entry in self._by_start.get(bare[:1], self._anywhere):
            if bare.startswith(entry.prefix) and (found := entry.pattern.fullmatch(bare)):
                groups = found.groupdict()
                pid = _number(groups.get("pid"), 1, _PID_MAX)
                uid = _number(groups.get("uid"), 0, _UID_MAX)
                return Match(entry.family, pid, uid, groups.get("set"))
        return None


@dataclass(frozen=True, slots=True)
class _Entry:
    prefix: str
    pattern: re.Pattern[str]
    family: Family


_LITERALS = re.compile(r"(?:(?:\\[^a-zA-Z0-9]|[^\\.^$*+?{}\[\]()|])(?![*?{]))*")
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_CHARACTER_SET = re.compile(r"\[\^?\]?[^]]*\]")
_INNERMOST_GROUP = re.compile(r"\([^()]*\)")


def literal_prefix(pattern: str) -> str:
    """Characters that each match of a regular expression begins with: perhaps not all of them."""
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
