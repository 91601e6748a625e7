"""The lines of a ``batch``: reading them, splitting them into words, running them."""

import errno
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import click

from shmctl.cli.group import cli
from shmctl.cli.interrupts import Interrupted
from shmctl.cli.main import end, full_name, run
from shmctl.cli.messages import ExitStatus
from shmctl.cli.sources import opened_input
from shmctl.core.errors import FileError, InputError, failing_as

_READ_SIZE = 64 * 1024
LINE_MAX = 16 << 20
"""The longest line in bytes; the limit bounds memory."""

_WORD = re.compile(r"[^ \t\r\n]+")
_PIECE = re.compile(
    r"""(?P<space>[ \t\r\n]+)|\\(?P<escaped>.)|'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|"""
    r"""(?P<plain>[^ \t\r\n'"\\]+)|(?P<open>.)""",
    re.DOTALL,
)
_ESCAPED_IN_QUOTES = re.compile(r"""\\([\\"$`])""")
_NEEDS_CARE = re.compile(r"""['"\\#\0]""")


@contextmanager
def opened_script(script: str) -> Iterator[tuple[int, bytes]]:
    """Open the script; yields its descriptor and name. The commands it runs cannot read from it."""
    with opened_input(script) as source:
        if script != "-":
            yield source.fd, source.name
            return
        with failing_as("dup", source.name):
            fd = os.dup(source.fd)
        try:
            with failing_as("open", os.devnull.encode()):
                null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                with failing_as("dup2", source.name):
                    os.dup2(null, source.fd)
                yield fd, source.name
            finally:
                _close(null)
        finally:
            # The process reads nothing more from it.
            with suppress(OSError):
                os.dup2(fd, source.fd)
            _close(fd)


def _close(fd: int) -> None:
    with suppress(OSError):  # opened for reading
        os.close(fd)


def read_lines(fd: int, name: bytes) -> Iterator[bytes]:
    """Yield each line of a stream, without its newline, as soon as it is complete.

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
    """Return the words of a line, quoted as in sh(1), without its comment. Raises InputError.

    Nothing is expanded: ``$``, ``*`` and ``~`` are literal.
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


def run_line(root: click.Context, line: str) -> int:
    """Run one line below the context ``root``; returns its exit status.

    Raises Interrupted if a signal ended it.
    """
    try:
        words = split_words(line)
    except InputError as problem:
        return end(problem, None)
    if not words:
        return ExitStatus.DONE
    # Most lines have no global options, and need no context of the group.
    status = run(words, root.obj) if words[0].startswith("-") else _run_command(root, words)
    if Interrupted.last:
        raise Interrupted.last
    return status


def _run_command(root: click.Context, words: Sequence[str]) -> int:
    name: str | None = None
    try:
        name, command, args = cli.resolve_command(root, list(words))
        assert command is not None  # noqa: S101 - tells the type checker what click cannot
        with command.make_context(name, args, parent=root) as context:
            command.invoke(context)
        sys.stdout.flush()
    except BaseException as problem:
        return end(problem, full_name(root, name), words)
    return ExitStatus.DONE
