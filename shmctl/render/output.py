"""Output for a person at a terminal, or for a program behind a pipe."""

import io
from typing import NamedTuple, TextIO

from shmctl.core.sizes import counted, human_size
from shmctl.render.times import short_time

Row = tuple[str, ...]
"""Texts, or their Rich styles, one a column."""

Cell = tuple[str, str]
"""A text, and its Rich style on a terminal."""


class Heading:
    """A column's heading, and whether the column aligns to the right."""

    __slots__ = ("right", "text")

    def __init__(self, text: str, right: bool = False) -> None:
        self.text = text
        self.right = right


class Buffer(io.StringIO):
    """Text on its way to a stream, which may not be able to spell every character."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._encoding = stream.encoding

    @property
    def encoding(self) -> str:  # type: ignore[override] # Rich draws frames by it
        """The stream's."""
        return self._encoding


class Output(NamedTuple):
    """A stream; whether it is a terminal's, and wants colour; how sizes are written; whether headings are."""

    stream: TextIO
    terminal: bool
    color: bool
    human_sizes: bool
    headings: bool = True

    def size(self, size: int) -> str:
        """A size in bytes, in three digits for people."""
        return human_size(size) if self.human_sizes else str(size)

    def amount(self, size: int) -> str:
        """The same with its unit."""
        return human_size(size) if self.human_sizes else counted(size, "byte")

    def time(self, nanoseconds: int) -> str:
        """A time since the epoch."""
        return short_time(nanoseconds, human=self.terminal)
