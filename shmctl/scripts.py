"""What ``batch`` runs: lines from a descriptor, and the words of a line as a shell has them."""

import errno
import os
import re
from collections.abc import Iterator

from shmctl.core.errors import FileError, InputError

_READ_SIZE = 64 * 1024
LINE_MAX = 16 << 20
"""A longer line is refused, so that no input takes all the memory."""

_WORD = re.compile(r"[^ \t\r\n]+")
_PIECE = re.compile(
    r"""(?P<space>[ \t\r\n]+)|\\(?P<escaped>.)|'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|"""
    r"""(?P<plain>[^ \t\r\n'"\\]+)|(?P<open>.)""",
    re.DOTALL,
)
_ESCAPED_IN_QUOTES = re.compile(r"""\\([\\"$`])""")
_NEEDS_CARE = re.compile(r"""['"\\#\0]""")


def read_lines(fd: int, name: bytes) -> Iterator[bytes]:
    """The lines of a stream, without their newlines, each as soon as it is there.

    Raises FileError, and InputError for a line of more than LINE_MAX bytes.
    """
    begun: list[bytes] = []
    size = 0
    while data := _read(fd, name):
        *ended, rest = data.split(b"\n")
        for line in ended:
            yield b"".join([*begun, line]) if begun else line
            begun.clear()
            size = 0
        if rest:
            begun.append(rest)
            size += len(rest)
            if size > LINE_MAX:
                raise InputError(f"a line is longer than {LINE_MAX >> 20} MiB")
    if begun:
        yield b"".join(begun)


def _read(fd: int, name: bytes) -> bytes:
    try:
        return os.read(fd, _READ_SIZE)
    except OSError as error:
        raise FileError("read", name, error.errno or errno.EIO) from error


def split_words(line: str) -> list[str]:
    """The words of a line, quoted as in sh(1), without its comment; raises InputError.

    Nothing is expanded: ``$``, ``*`` and ``~`` stand for themselves.
    """
    if not _NEEDS_CARE.search(line):
        return _WORD.findall(line)
    if "\0" in line:
        raise InputError("a line must not hold a NUL byte")
    words: list[str] = []
    word: list[str] | None = None
    for piece in _PIECE.finditer(line):
        kind, text = piece.lastgroup, piece[piece.lastgroup or 0]
        if kind == "space":
            words += [] if word is None else ["".join(word)]
            word = None
            continue
        if kind == "open":
            raise InputError("no escaped character" if text == "\\" else "no closing quotation")
        if kind == "plain" and text.startswith("#") and word is None:
            break
        word = word or []
        word.append(_ESCAPED_IN_QUOTES.sub(r"\1", text) if kind == "double" else text)
    return words if word is None else [*words, "".join(word)]
