"""Tables on a terminal: to the byte what Rich's Table makes of the same texts."""

import io
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich import box
from rich.table import Table
from rich.text import Text

from shmctl.render.aligned import write_table
from shmctl.render.output import Cell, Heading, Output
from shmctl.render.table import console

STYLES = ["", "bold", "green", "cyan", "yellow", "bold red"]
WORDS = [
    *("", " ", "a", "/name", "/a-rather-long-name-of-an-object", "-rw-------", "4096", "2026-11-23 19:13"),
    *("two words", "  led by spaces", "ended by spaces  ", "共享内存", "/共享-mixed", "😀", "é", "e\u0301"),
    *("two\nlines", "\n", "%s", "%", "[bold]x[/bold]", ":smile:", "x" * 300, "word " * 40),
]
# Callers escape what does not print.
PRINTABLE = st.text(st.one_of(st.just(" "), st.characters(exclude_categories=["C", "Z"])), max_size=40)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Heading], list[list[Cell]]]:
    headings = draw(
        st.lists(st.builds(Heading, st.sampled_from(["NAME", "SIZE", "", "A LONG HEADING"]), st.booleans()),
                 min_size=1, max_size=9)
    )  # fmt: skip
    texts = st.one_of(st.sampled_from(WORDS), PRINTABLE)
    cell = st.tuples(texts, st.sampled_from(STYLES))
    row = st.lists(cell, min_size=len(headings), max_size=len(headings))
    return headings, draw(st.lists(row, max_size=8))


def rich_table(output: Output, headings: list[Heading], rows: list[list[Cell]]) -> None:
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        show_header=output.headings,
        header_style="bold",
    )
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading.right else "left"
        table.add_column(heading.text, justify=justify, overflow="fold", no_wrap=heading.right)
    for row in rows:
        table.add_row(*(Text(text, style) for text, style in row))
    console(output).print(table)


class Screen(io.StringIO):
    """A stream with an encoding: Rich draws with ASCII alone where it is not UTF-8."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override] # it cannot be set there either
        return self._encoding


@settings(max_examples=200, deadline=None)
@given(
    table=tables(),
    columns=st.one_of(st.integers(1, 30), st.sampled_from([40, 80, 120, 400])),
    color=st.booleans(),
    headed=st.booleans(),
    encoding=st.sampled_from(["utf-8", "iso8859-1"]),
)
def test_as_rich_would(
    table: tuple[list[Heading], list[list[Cell]]], columns: int, color: bool, headed: bool, encoding: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("TERM", "xterm-256color")
        ours, theirs = Screen(encoding), Screen(encoding)
        write_table(Output(ours, True, color, True, headed), *table)
        rich_table(Output(theirs, True, color, True, headed), *table)
    assert ours.getvalue() == theirs.getvalue()
