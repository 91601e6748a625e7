"""Rows of cells: a Rich table on a terminal, elsewhere aligned columns that are never cut or wrapped."""

from collections.abc import Iterable, Sequence
from operator import itemgetter

from shmctl.render.output import Cell, Heading, Output, Row


def write_table(output: Output, headings: Sequence[Heading], rows: Sequence[Sequence[Cell]]) -> None:
    """Write ``rows`` of cells, each a text and its style."""
    texts = [tuple(text for text, _ in row) for row in rows]
    write_rows(output, headings, texts, (tuple(style for _, style in row) for row in rows))


def write_rows(
    output: Output, headings: Sequence[Heading], rows: Sequence[Row], styles: Iterable[Row]
) -> None:
    """The same for very many ``rows``; ``styles``, of each row's cells, are used on a terminal only."""
    if output.terminal:
        from shmctl.render.table import write_rich_table

        write_rich_table(output, headings, rows, styles)
    else:
        _write_columns(output, headings, rows)


def _write_columns(output: Output, headings: Sequence[Heading], rows: Sequence[Row]) -> None:
    """Write ``rows`` under their headings."""
    lines = [tuple(heading.text for heading in headings), *rows] if output.headings else rows
    if not lines:
        return
    # Not zip(*lines), whose iterators take 64 bytes for each of very many lines.
    widths = [max(map(len, map(itemgetter(at), lines))) for at in range(len(headings))]
    pads = [
        f"%{width}s" if heading.right else f"%-{width}s"
        for width, heading in zip(widths, headings, strict=True)
    ]
    if not headings[-1].right:
        pads[-1] = "%s"  # no line ends in spaces
    row_format = "  ".join(pads) + "\n"
    output.stream.writelines(row_format % line for line in lines)
