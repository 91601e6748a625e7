"""The format letters of stat(1), filled in for an object."""

import os
import re
import shlex
import stat
from collections.abc import Callable

from shmctl.core.errors import InputError
from shmctl.core.models import ObjectInfo, group_entry, login_name, type_name
from shmctl.core.names import escape
from shmctl.render.times import stat_time

_DIRECTIVE = re.compile(
    r"%(?P<flags>[-+ #0']*)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]*))?(?P<letter>[HL]?.|$)", re.S
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
    "G": lambda info: escape(group_entry(info.st.st_gid) or "UNKNOWN"),
    "U": lambda info: escape(login_name(info.st.st_uid) or "UNKNOWN"),
    "m": lambda info: escape(info.directory.path, keep=" "),
    "n": lambda info: escape(info.name),
    "N": lambda info: shlex.quote(escape(info.name)),
    "w": lambda info: "-",
    "x": lambda info: stat_time(info.st.st_atime_ns),
    "y": lambda info: stat_time(info.st.st_mtime_ns),
    "z": lambda info: stat_time(info.st.st_ctime_ns),
}
# Each number with the base that stat(1) writes it in.
_NUMBERS: dict[str, tuple[Callable[[ObjectInfo], int], str]] = {
    "a": (lambda info: info.permissions, "o"),
    "b": (lambda info: info.st.st_blocks, "d"),
    "B": (lambda info: 512, "d"),
    "d": (lambda info: info.st.st_dev, "d"),
    "Hd": (lambda info: os.major(info.st.st_dev), "d"),
    "Ld": (lambda info: os.minor(info.st.st_dev), "d"),
    "D": (lambda info: info.st.st_dev, "x"),
    "f": (lambda info: info.st.st_mode, "x"),
    "g": (lambda info: info.st.st_gid, "d"),
    "h": (lambda info: info.st.st_nlink, "d"),
    "i": (lambda info: info.st.st_ino, "d"),
    "o": (lambda info: info.st.st_blksize, "d"),
    "r": (lambda info: info.st.st_rdev, "d"),
    "Hr": (lambda info: os.major(info.st.st_rdev), "d"),
    "Lr": (lambda info: os.minor(info.st.st_rdev), "d"),
    "R": (lambda info: info.st.st_rdev, "x"),
    "s": (lambda info: info.st.st_size, "d"),
    "t": (lambda info: os.major(info.st.st_rdev), "x"),
    "T": (lambda info: os.minor(info.st.st_rdev), "x"),
    "u": (lambda info: info.st.st_uid, "d"),
    "W": (lambda info: 0, "d"),
}
_SECONDS: dict[str, Callable[[ObjectInfo], int]] = {
    "X": lambda info: info.st.st_atime_ns,
    "Y": lambda info: info.st.st_mtime_ns,
    "Z": lambda info: info.st.st_ctime_ns,
}


def check_format(text: str) -> str:
    """``text``, if it uses only letters that stat(1) has. Raises InputError."""
    for match in _DIRECTIVE.finditer(text):
        letter = match["letter"]
        if letter != "%" and letter not in _TEXTS and letter not in _NUMBERS and letter not in _SECONDS:
            raise InputError(
                f"invalid directive '{match[0]}' in format '{text}'", hint="letters are stat(1)'s"
            )
        if any(_is_too_wide(match[part] or "") for part in ("width", "precision")):
            raise InputError(f"'{match[0]}' in format '{text}' is too wide")
    return text


def _is_too_wide(digits: str) -> bool:
    # int() refuses thousands of digits.
    return len(digits) > 9 or int(digits or 0) > _MAX_WIDTH


def format_object(text: str, info: ObjectInfo) -> str:
    """``text``, which `check_format` has passed, with each directive filled in."""
    return _DIRECTIVE.sub(lambda match: _fill(match, info), text)


def _fill(match: "re.Match[str]", info: ObjectInfo) -> str:
    letter, flags, width = match["letter"], match["flags"], int(match["width"] or 0)
    if letter == "%":
        return "%"
    if letter in _TEXTS:
        text = _TEXTS[letter](info)
        if match["precision"] is not None:
            text = text[: int(match["precision"] or 0)]
    elif letter in _SECONDS:
        text = _signed(_seconds(_SECONDS[letter](info), match["precision"]), flags)
    else:
        value, base = _NUMBERS[letter]
        text = _number(value(info), base, flags, match["precision"])
        # stat(1) heeds the flags + and space for what may be negative alone.
        text = _signed(text, flags) if letter == "s" else text
    if "-" in flags:
        return text.ljust(width)
    zeros = "0" in flags and letter not in _TEXTS
    return text.zfill(width) if zeros else text.rjust(width)


def _number(value: int, base: str, flags: str, precision: str | None) -> str:
    digits = format(value, base).zfill(int(precision or 0))
    if "#" in flags and value:
        digits = {"o": "0", "x": "0x", "d": ""}[base] + digits
    return digits


def _signed(digits: str, flags: str) -> str:
    if "+" in flags:
        return "+" + digits
    return " " + digits if " " in flags else digits


def _seconds(nanoseconds: int, precision: str | None) -> str:
    """Seconds since the epoch, with ``.3`` to three places, and with ``.`` to all nine."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    places = 0 if precision is None else int(precision or 9)
    return f"{seconds}.{f'{fraction:09d}'.ljust(places, '0')[:places]}" if places else str(seconds)
