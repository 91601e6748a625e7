"""Records as text, one behind the other: CSV as RFC 4180 has it, JSON lines or an array of JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shmctl.core.errors import InputError
from shmctl.core.layouts.fields import Field, parse_value
from shmctl.core.layouts.layout import Layout, Load
from shmctl.core.layouts.pyvalues import pairs
from shmctl.core.layouts.values import Value, quote
from shmctl.core.models import Store
from shmctl.core.sizes import counted

Record = list[tuple[Field, Value]]
"""The fields that a record gives, and their values."""


def parse_csv(layout: Layout, text: str) -> list[Record]:
    """The records of a text whose first line names the fields. Raises InputError with the line."""
    import csv
    import io

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"line {reader.line_num}: {error}") from None
    if not rows:
        raise InputError("there is no line with the names of fields")
    fields = [_field(layout, path) for path in rows[0][1]]
    if len({field.path for field in fields}) < len(fields):
        raise InputError("line 1: a field is named twice")
    return [_csv_record(fields, row, line) for line, row in rows[1:]]


def _field(layout: Layout, path: str) -> Field:
    field = layout.single(path)
    if field is None:
        raise InputError(f"line 1: {quote(path)} is not a single value")
    return field


def _csv_record(fields: Sequence[Field], row: Sequence[str], line: int) -> Record:
    if len(row) != len(fields):
        named = counted(len(fields), "field")
        raise InputError(f"line {line} has {counted(len(row), 'value')}, and the first line names {named}")
    try:
        return [(field, parse_value(field, text)) for field, text in zip(fields, row, strict=True)]
    except InputError as error:
        raise InputError(f"line {line}: {error}", error.hint) from None


def parse_json(layout: Layout, text: str) -> list[Record]:
    """The records of JSON: an object a line, or an array of them; what ``read --json`` prints is understood.

    Raises InputError with the line or the number of the record.
    """
    return [_json_record(layout, where, value) for where, value in _json_values(text)]


def _json_values(text: str) -> Iterator[tuple[str, Any]]:
    import json

    def load(part: str) -> Any:
        # Numbers keep their digits until the field's type is known.
        return json.loads(part, parse_float=str, parse_constant=str)

    if text.lstrip().startswith("["):
        try:
            values = load(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not understood as JSON: {error}") from None
        yield from ((f"record {number}", value) for number, value in enumerate(values, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield f"line {number}", load(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"line {number}: not understood as JSON: {error}") from None


def _json_record(layout: Layout, where: str, value: Any) -> Record:
    if isinstance(value, Mapping) and isinstance(value.get("fields"), Mapping) and "struct" in value:
        value = value["fields"]
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is not an object with fields")
    try:
        return pairs(layout, value, _json_value)
    except InputError as error:
        raise InputError(f"{where}: {error}", error.hint) from None
    except RecursionError:
        raise InputError(f"{where}: nested too deep") from None


def _json_value(field: Field, value: Any) -> Value:
    if isinstance(value, Mapping):  # a lock, of which the bytes count
        value = value.get("bytes")
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        raise InputError(f"{field.path}: {quote(str(value))} is no value of {field.type.name}")
    if field.type.kind == "char" and field.bit_width is None and len(value) == 1:
        code = ord(value)
        value = f"\\x{code:02x}" if code < 256 else value
    return parse_value(field, value)


def stores(layout: Layout, records: Sequence[Record], load: Load) -> list[Store]:
    """The stores of all records, one structure behind the other, in their order."""
    result: list[Store] = []
    for number, record in enumerate(records):
        base = number * layout.size

        def load_here(start: int, length: int, base: int = base) -> bytes:
            return load(base + start, length)

        result += [Store(base + store.offset, store.data) for store in layout.stores_of(record, load_here)]
    return result
