"""Reads families.toml: the built-in one, the system's and the user's."""

import errno
import os
import re
import stat
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from shmctl.core.errors import FileError, InputError, failing_as
from shmctl.core.inspect.families import Families, Family, Lifetime, compiled
from shmctl.core.models import type_name, user_name
from shmctl.core.user_files import config_file

if TYPE_CHECKING:
    from importlib.abc import ResourceLoader

FILE_NAME = "families.toml"
BUILT_IN = os.path.join(os.path.dirname(__file__), FILE_NAME)
SYSTEM = f"/etc/shmctl/{FILE_NAME}"
_FOREIGN_HOME = "if HOME is another user's, set it, or XDG_CONFIG_HOME, to a directory of your own"
PATTERN_MAX = 1000
"""The longest pattern that is taken, in characters."""


def load_families() -> Families:
    """The user's families, then those of /etc/shmctl, then the built-in ones.

    The user's file is ``shmctl/families.toml`` in the XDG configuration
    directory. A file that does not exist is as good as an empty one. Raises
    FileError for one that cannot be read, and InputError for one that makes no
    sense or that somebody else could have written: what it says decides what
    may be removed.
    """
    found: list[Family] = []
    for path in filter(None, (config_file(FILE_NAME), SYSTEM)):
        text = _read_file(path)
        if text is not None:
            found += parse_families(text, path)
    return Families(found + parse_families(_read_built_in(), BUILT_IN, trusted=True))


def _read_built_in() -> str:
    """Through what has loaded this module: it may be in an archive."""
    with failing_as("read", os.fsencode(BUILT_IN)):
        return cast("ResourceLoader", __spec__.loader).get_data(BUILT_IN).decode()


def _read_file(path: str) -> str | None:
    name = os.fsencode(path)
    try:
        # Without O_NONBLOCK the open of a FIFO would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        number = error.errno or errno.EIO
        hint = _FOREIGN_HOME if number in (errno.EACCES, errno.EPERM) else None
        raise FileError("open", name, number, hint=hint) from None
    with failing_as("read", name):
        try:
            _check_file(path, os.fstat(fd))
            with open(fd, "rb", closefd=False) as file:
                data = file.read()
        finally:
            os.close(fd)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: it is not UTF-8 (at byte {error.start})") from None


def _check_file(path: str, st: os.stat_result) -> None:
    if not stat.S_ISREG(st.st_mode):
        raise InputError(f"{path}: cannot be read: it is {type_name(st.st_mode)}")
    if st.st_uid not in (0, os.geteuid()):
        raise InputError(
            f"{path}: refused, because it belongs to {user_name(st.st_uid)}: "
            "what it says decides what may be removed",
            hint=f"give it to root or to {user_name(os.geteuid())}, "
            "or set XDG_CONFIG_HOME to a directory of your own",
        )
    if st.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(
            f"{path}: refused, because others may write to it (mode {stat.S_IMODE(st.st_mode):04o}): "
            "what it says decides what may be removed",
            hint=f"chmod go-w {path}",
        )


def parse_families(text: str, origin: str, *, trusted: bool = False) -> list[Family]:
    """The families in the TOML document ``text``, which was read from the file ``origin``.

    Raises InputError with the file, and the line or the family and its key. The
    patterns of a ``trusted`` file are not checked, which takes as long as compiling them.
    """
    import tomllib

    try:
        return _families(tomllib.loads(text), trusted=trusted)
    except (tomllib.TOMLDecodeError, InputError) as error:
        raise InputError(f"{origin}: {error}") from None
    except RecursionError:
        raise InputError(f"{origin}: it is nested too deeply") from None


_TYPES: Mapping[str, tuple[type, str]] = {
    "software": (str, "a string"),
    "match": (list, "a list of strings"),
    "lifetime": (str, "a string"),
    "tracker": (str, "a string"),
    # For those who read the file.
    "source": (str, "a string"),
    "checked": (bool, "true or false"),
}
_REQUIRED = ("software", "match", "lifetime")
_GROUPS = ("pid", "uid", "set")


def _families(document: Mapping[str, Any], *, trusted: bool) -> list[Family]:
    for key in document:
        if key != "family":
            raise InputError(_unknown("key", key, ["family"]))
    tables = document.get("family", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InputError("'family' must be tables, each with the header [[family]]")
    found = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(_family(table, trusted=trusted))
        except InputError as error:
            software = table.get("software")
            who = (
                f"family {number} ('{software}')"
                if software and isinstance(software, str)
                else f"family {number}"
            )
            raise InputError(f"{who}: {error}") from None
    return found


def _family(table: Mapping[str, Any], *, trusted: bool) -> Family:
    for key, value in table.items():
        if key not in _TYPES:
            raise InputError(_unknown("key", key, _TYPES))
        kind, words = _TYPES[key]
        if not isinstance(value, kind):
            raise InputError(f"'{key}' must be {words}")
    for key in _REQUIRED:
        if not table.get(key):
            raise InputError(f"'{key}' is empty" if key in table else f"the key '{key}' is missing")
    if table["lifetime"] not in list(Lifetime):
        raise InputError(_unknown("lifetime", table["lifetime"], list(Lifetime)))
    lifetime = Lifetime(table["lifetime"])
    if not trusted:
        for text in table["match"]:
            _check_pattern(text, lifetime)
    return Family(table["software"], tuple(table["match"]), lifetime, _tracker(table.get("tracker")))


def _tracker(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    pattern = _bounded("tracker", text)
    if pattern.search(""):
        raise InputError(f"the tracker '{text}' matches the empty command line")
    return pattern


def _check_pattern(text: object, lifetime: Lifetime) -> None:
    if not isinstance(text, str):
        raise InputError("'match' must be a list of strings")
    pattern = _bounded("match", text)
    if pattern.fullmatch(""):
        raise InputError(f"the pattern '{text}' matches the empty name")
    for group in pattern.groupindex:
        if group not in _GROUPS:
            raise InputError(f"{_unknown('group', group, _GROUPS)}, in the pattern '{text}'")
    if lifetime is Lifetime.CREATOR and "pid" not in pattern.groupindex:
        raise InputError(f"lifetime 'creator' needs a group (?P<pid>...) in the pattern '{text}'")


def _bounded(key: str, text: str) -> re.Pattern[str]:
    if len(text) > PATTERN_MAX:
        raise InputError(f"'{key}' has a pattern of {len(text)} characters, and {PATTERN_MAX} are allowed")
    try:
        return _compile(text)
    except (re.error, Warning, OverflowError, RecursionError) as error:
        raise InputError(f"bad pattern '{text}': {error}") from None


def _compile(text: str) -> re.Pattern[str]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compiled(text)


def _unknown(what: str, given: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(given, list(known), n=1)
    if close:
        return f"unknown {what} '{given}'; did you mean '{close[0]}'?"
    return f"unknown {what} '{given}'; known: {', '.join(known)}"
