"""Rich tables and panels for terminals. Text from outside is never read as markup."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from shmctl.render.output import Heading, Output, Row


def console(output: "Output") -> "Console":
    """A console on the output, taken for a terminal; without colour it gets no escape sequence."""
    from rich.console import Console

    columns = _columns(output)
    screen = Console(
        file=output.stream,
        width=columns,
        height=columns and 25,
        force_terminal=True,
        color_system="auto" if output.color else None,
        no_color=not output.color,
        highlight=False,
        markup=False,
        emoji=False,
    )
    if screen.width < 1:
        # COLUMNS=0, which would show nothing at all.
        screen.width = 80
    return screen


def _columns(output: "Output") -> int | None:
    """The terminal's width, where Rich would not ask for it: TERM=dumb; None lets it look for itself."""
    if os.environ.get("TERM") != "dumb" or "COLUMNS" in os.environ:
        return None
    try:
        return os.get_terminal_size(output.stream.fileno()).columns or None
    except OSError:
        return None


def write_rich_table(
    output: "Output",
    headings: Sequence["Heading"],
    columns: Sequence[Sequence[str]],
    styles: Iterable["Row"],
) -> None:
    """Write ``columns``, each row's texts in ``styles``, as a table; what does not fit goes on below."""
    from shmctl.render.fast_table import Forms

    screen = console(output)

    def render(row: "Row", style: "Row") -> str:
        with screen.capture() as capture:
            screen.print(_rich_table(output, headings, [row], [style]))
        return capture.get()

    forms = Forms(screen, headings, columns, render) if columns[0] else None
    if forms and forms.usable:
        output.stream.write("".join(forms.filled_in(styles)))
    else:
        screen.print(_rich_table(output, headings, zip(*columns, strict=True), styles))


def _rich_table(
    output: "Output", headings: Sequence["Heading"], rows: Iterable["Row"], styles: Iterable["Row"]
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        show_header=output.headings,
        header_style="bold",
    )
    for heading in headings:
        table.add_column(
            heading.text, justify="right" if heading.right else "left", overflow="fold", no_wrap=heading.right
        )
    for row, style in zip(rows, styles, strict=True):
        table.add_row(*map(Text, row, style))
    return table


def write_panel(output: "Output", title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Write labelled values in a panel with a title."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label), Text(value))
    console(output).print(Panel(grid, title=Text(title), title_align="left", expand=False))
