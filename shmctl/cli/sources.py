"""The sources of ``write``: values, a file or standard input, checked before anything is opened."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from shmctl.cli.session import Session, progress_on
from shmctl.core.errors import InputError, failing_as
from shmctl.core.models import Store
from shmctl.core.names import Name, escape
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.write import Fit, fill, write_bytes, write_stores
from shmctl.core.requests import TYPED_RULES, LayoutSource
from shmctl.core.rules import exclude, go_with, need

if TYPE_CHECKING:
    from shmctl.core.layouts.layout import Layout
    from shmctl.core.layouts.scalartype import Endian
    from shmctl.core.objects.copy_in import Source

_STANDARD_INPUT = b"standard input"
Writer = Callable[[OpenObject], int]
"""Stores its data in an open object; returns how many bytes."""


def parse_byte(text: str) -> int:
    """A byte: 65, 0x41, 0o101, or one ASCII character that is no digit: A."""
    if len(text) == 1 and text.isascii() and not text.isdigit():
        return ord(text)
    try:
        byte = int(text, 0)
    except ValueError:
        byte = -1
    if not 0 <= byte <= 255:
        raise InputError(f"invalid byte '{text}'", hint="bytes are 0 to 255, 0x00 to 0xff, or one character")
    return byte


def parse_hex(text: str) -> bytes:
    """Bytes in pairs of hexadecimal digits; white space and colons may stand between."""
    try:
        return bytes.fromhex(text.replace(":", " "))
    except ValueError as error:
        raise InputError(
            f"invalid hexadecimal '{text}'", hint="bytes look like 68656c6c6f or 68 65 6c"
        ) from error


class Data(NamedTuple):
    """The data to store, and its offset: one source, else standard input."""

    values: tuple[str, ...]
    type_name: str | None
    endian: "Endian"
    layout: LayoutSource | None
    rows: str | None
    hexadecimal: bytes | None
    byte: int | None
    input_file: str | None
    text_arrays: bool
    offset: int
    length: int | None


DATA_RULES = (
    exclude("type_name", "declaration", "hexadecimal", "byte"),
    *(exclude(source, "input_file") for source in ("type_name", "hexadecimal", "byte")),
    need("type_name", "values"),
    need("declaration", "values", "rows"),
    go_with("rows", "declaration"),
    exclude("rows", "values"),
    exclude("values", "hexadecimal", "byte", "input_file"),
    *TYPED_RULES,
    go_with("text_arrays", "declaration"),
    *(
        exclude("length", sized, says="--length goes with --fill, --input and standard input")
        for sized in ("type_name", "declaration", "values", "hexadecimal")
    ),
)


def choose_writer(data: Data, fit: Fit, name: Name, session: Session) -> Writer:
    """Return a writer for ``data``; values are checked now, before anything is opened."""
    offset, length, byte = data.offset, data.length, data.byte
    if data.layout is not None:
        return _layout_writer(data.layout, data, fit, name, session)
    if data.type_name is not None:
        from shmctl.core.layouts.scalars import lookup, pack

        return _bytes_writer(offset, pack(lookup(data.type_name), data.values, data.endian), fit)
    if data.hexadecimal is not None:
        return _bytes_writer(offset, data.hexadecimal, fit)
    if byte is not None:
        return lambda target: fill(target, offset, length, byte, fit)
    if len(data.values) > 1:
        _refuse("more than one VALUE; quote a text with spaces, or give a --type")
    if data.values:
        return _bytes_writer(offset, os.fsencode(data.values[0]), fit)
    return _stream_writer("-" if data.input_file is None else data.input_file, offset, length, fit)


def _refuse(message: str) -> NoReturn:
    raise click.UsageError(message, click.get_current_context())


def _bytes_writer(offset: int, data: bytes, fit: Fit) -> Writer:
    def write(target: OpenObject) -> int:
        write_bytes(target, offset, data, fit)
        return len(data)

    return write


def _layout_writer(source: LayoutSource, data: Data, fit: Fit, name: Name, session: Session) -> Writer:
    from shmctl.cli.struct_output import find_layout

    layout = find_layout(source, name, session)
    if data.text_arrays:
        layout = layout.with_text_arrays()
    if data.rows is not None:
        return _rows_writer(layout, data, fit)
    if data.input_file is not None:
        _refuse("--input goes with --from where there is a --struct")
    return _struct_writer(layout, data.offset, data.values, fit)


def _struct_writer(layout: "Layout", offset: int, assignments: Sequence[str], fit: Fit) -> Writer:
    # Finds unknown fields and values out of range; bit-fields need the object's bytes later.
    planned = layout.stores(assignments, lambda start, length: bytes(length))

    def write(target: OpenObject) -> int:
        write_stores(target, offset, layout.size, lambda load: layout.stores(assignments, load), fit)
        return _count_bytes(planned)

    return write


_MOST_ROWS = 256 << 20


def _rows_writer(layout: "Layout", data: Data, fit: Fit) -> Writer:
    """Stores the records of a CSV or JSON text; each is checked before anything is stored."""
    from shmctl.core.layouts import record_input

    with (
        opened_input("-" if data.input_file is None else data.input_file) as source,
        failing_as("read", source.name),
        open(source.fd, "rb", closefd=False) as file,
    ):
        raw = file.read(_MOST_ROWS + 1)
    if len(raw) > _MOST_ROWS:
        raise InputError(f"more than {_MOST_ROWS >> 20} MiB of records are not read at once")
    text = raw.decode("utf-8-sig", "surrogateescape")
    parse = record_input.parse_csv if data.rows == "csv" else record_input.parse_json
    records = parse(layout, text)
    planned = record_input.stores(layout, records, lambda start, length: bytes(length))

    def write(target: OpenObject) -> int:
        length = layout.size * len(records)
        write_stores(
            target, data.offset, length, lambda load: record_input.stores(layout, records, load), fit
        )
        return _count_bytes(planned)

    return write


def _count_bytes(stores: Sequence[Store]) -> int:
    """Return the number of bytes that the stores change, each counted once."""
    count = end = 0
    for start, data in sorted(stores):
        stop = start + len(data)
        count += max(0, stop - max(start, end))
        end = max(end, stop)
    return count


def _stream_writer(path: str, offset: int, length: int | None, fit: Fit) -> Writer:
    def write(target: OpenObject) -> int:
        from shmctl.core.objects.copy_in import copy_in

        with (
            opened_input(path, length) as source,
            progress_on(escape(target.name), source.amount(0)) as progress,
        ):
            return copy_in(target, offset, source, fit, progress)

    return write


@contextmanager
def opened_input(path: str, length: int | None = None) -> "Iterator[Source]":
    """A file, or standard input for ``-``, to take ``length`` bytes from at most. Raises FileError."""
    from shmctl.core.objects.copy_in import Source

    if path == "-":
        if click.get_current_context().ensure_object(Session).script_is_input:
            _refuse("standard input holds the commands, not data")
        yield Source(0, _STANDARD_INPUT, length)
        return
    name = os.fsencode(path)
    with failing_as("open", name):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield Source(fd, name, length)
    finally:
        with suppress(OSError):  # opened for reading
            os.close(fd)
