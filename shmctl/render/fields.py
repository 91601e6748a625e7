"""The fields of a struct: ``field=value`` lines, or a table."""

from collections.abc import Sequence

from shmctl.core.layouts.fields import Field
from shmctl.render.columns import write_table
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


def _extent(field: Field) -> str:
    if field.bit_width is None:
        return str(field.size)
    return f"{field.bit_width} bits from {field.bit_shift}"
