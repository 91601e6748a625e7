"""families.toml: the built-in one, the system's and the user's, read with care and told apart by line."""

import errno
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from shmctl.core.errors import FileError, InputError, failing_as
from shmctl.core.inspect.families import Families, Family, Lifetime
from shmctl.core.models import type_name, user_name

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
    FileError for one that cannot be read, and InputError, with file and line,
    for one that makes no sense or that somebody else could have written: what
    it says decides what may be removed.
    """
    found: list[Family] = []
    for path in (*_user_file(), SYSTEM):
        text = _read_file(path)
        if text is not None:
            found += parse_families(text, path)
    return Families(found + parse_families(_read_built_in(), BUILT_IN))


def _read_built_in() -> str:
    """Through what has loaded this module: it may stand in an archive."""
    import pkgutil

    with failing_as("read", os.fsencode(BUILT_IN)):
        data = pkgutil.get_data(__name__, FILE_NAME)
    assert data is not None  # noqa: S101 - for the type checker: every loader of ours can read
    return data.decode()


def _user_file() -> list[str]:
    """Its path; none without a home: in a container HOME may be unset, and the user in no database."""
    import platformdirs

    try:
        return [os.path.join(platformdirs.user_config_dir("shmctl", appauthor=False), FILE_NAME)]
    except RuntimeError:
        return []


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
        raise FileError("open", name, number, hint=hint) from error
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
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: it is not UTF-8") from error


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


def parse_families(text: str, origin: str) -> list[Family]:
    """The families in the TOML document ``text``, which was read from the file ``origin``.

    Raises InputError with file and line.
    """
    import tomllib

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, line = _split_position(str(error), text)
        raise InputError(f"{origin}:{line}: {problem}") from error
    except RecursionError as error:
        raise InputError(f"{origin}:1: it is nested too deeply") from error
    return _Reader(text, origin).families(tables)


def _split_position(message: str, text: str) -> tuple[str, int]:
    """tomllib ends its messages with ``(at line 3, column 5)`` or ``(at end of document)``."""
    problem, _, position = message.rpartition(" (at ")
    line = re.match(r"line (\d+)", position)
    return problem or message, int(line[1]) if line else max(1, len(text.splitlines()))


_TYPES: Mapping[str, tuple[type, str]] = {
    "software": (str, "a string"),
    "match": (list, "a list of strings"),
    "lifetime": (str, "a string"),
    "source": (str, "a string"),
    "checked": (bool, "true or false"),
}
_REQUIRED = ("software", "match", "lifetime")
_GROUPS = ("pid", "uid", "set")


class _Reader:
    """One document: tells sense from nonsense, and where the nonsense stands."""

    def __init__(self, text: str, origin: str) -> None:
        self._text = text
        self._origin = origin

    def families(self, tables: Mapping[str, Any]) -> list[Family]:
        for key in tables:
            if key != "family":
                self._fail(_unknown("key", key, ["family"]), key=key)
        families = tables.get("family", [])
        if not isinstance(families, list) or not all(isinstance(table, dict) for table in families):
            self._fail("'family' must be tables, each with the header [[family]]", key="family")
        return [self._family(index, table) for index, table in enumerate(families)]

    def _family(self, index: int, table: Mapping[str, Any]) -> Family:
        for key, value in table.items():
            if key not in _TYPES:
                self._fail(_unknown("key", key, _TYPES), index, key)
            kind, words = _TYPES[key]
            if not isinstance(value, kind):
                self._fail(f"'{key}' must be {words}", index, key)
        for key in _REQUIRED:
            if key not in table:
                self._fail(f"the key '{key}' is missing", index)
            if not table[key]:
                self._fail(f"'{key}' is empty", index, key)
        if table["lifetime"] not in list(Lifetime):
            self._fail(_unknown("lifetime", table["lifetime"], list(Lifetime)), index, "lifetime")
        lifetime = Lifetime(table["lifetime"])
        patterns = tuple(
            self._pattern(text, lifetime, index, number) for number, text in enumerate(table["match"])
        )
        return Family(
            table["software"],
            patterns,
            lifetime,
            table.get("source", ""),
            table.get("checked", False),
            self._origin,
        )

    def _pattern(self, text: object, lifetime: Lifetime, index: int, number: int) -> re.Pattern[str]:
        if not isinstance(text, str):
            self._fail("'match' must be a list of strings", index, "match", number)
        if len(text) > PATTERN_MAX:
            problem = f"a pattern of {len(text)} characters, and {PATTERN_MAX} are allowed"
            self._fail(problem, index, "match", number)
        try:
            pattern = _compile(text)
        except (re.error, Warning, OverflowError, RecursionError) as error:
            self._fail(f"bad pattern '{text}': {error}", index, "match", number, error)
        if pattern.fullmatch(""):
            self._fail(f"the pattern '{text}' matches the empty name", index, "match", number)
        for group in pattern.groupindex:
            if group not in _GROUPS:
                self._fail(_unknown("group", group, _GROUPS), index, "match", number)
        if lifetime is Lifetime.CREATOR and "pid" not in pattern.groupindex:
            problem = f"lifetime 'creator' needs a group (?P<pid>...) in the pattern '{text}'"
            self._fail(problem, index, "match", number)
        return pattern

    def _fail(
        self,
        problem: str,
        index: int | None = None,
        key: str | None = None,
        item: int | None = None,
        cause: BaseException | None = None,
    ) -> NoReturn:
        line = _Layout(self._text).line(index, key, item)
        raise InputError(f"{self._origin}:{line}: {problem}") from cause


def _compile(text: str) -> re.Pattern[str]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A name may have any byte in it, line feeds as well: '.' has to mean that.
        return re.compile(text, re.DOTALL)


def _unknown(what: str, given: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(given, list(known), n=1)
    if close:
        return f"unknown {what} '{given}'; did you mean '{close[0]}'?"
    return f"unknown {what} '{given}'; known: {', '.join(known)}"


_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|.",
    re.DOTALL,
)


@dataclass(slots=True)
class _Statement:
    """A table's header, or a key and its value: where it begins, and where the strings of its list do."""

    line: int
    head: str
    in_value: bool = False
    items: list[int] = field(default_factory=list)


class _Layout:
    """Which line of a valid TOML document has what: the parser in the standard library does not tell."""

    def __init__(self, text: str) -> None:
        self._tables: list[int] = []
        self._keys: defaultdict[int | None, dict[str, _Statement]] = defaultdict(dict)
        table = None
        for statement in _statements(text):
            name = statement.head.strip("[]")
            if statement.head.startswith("[") and name == "family":
                table = len(self._tables)
                self._tables.append(statement.line)
                self._keys[None].setdefault("family", statement)
                continue
            if statement.head.startswith("["):
                below = name.startswith("family.")
                table = table if below else None
                name = name.removeprefix("family.")
            key = name.partition(".")[0].strip("\"'")
            self._keys[table].setdefault(key, statement)

    def line(self, index: int | None, key: str | None, item: int | None) -> int:
        """Of an item of the list ``key`` in the family ``index``, or as near to it as can be told."""
        statement = self._keys[index].get(key) if key else None
        if statement is None:
            return self._table(index)
        if item is None or item >= len(statement.items):
            return statement.line
        return statement.items[item]

    def _table(self, index: int | None) -> int:
        if index is not None and index < len(self._tables):
            return self._tables[index]
        whole = self._keys[None].get("family")
        return whole.line if whole else 1


def _statements(text: str) -> Iterator[_Statement]:
    line, depth = 1, 0
    statement: _Statement | None = None
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece == "\n" and depth == 0:
            if statement:
                yield statement
            statement = None
        elif piece.isspace() or piece.startswith("#"):
            pass
        elif statement is None:
            statement = _Statement(line, piece)
        elif not statement.in_value:
            if piece == "=" and not statement.head.startswith("["):
                statement.in_value = True
            else:
                statement.head += piece
        elif piece in ("[", "{"):
            depth += 1
        elif piece in ("]", "}"):
            depth -= 1
        elif depth == 1 and piece[0] in "\"'":
            statement.items.append(line)
        line += piece.count("\n")
    if statement:
        yield statement
