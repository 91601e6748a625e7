"""Columns of cells: a Rich table on a terminal, elsewhere aligned and never cut or wrapped."""

from collections.abc import Iterable, Sequence

from shmctl.render.output import Cell, Heading, Output, Row


def write_table(output: Output, headings: Sequence[Heading], rows: Sequence[Sequence[Cell]]) -> None:
    """Write ``rows`` of cells, each a text and its style."""
    columns = [[row[at][0] for row in rows] for at in range(len(headings))]
    write_columns(output, headings, columns, (tuple(style for _, style in row) for row in rows))


def write_columns(
    output: Output, headings: Sequence[Heading], columns: Sequence[Sequence[str]], styles: Iterable[Row]
) -> None:
    """The same by ``columns``, which take less memory than very many rows.

    ``styles``, of each row's cells, are used on a terminal only.
    """
    if output.terminal:
        from shmctl.render.table import write_rich_table

        write_rich_table(output, headings, columns, styles)
    else:
        _write_plain(output, headings, columns)


def _write_plain(output: Output, headings: Sequence[Heading], columns: Sequence[Sequence[str]]) -> None:
    """Write the rows under their headings."""
    pads = [
        _padding(heading, column, heading.text if output.headings else "")
        for heading, column in zip(headings, columns, strict=True)
    ]
    if not headings[-1].right:
        pads[-1] = "%s"  # no line ends in spaces
    row_format = "  ".join(pads) + "\n"
    if output.headings:
        output.stream.write(row_format % tuple(heading.text for heading in headings))
    output.stream.writelines(row_format % row for row in zip(*columns, strict=True))


def _padding(heading: Heading, column: Sequence[str], above: str) -> str:
    """The format of a text as wide as the widest."""
    width = max(len(above), max(map(len, column), default=0))
    return f"%{width}s" if heading.right else f"%-{width}s"
