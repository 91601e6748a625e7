"""What typed memory holds, and how it is written as text and as JSON.

A value is a plain int, float, bool or str (text, or bytes in hex), or one of
the small subclasses here, which compare as their base type does.
"""

import math
import struct
from typing import TypeAlias


class Address(int):
    """A pointer's value: shown in hexadecimal, ``0x7f00``."""


class Float32(float):
    """A float read from four bytes: shown by the fewest digits that give the same four bytes."""


class Char(str):
    """One byte of type ``char``, as the character of the same number (0 to 255)."""


class Enumerator(int):
    """An enum's value; ``label`` is the name that the enum gives it, or None."""

    label: str | None

    def __new__(cls, number: int, label: str | None = None) -> "Enumerator":
        """Make the value ``number``, called ``label``."""
        self = super().__new__(cls, number)
        self.label = label
        return self


Value: TypeAlias = int | float | bool | str

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def to_text(value: Value) -> str:
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
    if isinstance(value, str):
        return escape(value)
    return repr(shortest(value)) if isinstance(value, float) else str(value)


def to_json(value: Value) -> int | float | bool | str | None:
    """``value`` as JSON knows it; NaN, infinities and addresses, which it does not know, as strings."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Address):
        return hex(value)
    if isinstance(value, float):
        number = shortest(value)
        return number if math.isfinite(number) else repr(number)
    return str(value) if isinstance(value, str) else int(value)


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
