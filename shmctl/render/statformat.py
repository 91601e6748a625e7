"""The format of stat(1), filled in for an object."""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from shmctl.core.errors import InputError
from shmctl.core.models import ObjectInfo, group_entry, login_name, type_name
from shmctl.core.names import escape
from shmctl.render.shellwords import shell_word
from shmctl.render.times import stat_time

if TYPE_CHECKING:
    from types import ModuleType

Spelling = Callable[[bytes], str]

_DIRECTIVE = re.compile(
    r"%(?P<flags>[-+ #0'I]*)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]*))?(?P<letter>[HL][dr]|.|$)", re.S
)
_MAX_WIDTH = 4096


def _type_text(info: ObjectInfo) -> str:
    if stat.S_ISREG(info.st.st_mode):
        return "regular file" if info.size else "regular empty file"
    return type_name(info.st.st_mode).split(" ", 1)[1]


_TEXTS: dict[str, Callable[[ObjectInfo], str]] = {
    "A": lambda info: stat.filemode(info.st.st_mode),
    "C": lambda info: "?",
    "F": _type_text,
    "w": lambda info: "-" if info.btime_ns is None else stat_time(info.btime_ns),
    "x": lambda info: stat_time(info.st.st_atime_ns),
    "y": lambda info: stat_time(info.st.st_mtime_ns),
    "z": lambda info: stat_time(info.st.st_ctime_ns),
}
# Each of these may hold any byte.
_NAMES: dict[str, Callable[[ObjectInfo], bytes]] = {
    "G": lambda info: os.fsencode(group_entry(info.st.st_gid) or "UNKNOWN"),
    "U": lambda info: os.fsencode(login_name(info.st.st_uid) or "UNKNOWN"),
    "m": lambda info: info.directory.path,
    "n": lambda info: info.name,
}
# Each number with the conversion of printf(3) that stat(1) writes it with.
_NUMBERS: dict[str, tuple[Callable[[ObjectInfo], int], str]] = {
    "a": (lambda info: info.permissions, "o"),
    "b": (lambda info: info.st.st_blocks, "u"),
    "B": (lambda info: 512, "u"),
    "d": (lambda info: info.st.st_dev, "u"),
    "Hd": (lambda info: os.major(info.st.st_dev), "u"),
    "Ld": (lambda info: os.minor(info.st.st_dev), "u"),
    "D": (lambda info: info.st.st_dev, "x"),
    "f": (lambda info: info.st.st_mode, "x"),
    "g": (lambda info: info.st.st_gid, "u"),
    "h": (lambda info: info.st.st_nlink, "u"),
    "i": (lambda info: info.st.st_ino, "u"),
    "o": (lambda info: info.st.st_blksize, "u"),
    "r": (lambda info: info.st.st_rdev, "u"),
    "Hr": (lambda info: os.major(info.st.st_rdev), "u"),
    "Lr": (lambda info: os.minor(info.st.st_rdev), "u"),
    "R": (lambda info: info.st.st_rdev, "x"),
    "s": (lambda info: info.st.st_size, "d"),
    "t": (lambda info: os.major(info.st.st_rdev), "x"),
    "T": (lambda info: os.minor(info.st.st_rdev), "x"),
    "u": (lambda info: info.st.st_uid, "u"),
}
_SECONDS: dict[str, Callable[[ObjectInfo], int]] = {
    "W": lambda info: info.btime_ns or 0,
    "X": lambda info: info.st.st_atime_ns,
    "Y": lambda info: info.st.st_mtime_ns,
    "Z": lambda info: info.st.st_ctime_ns,
}
_LETTERS = frozenset({"N", *_TEXTS, *_NAMES, *_NUMBERS, *_SECONDS})


def check_format(text: str) -> str:
    """``text``, if it uses only directives that stat(1) has. Raises InputError."""
    for match in _DIRECTIVE.finditer(text):
        if match["letter"] not in _LETTERS and match[0] not in ("%", "%%"):
            raise InputError(
                f"invalid directive '{match[0]}' in format '{text}'", hint="letters are stat(1)'s"
            )
        if any(_is_too_wide(match[part] or "") for part in ("width", "precision")):
            raise InputError(f"'{match[0]}' in format '{text}' is too wide")
    return text


def _is_too_wide(digits: str) -> bool:
    # int() refuses thousands of digits.
    return len(digits) > 9 or int(digits or 0) > _MAX_WIDTH


def needs_birth_time(text: str) -> bool:
    """Whether ``text`` has a directive that shows when the object was created."""
    return any(match["letter"] in ("w", "W") for match in _DIRECTIVE.finditer(text))


def format_for_terminal(text: str, info: ObjectInfo) -> str:
    """``text``, which `check_format` has passed, with each directive filled in and names escaped."""
    return _filled(text, info, escape)


def format_for_program(text: str, info: ObjectInfo) -> bytes:
    """The same with names as they are; widths and precisions count bytes, as in C."""
    # One character a byte, until all is put together.
    return _filled(os.fsencode(text).decode("latin-1"), info, lambda name: name.decode("latin-1")).encode(
        "latin-1"
    )


def _filled(text: str, info: ObjectInfo, spell: Spelling) -> str:
    return _DIRECTIVE.sub(lambda match: _fill(match, info, spell), text)


def _fill(match: "re.Match[str]", info: ObjectInfo, spell: Spelling) -> str:
    letter, flags, precision = match["letter"], match["flags"], match["precision"]
    if letter in ("", "%"):
        return "%"
    if letter in _NUMBERS:
        value, conversion = _NUMBERS[letter]
        places = None if precision is None else int(precision or 0)
        sign, digits = _integer(value(info), conversion, flags, places)
        zeros = "0" in flags and places is None
    elif letter in _SECONDS:
        sign, digits = _seconds(_SECONDS[letter](info), flags, precision)
        zeros = "0" in flags
    else:
        sign, digits, zeros = "", _text(letter, info, spell), False
        if precision is not None:
            digits = digits[: int(precision or 0)]
    room = int(match["width"] or 0) - len(sign) - len(digits)
    if "-" in flags:
        return sign + digits + " " * room
    return sign + "0" * room + digits if zeros else " " * room + sign + digits


def _text(letter: str, info: ObjectInfo, spell: Spelling) -> str:
    if letter == "N":
        word = shell_word(info.name)
        # It has no control characters, so that a terminal may have it as it is.
        return word if spell is escape else spell(word.encode("utf-8", "surrogateescape"))
    return spell(_NAMES[letter](info)) if letter in _NAMES else _TEXTS[letter](info)


def _integer(value: int, conversion: str, flags: str, places: int | None) -> tuple[str, str]:
    """The sign or 0x of a number, and its digits, as printf(3) writes them."""
    digits = "" if value == 0 and places == 0 else format(value, conversion.replace("u", "d"))
    if "'" in flags and conversion in "du":
        digits = _grouped(digits)
    digits = digits.zfill(places or 0)
    if "#" in flags and conversion == "o" and not digits.startswith("0"):
        digits = "0" + digits
    if "#" in flags and conversion == "x" and value:
        return "0x", digits
    return _sign(flags) if conversion == "d" else "", digits


def _sign(flags: str) -> str:
    """What stands before a number that is not negative."""
    return "+" if "+" in flags else " " if " " in flags else ""


def _seconds(nanoseconds: int, flags: str, precision: str | None) -> tuple[str, str]:
    """The sign and digits of the seconds since the epoch: ``.3`` gives three places, ``.`` all nine.

    Before 1970 a time whose places are all 0 is rounded down, others are cut off, as stat(1) does it:
    -0.0000001 becomes -1.000, and -0.1234567 becomes -0.123.
    """
    places = 0 if precision is None else int(precision or 9)
    known = min(places, 9)
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = (-rest % 10**9 if seconds < 0 else rest) // 10 ** (9 - known)
    if seconds < 0 and fraction:
        seconds += 1
    digits = str(abs(seconds))
    if "'" in flags:
        digits = _grouped(digits)
    if places:
        digits += _decimal_point() + f"{fraction:0{known}d}".ljust(places, "0")
    return "-" if nanoseconds < 0 else _sign(flags), digits


def _grouped(digits: str) -> str:
    """``digits`` in groups, as the locale has them (LC_NUMERIC)."""
    with _numeric_locale() as locale:
        return locale.format_string("%d", int(digits), grouping=True) if digits else ""


@cache
def _decimal_point() -> str:
    with _numeric_locale() as locale:
        return str(locale.localeconv()["decimal_point"])


@contextmanager
def _numeric_locale() -> Iterator["ModuleType"]:
    """The module ``locale``, while numbers are the environment's: Python itself leaves them as C has them."""
    import locale

    before = locale.setlocale(locale.LC_NUMERIC)
    with suppress(locale.Error):  # where there is no such locale, C's is left, as in stat(1)
        locale.setlocale(locale.LC_NUMERIC, "")
    try:
        yield locale
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)
