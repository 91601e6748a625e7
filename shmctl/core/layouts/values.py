"""What typed memory holds, and how it is written as text and as JSON.

A value is a plain int, float, bool or str, or one of the small subclasses here,
which compare as their base type does. Its text is unambiguous: `scalars` and
`fields` read it back to the same bytes.
"""

import math
import struct
from collections.abc import Mapping
from typing import TypeAlias

BIG = 1 << 53
"""Integers beyond this lose digits in programs that take JSON's numbers for doubles."""


class Address(int):
    """A pointer's value: shown in hexadecimal, ``0x7f00``."""


class Float32(float):
    """A float read from four bytes: shown by the fewest digits that give the same four bytes."""


class Spelled(float):
    """A floating-point value that a double does not hold: ``spelled`` names it exactly."""

    spelled: str

    def __new__(cls, value: float, spelled: str) -> "Spelled":
        """Make the value nearest to it, with its exact text."""
        self = super().__new__(cls, value)
        self.spelled = spelled
        return self


class Char(str):
    """One byte of type ``char``, as the character of the same number (0 to 255)."""


class Enumerator(int):
    """An enum's value; ``label`` is the name that the enum gives it, ``RED|BLUE`` for flags, or None."""

    label: str | None

    def __new__(cls, number: int, label: str | None = None) -> "Enumerator":
        """Make the value ``number``, called ``label``."""
        self = super().__new__(cls, number)
        self.label = label
        return self


class Text(str):
    """An array of characters; ``shown`` and ``json`` are its text for people and in JSON, escaped."""

    shown: str
    json: str

    def __new__(cls, text: str, shown: str, json: str) -> "Text":
        """Make the text, with its escaped forms."""
        self = super().__new__(cls, text)
        self.shown = shown
        self.json = json
        return self


class State(str):
    """What a lock's bytes say, in words; ``facts`` are the same for JSON."""

    facts: Mapping[str, object]

    def __new__(cls, words: str, facts: Mapping[str, object]) -> "State":
        """Make the state, with its facts by key."""
        self = super().__new__(cls, words)
        self.facts = facts
        return self


Value: TypeAlias = int | float | bool | str

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def to_text(value: Value) -> str:  # noqa: PLR0911 - a return for each kind of value
    r"""``value`` on one line: ``3``, ``0.1``, ``true``, ``A``, ``\n``, ``0x7f00``, ``RED``, ``hello``.

    Characters that are not printable are escaped, so that no value can break
    a line or reach a terminal as a control sequence.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enumerator):
        return value.label or str(int(value))
    if isinstance(value, Address):
        return hex(value)
    if isinstance(value, Char):
        return "\\\\" if value == "\\" else "".join(_escape(c, printable_limit=0x7F) for c in value)
    if isinstance(value, Text):
        return value.shown
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Spelled):
        return value.spelled
    return repr(shortest(value)) if isinstance(value, float) else str(value)


def to_json(value: Value, *, big_as_text: bool = False) -> object:  # noqa: PLR0911 - as above
    """``value`` as JSON knows it; what it does not know, such as NaN and addresses, as strings.

    With ``big_as_text`` integers beyond 2**53 are strings, too.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, Address):
        return hex(value)
    if isinstance(value, Spelled):
        exact = math.isfinite(value) and repr(float(value)) == value.spelled
        return float(value) if exact else value.spelled
    if isinstance(value, float):
        number = shortest(value)
        return number if math.isfinite(number) else repr(number)
    if isinstance(value, Text):
        return value.json
    if isinstance(value, State):
        return dict(value.facts)
    if isinstance(value, str):
        return str(value)
    return str(int(value)) if big_as_text and abs(value) > BIG else int(value)


def shortest(value: float) -> float:
    """The double whose ``repr`` is the shortest text that names ``value`` at its own precision."""
    if not isinstance(value, Float32) or not math.isfinite(value):
        return float(value)
    packed = struct.pack("=f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(1, 9))
    return next((c for c in candidates if _packs_to(c, packed)), float(f"{value:.9g}"))


def _packs_to(candidate: float, packed: bytes) -> bool:
    try:
        return struct.pack("=f", candidate) == packed
    except OverflowError:  # rounding to few digits passed the greatest float
        return False


def escape(text: str) -> str:
    r"""``text`` with each character that is not printable as ``\n``, ``\xNN`` or ``\uNNNN``."""
    return "".join(map(_escape, text))


def _escape(char: str, printable_limit: int = 0x110000) -> str:
    code = ord(char)
    if char.isprintable() and code < printable_limit:
        return char
    if char in _ESCAPES:
        return _ESCAPES[char]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8 on the command line
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote(text: str, limit: int = 60) -> str:
    """``text`` for an error message: on one line, printable, of at most ``limit`` characters."""
    shown = escape(text)
    if len(shown) > limit:
        shown = shown[: limit - 3] + "..."
    return shown or "an empty text"
