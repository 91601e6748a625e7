"""Parse sizes, durations and modes; format sizes for people."""

import re

from shmctl.core.errors import InputError

OFF_T_MAX = 2**63 - 1
DURATION_MAX = 4e9
"""The longest duration, in seconds: over a hundred years. Clocks that count nanoseconds reach no thousand."""
_LETTERS = "KMGTPE"
# Compiled on first use: most commands parse one of them, or none.
_SIZE = r"(?:0[xX]([0-9a-fA-F]+)|([0-9]+)(?:([KMGTPE])(i?B)?)?)"
_UNIT = r"[KMGTPE](?:i?B)?"
_DURATION = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([smhd]?)"
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_MODE = r"(?:0[oO])?([0-7]+)"
_MODE_MAX = 0o7777


def parse_size(text: str) -> int:
    """Parse a size; returns bytes: ``100``, ``4K`` = ``4KiB`` = 4096, ``4KB`` = 4000, ``0x1000``.

    Raises InputError for anything else, and for more than off_t holds.
    """
    if text.isascii() and text.isdecimal() and len(text) < len(str(OFF_T_MAX)):
        return int(text)  # at start-up the pattern takes longer than all else here
    match = re.fullmatch(_SIZE, text, re.IGNORECASE | re.ASCII)
    if not match:
        raise InputError(f"invalid size '{text}'", hint="sizes look like 100, 4K, 4KiB, 4KB or 0x1000")
    hexadecimal, decimal, letter, unit = match.groups()
    if hexadecimal:
        size = int(hexadecimal, 16)
    else:
        # Longer numbers overflow anyway, and int() refuses thousands of digits.
        size = int(decimal) if len(decimal.lstrip("0")) <= len(str(OFF_T_MAX)) else OFF_T_MAX + 1
        if letter:
            base = 1000 if unit and unit.upper() == "B" else 1024
            size *= base ** (_LETTERS.index(letter.upper()) + 1)
    if size > OFF_T_MAX:
        raise InputError(f"size '{text}' is too large: {OFF_T_MAX} bytes is the most there can be")
    return size


def looks_like_size(text: str) -> bool:
    """Whether a word is a number of bytes, with a unit or without."""
    return re.fullmatch(_SIZE, text, re.IGNORECASE | re.ASCII) is not None


def looks_like_unit(text: str) -> bool:
    """Whether a word is a unit of bytes: ``K``, ``MiB``."""
    return re.fullmatch(_UNIT, text, re.IGNORECASE | re.ASCII) is not None


def parse_duration(text: str) -> float:
    """Parse ``0.5``, ``30s``, ``10m``, ``2h`` or ``3d`` into seconds (DURATION_MAX at most)."""
    match = re.fullmatch(_DURATION, text)
    if not match:
        raise InputError(f"invalid duration '{text}'", hint="durations look like 0.5, 30s, 10m, 2h or 3d")
    return min(float(match[1]) * _SECONDS[match[2]], DURATION_MAX)


def check_seconds(what: str, seconds: float) -> float:
    """A program's ``seconds``, brought within 0 and DURATION_MAX. Raises InputError for NaN."""
    bounded = float(min(max(seconds, 0.0), DURATION_MAX))
    if not bounded >= 0:
        raise InputError(f"invalid {what}: it is not a number")
    return bounded


def parse_mode(text: str) -> int:
    """Parse the octal permission bits ``600``, ``0600`` or ``0o600``. Raises InputError."""
    match = re.fullmatch(_MODE, text)
    if not match or int(match[1], 8) > _MODE_MAX:
        raise InputError(f"invalid mode '{text}'", hint="modes are octal, as in chmod(1): 600, 0644, 0o666")
    return int(match[1], 8)


def human_size(size: int) -> str:
    """``size`` bytes in three digits, rounded up, as ls -h writes it: ``100``, ``1.5K``, ``24G``."""
    if size < 1024:
        return str(size)
    power = min((size.bit_length() - 1) // 10, len(_LETTERS))
    tenths = -(-size * 10 // 1024**power)
    if tenths < 100:
        return f"{tenths // 10}.{tenths % 10}{_LETTERS[power - 1]}"
    whole = -(-size // 1024**power)
    if whole >= 1024 and power < len(_LETTERS):
        return f"1.0{_LETTERS[power]}"
    return f"{whole}{_LETTERS[power - 1]}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 object``, ``2 objects``; ``plural`` is the noun's where an s does not make it."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


ALL = -1
"""The count that means as many as there are."""


def parse_count(text: str) -> int:
    """A COUNT: a number, or ``all``. Raises InputError."""
    if text == "all":
        return ALL
    if not text.isascii() or not text.isdigit():
        raise InputError(f"invalid count '{text}'", hint="a count is a number from 0 up, or all")
    return parse_size(text)
