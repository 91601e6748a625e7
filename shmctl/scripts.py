"""What ``batch`` runs: lines from a descriptor, and the words of a line as a shell has them."""

import errno
import os
import re
import shlex
from collections.abc import Iterator

from shmctl.core.errors import FileError, InputError

_READ_SIZE = 64 * 1024
LINE_MAX = 16 << 20
"""A longer line is refused, so that no input takes all the memory."""

# All that comes before a comment: a '#' begins one, but for a quoted one and one inside a word.
_COMMAND = re.compile(
    r"""(?:(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"\\#])\#*|\s)*""",
    re.DOTALL | re.VERBOSE,
)
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
        return line.split()
    if "\0" in line:
        raise InputError("a line must not hold a NUL byte")
    end = _command_end(line)
    try:
        return shlex.split(line[:end])
    except ValueError as error:
        raise InputError(str(error)[:1].lower() + str(error)[1:]) from error


def _command_end(line: str) -> int:
    """Where the comment begins, or the line ends."""
    command = _COMMAND.match(line)
    end = command.end() if command else 0
    # What stops the match otherwise is a quotation without an end, which shlex reports.
    return end if line[end : end + 1] == "#" else len(line)
