"""Many rows of a Rich table, in a small part of the time that Rich takes to render each.

Rich renders one row for each combination of styles, with marks in place of its
texts. These are the forms into which all rows are filled. What does not just
fit its column is wrapped by Rich, text by text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from shmctl.render.output import Heading, Row

if TYPE_CHECKING:
    from rich.console import Console

# For private use, one cell wide each, and not in any style or frame: a mark for each column.
_FIRST_MARK = 0xE000
_MARKED = re.compile("([\ue000-\uf8ff])\\1*")


class Forms:
    """The table that ``render`` makes, through Rich, of the headings and one row of texts and styles."""

    def __init__(
        self,
        screen: "Console",
        headings: Sequence[Heading],
        columns: Sequence[Sequence[str]],
        render: Callable[[Row, Row], str],
    ) -> None:
        self._screen = screen
        self._headings = headings
        self._columns = columns
        self._render = render
        self._texts = list(map(set, columns))
        # Widths rest on headings and longest texts alone: Rich finds for marks what it would for all rows.
        self._marked = tuple(
            chr(_FIRST_MARK + index) * max(map(self._width, texts)) for index, texts in enumerate(self._texts)
        )
        self._head, first_line = self._render_marked(("",) * len(headings))
        self._widths = [first_line.count(marks[:1]) if marks else 0 for marks in self._marked]
        self._forms: dict[Row, str] = {}

    @property
    def usable(self) -> bool:
        """Whether each column shows a text; on a terminal a few cells wide some do not."""
        return all(self._widths)

    def filled_in(self, styles: Iterable[Row]) -> Iterator[str]:
        """The lines of the whole table; ``styles`` are those of each row's texts."""
        yield self._head
        laid_out = [
            {text: self._lay_out(text, width, heading) for text in texts}
            for texts, width, heading in zip(self._texts, self._widths, self._headings, strict=True)
        ]
        for row, style in zip(zip(*self._columns, strict=True), styles, strict=True):
            for line in zip_longest(*[column[text] for column, text in zip(laid_out, row, strict=True)]):
                yield self._fill_in(line, style)

    def _fill_in(self, line: tuple[str | None, ...], style: Row) -> str:
        """One line of a row; below a text's last line there are spaces without style."""
        if None in line:
            style = tuple("" if text is None else each for text, each in zip(line, style, strict=True))
            line = tuple(
                " " * width if text is None else text for text, width in zip(line, self._widths, strict=True)
            )
        if style not in self._forms:
            self._forms[style] = _MARKED.sub("%s", self._render_marked(style)[1])
        return self._forms[style] % line

    def _render_marked(self, style: Row) -> tuple[str, str]:
        """The headings, and the first line of the row below."""
        lines = self._render(self._marked, style).splitlines(keepends=True)
        head_size = next((index for index, line in enumerate(lines) if _MARKED.search(line)), len(lines))
        return "".join(lines[:head_size]), "".join(lines[head_size : head_size + 1])

    def _width(self, text: str) -> int:
        from rich.measure import Measurement
        from rich.text import Text

        if _is_simple(text):
            return len(text)
        return Measurement.get(self._screen, self._screen.options, Text(text)).maximum

    def _lay_out(self, text: str, width: int, heading: Heading) -> list[str]:
        """The lines that a text takes in its column, each as wide as the column."""
        from rich.text import Text

        if len(text) <= width and _is_simple(text):
            return [text.rjust(width) if heading.right else text.ljust(width)]
        lines = Text(text, justify="right" if heading.right else "left").wrap(
            self._screen, width, overflow="fold", no_wrap=heading.right
        )
        return [line.plain for line in lines]


def _is_simple(text: str) -> bool:
    """Whether each character takes one cell, and none at the end can be dropped."""
    return text.isascii() and text.isprintable() and text[-1:] != " "
