"""What ``write`` stores: one source out of those that the options name, checked before anything is opened."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from shmctl.cli.session import Session, progress_on
from shmctl.core.errors import InputError, failing_as
from shmctl.core.models import Store
from shmctl.core.names import escape
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.write import Fit, fill, write_bytes, write_stores

if TYPE_CHECKING:
    from shmctl.core.objects.streams import Source

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


def choose_writer(options: dict[str, Any], fit: Fit) -> Writer:
    """What stores the source that the options name; input is checked here, before anything is opened."""
    values: tuple[str, ...] = options["values"]
    offset: int = options["offset"]
    _check_sources(options)
    if options["declaration"] is not None:
        return _struct_writer(options, offset, values, fit)
    if options["type_name"] is not None:
        from shmctl.core.layouts.scalars import lookup, pack

        return _bytes_writer(offset, pack(lookup(options["type_name"]), values, options["endian"]), fit)
    if options["hexadecimal"] is not None:
        return _bytes_writer(offset, options["hexadecimal"], fit)
    if options["byte"] is not None:
        length, byte = options["length"], options["byte"]
        return lambda target: fill(target, offset, length, byte, fit)
    if values:
        return _bytes_writer(offset, os.fsencode(values[0]), fit)
    return _stream_writer(options, offset, fit)


def _check_sources(options: dict[str, Any]) -> None:
    """One source, and with it only what goes with it."""
    chosen = [
        flag
        for key, flag in (
            ("type_name", "--type"),
            ("declaration", "--struct"),
            ("hexadecimal", "--hex"),
            ("byte", "--fill"),
            ("input_file", "--input"),
        )
        if options[key] is not None
    ]
    values = options["values"]
    takes_values = chosen in (["--type"], ["--struct"])
    if len(chosen) > 1:
        _refuse(f"{' and '.join(chosen)} exclude each other")
    if takes_values and not values:
        _refuse(f"{chosen[0]} needs a VALUE")
    if chosen and values and not takes_values:
        _refuse(f"{chosen[0]} takes no VALUE")
    if not chosen and len(values) > 1:
        _refuse("more than one VALUE; quote a text with spaces, or give a --type")
    if options["endian"] and chosen != ["--type"]:
        _refuse("--endian goes with --type")
    if options["header"] and chosen != ["--struct"]:
        _refuse("--header goes with --struct")
    if options["mode"] is not None and not options["create"]:
        _refuse("--mode goes with --create")
    if options["length"] is not None and (takes_values or values or options["hexadecimal"] is not None):
        _refuse("--length goes with --fill, --input and standard input")


def _refuse(message: str) -> None:
    raise click.UsageError(message, click.get_current_context())


def _bytes_writer(offset: int, data: bytes, fit: Fit) -> Writer:
    def write(target: OpenObject) -> int:
        write_bytes(target, offset, data, fit)
        return len(data)

    return write


def _struct_writer(options: dict[str, Any], offset: int, assignments: Sequence[str], fit: Fit) -> Writer:
    from shmctl.cli.options import load_layout

    layout = load_layout(options["declaration"], options["header"])
    # What is out of range or unknown shows now; what bit-fields keep of their bytes, only then.
    layout.stores(assignments, lambda start, length: bytes(length))

    def write(target: OpenObject) -> int:
        counts: list[int] = []

        def stores(load: Callable[[int, int], bytes]) -> Sequence[Store]:
            wanted = layout.stores(assignments, load)
            counts.extend(len(store.data) for store in wanted)
            return wanted

        write_stores(target, offset, layout.size, stores, fit)
        return sum(counts)

    return write


def _stream_writer(options: dict[str, Any], offset: int, fit: Fit) -> Writer:
    def write(target: OpenObject) -> int:
        from shmctl.core.objects.streams import copy_in

        path: str | None = options["input_file"]
        with (
            opened_input("-" if path is None else path, options["length"]) as source,
            progress_on(escape(target.name), source.amount(0)) as progress,
        ):
            return copy_in(target, offset, source, fit, progress)

    return write


@contextmanager
def opened_input(path: str, length: int | None = None) -> "Iterator[Source]":
    """A file, or standard input for ``-``, to take ``length`` bytes from at most. Raises FileError."""
    from shmctl.core.objects.streams import Source

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
        with suppress(OSError):  # what was read has been read
            os.close(fd)
