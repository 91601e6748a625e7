"""The fields of a struct: ``field=value`` lines, or a table."""

from collections.abc import Sequence
from typing import TextIO

from shmctl.core.typed.fields import Field


def write_fields(
    out: TextIO, color: str, rows: Sequence[tuple[Field, str]], offset: int, *, as_table: bool
) -> None:
    """Write each field with its value; the table also says where in the object it stands, in bytes."""
    if not as_table:
        out.writelines(f"{field.path}={value}\n" for field, value in rows)
        return
    from shmctl.render.table import write_table

    write_table(
        out,
        color,
        ("FIELD", "TYPE", "OFFSET", "SIZE", "VALUE"),
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
        (False, False, True, True, False),
    )


def _extent(field: Field) -> str:
    if field.bit_width is None:
        return str(field.size)
    return f"{field.bit_width} bits from {field.bit_shift}"
