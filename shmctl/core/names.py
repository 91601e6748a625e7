"""Object names: bytes with one leading slash, and their escaped form."""

import os
from collections.abc import Iterable
from typing import NewType

from shmctl.core.errors import InputError

Name = NewType("Name", bytes)
"""A valid object name: ``b"/shmtest"``, one slash and 1 to 255 bytes (shm_open(3))."""

NameLike = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""A name as a program gives it: ``"/box"``, ``b"box"``, ``Path("/dev/shm/box")``."""

NAME_MAX = 255
SHELL_PREFIX = "/dev/shm/"
SEMAPHORE_PREFIX = b"/sem."
# Printable to Python, and they show as nothing: Hangul fillers, the empty Braille pattern and so on.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159"
_VARIATION_SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
_SPECIAL = frozenset((*" '\"\\", *_BLANK, *map(chr, _VARIATION_SELECTORS)))
_LETTER_ESCAPES = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\"}


def parse_name(text: NameLike) -> Name:
    """Parse ``shmtest``, ``/shmtest`` or ``/dev/shm/shmtest``; returns ``b"/shmtest"``.

    Raises InputError for an invalid name.
    """
    bare = _bare(text)
    problem = _problem(bare)
    if problem:
        given = os.fsencode(text)
        raise InputError(f"invalid object name '{escape(given, keep=' ')}': {problem}")
    return Name(b"/" + bare)


def _bare(text: NameLike) -> bytes:
    given = os.fsencode(text)
    bare = given.removeprefix(SHELL_PREFIX.encode())
    return given.removeprefix(b"/") if bare == given else bare


def parse_path(text: str | bytes) -> Name:
    """The same, or the path of a file in a directory: ``b"/jack_db/__db.001"``."""
    top, slash, rest = _bare(text).partition(b"/")
    name = parse_name(top)
    for part in rest.split(b"/") if slash else ():
        problem = _problem(part)
        if problem:
            raise InputError(f"invalid object name '{escape(os.fsencode(text), keep=' ')}': {problem}")
    return Name(name + slash + rest)


def _problem(bare: bytes) -> str | None:
    if not bare:
        return "it is empty"
    if bare in (b".", b".."):
        return "it is a directory's name"
    if b"/" in bare:
        return "a slash may only stand at its start"
    if b"\0" in bare:
        return "it has a NUL byte"
    if len(bare) > NAME_MAX:
        return f"it has {len(bare)} bytes, and {NAME_MAX} are allowed"
    return None


def random_name(purpose: str) -> Name:
    """A new name that has this process's PID in it, so that `leaks` can tell whose it was."""
    return Name(f"/shmctl-{purpose}-{os.getpid()}-{os.urandom(4).hex()}".encode())


def is_semaphore(name: Name) -> bool:
    """Whether the name is a semaphore's (sem_overview(7))."""
    return name.startswith(SEMAPHORE_PREFIX)


def escape(data: bytes | str, keep: str = "") -> str:
    """Escape ``data`` into one word that is safe on a terminal and in a column.

    White space, quotes, backslashes, and all that is not printable UTF-8
    become ``\\n``, ``\\x20`` and so on; characters in ``keep`` stay.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
    if text.isprintable() and _SPECIAL.isdisjoint(text):
        return text
    return "".join(c if c in keep or _is_plain(c) else _escape_character(c) for c in text)


def printable(text: str) -> str:
    """Escape only the unprintable characters of a sentence."""
    if text.isascii() and text.isprintable():
        return text
    return escape(text, keep=" '\"\\")


def shell_words(words: Iterable[str]) -> str:
    """Quote words for the shell, those that do not print as ``$'\\n'``, which bash and zsh take."""
    import shlex

    return " ".join(
        shlex.quote(word) if printable(word) == word else f"$'{escape(word, keep=' ')}'" for word in words
    )


def _is_plain(character: str) -> bool:
    return character.isprintable() and character not in _SPECIAL


def _escape_character(character: str) -> str:
    return _LETTER_ESCAPES.get(character) or spelled_out(character)


def spelled_out(text: str) -> str:
    """Each byte of ``text`` as ``\\x`` and two digits."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8", "surrogateescape"))
