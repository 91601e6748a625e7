"""Rich tables and panels for terminals. Text from outside is never read as markup."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

Cell = tuple[str, str]
"""A text and its Rich style."""


def console(out: TextIO, color: str) -> "Console":
    """A console on ``out``, which is a terminal or is to be treated as one."""
    from rich.console import Console

    return Console(
        file=out,
        force_terminal=color == "always" or None,
        no_color=True if color == "never" else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def write_table(
    out: TextIO,
    color: str,
    headings: Sequence[str] | None,
    rows: Sequence[Sequence[Cell]],
    right: Sequence[bool],
) -> None:
    """Write ``rows`` as a table; a name too long for its column goes on below."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        show_header=headings is not None,
        header_style="bold",
    )
    for index, is_right in enumerate(right):
        heading = headings[index] if headings else ""
        table.add_column(
            heading, justify="right" if is_right else "left", overflow="fold", no_wrap=index > 0 and is_right
        )
    for row in rows:
        table.add_row(*(Text(text, style=style) for text, style in row))
    console(out, color).print(table)


def write_panel(out: TextIO, color: str, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Write labelled values in a panel with a title."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label), Text(value))
    console(out, color).print(Panel(grid, title=Text(title), title_align="left", expand=False))
