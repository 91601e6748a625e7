"""The fields of a struct: ``field=value`` lines, or a table."""

from collections.abc import Sequence

from shmctl.core.layouts.fields import Field
from shmctl.render.aligned import write_table
from shmctl.render.output import Heading, Output

_HEADINGS = (
    Heading("FIELD"),
    Heading("TYPE"),
    Heading("OFFSET", right=True),
    Heading("SIZE", right=True),
    Heading("VALUE"),
)


def write_fields(output: Output, rows: Sequence[tuple[Field, str]], offset: int) -> None:
    """Write each field with its value; the table also says where in the object it stands, in bytes."""
    if not output.terminal:
        output.stream.writelines(f"{field.path}={value}\n" for field, value in rows)
        return
    write_table(
        output,
        _HEADINGS,
        [
            [
                (field.path, "bold"),
                (field.ctype, "yellow"),
                (str(offset + field.offset), "green"),
                (_extent(field), "green"),
                (value, "cyan"),
            ]
            for field, value in rows
        ],
    )


def write_records(output: Output, paths: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Write a row for each record: its offset in the object, and the values of the fields ``paths``.

    In columns a value is one word: a space in it becomes ``\\x20``, which ``write`` takes for a space.
    """
    headings = [Heading("OFFSET", right=True), *map(Heading, paths)]
    cells = [
        [(str(offset), "green"), *((_word(output, value), "cyan") for value in values)]
        for offset, values in rows
    ]
    write_table(output, headings, cells)


def _word(output: Output, value: str) -> str:
    return value if output.terminal else value.replace(" ", "\\x20") or '""'


def _extent(field: Field) -> str:
    if field.bit_width is None:
        return str(field.size)
    return f"{field.bit_width} bits from {field.bit_shift}"
