"""The trace on standard error, whose lines are never behind output on one line."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO

from shmctl.cli import interrupts, messages
from shmctl.core import tracing

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Output(io.FileIO):
    """Standard output; what goes to it says whether its line is open."""

    def write(self, data: "ReadableBuffer", /) -> int:
        count = super().write(data)
        if count:
            tracing.line_is_open = memoryview(data)[count - 1] != ord("\n")
        return count


@contextmanager
def traced() -> Iterator[None]:
    """Write each call to standard error while the body runs."""
    shared = _shared()
    before = tracing.trace_to(_write_apart if shared else _write)
    try:
        with _watched(sys.stdout) if shared else nullcontext():
            yield
    finally:
        tracing.trace_to(before)


def _shared() -> bool:
    """Whether output and trace go to one terminal, pipe or file."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except OSError:
        return False  # a stream of no descriptor


@contextmanager
def _watched(stdout: TextIO) -> Iterator[None]:
    raw = _Output(stdout.fileno(), "wb", closefd=False)
    watched = io.TextIOWrapper(
        io.BufferedWriter(raw), stdout.encoding, stdout.errors, line_buffering=stdout.isatty()
    )
    stdout.flush()
    tracing.line_is_open = False
    sys.stdout = watched
    try:
        yield
    finally:
        if sys.stdout is watched:
            sys.stdout = stdout
            watched.flush()


def _write(line: str) -> None:
    """Write a line of the trace after the output so far. A write error leaves the call's outcome alone."""
    try:
        messages.flush_output()
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError as error:
        tracing.trace_to(None)
        interrupts.end_for_output(error)


def _write_apart(line: str) -> None:
    """Write a line of the trace, and end the line of the output before it."""
    messages.flush_output()
    _write("\n" + line if tracing.line_is_open else line)
    tracing.line_is_open = False
