"""Where text goes, and for whom: a person at a terminal, or a program behind a pipe."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TextIO

from shmctl.core.sizes import human_size
from shmctl.render.times import short_time

Row = tuple[str, ...]
"""Texts, or their Rich styles, one a column."""

Cell = tuple[str, str]
"""A text, and its Rich style on a terminal."""


class Heading(NamedTuple):
    """A column's heading, and whether the column aligns to the right."""

    text: str
    right: bool = False


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

    def time(self, nanoseconds: int) -> str:
        """A time since the epoch."""
        return short_time(nanoseconds, human=self.terminal)

    def write_table(self, headings: Sequence[Heading], rows: Sequence[Sequence[Cell]]) -> None:
        """Write ``rows``: a table on a terminal, elsewhere aligned columns."""
        texts = [tuple(text for text, _ in row) for row in rows]
        self.write_rows(headings, texts, (tuple(style for _, style in row) for row in rows))

    def write_rows(self, headings: Sequence[Heading], rows: Sequence[Row], styles: Iterable[Row]) -> None:
        """The same for very many ``rows``; ``styles``, of each row's cells, are used on a terminal only."""
        if self.terminal:
            from shmctl.render.table import write_table

            write_table(self, headings, rows, styles)
        else:
            from shmctl.render.plain import write_columns

            write_columns(self, headings, rows)
