"""A structure's fields, each between its bytes, its value and the text that a user gives."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from shmctl.core.errors import InputError
from shmctl.core.layouts import scalars
from shmctl.core.layouts.scalars import ScalarType
from shmctl.core.layouts.values import Enumerator, Value, quote
from shmctl.core.models import Store
from shmctl.core.sizes import counted


@dataclass(frozen=True, slots=True)
class Field:
    """One value in a structure, or one char array, which counts as one value.

    ``offset`` and ``size`` are bytes from the structure's start. A bit-field
    has the ``size`` of the fewest bytes that hold it; its lowest bit is
    ``bit_shift`` bits up in them, and it is ``bit_width`` bits wide.
    ``labels`` are an enum's numbers by name.
    """

    path: str
    ctype: str
    offset: int
    size: int
    bit_shift: int | None
    bit_width: int | None
    type: ScalarType = field(repr=False)
    labels: Mapping[str, int] = field(repr=False, compare=False, default_factory=dict)


def decode(field: Field, raw: bytes) -> Value:
    """The value of ``field``, whose bytes are ``raw``."""
    if field.bit_width is not None:
        return _labelled(field, _bits(field, raw))
    if field.type.kind == "text":
        return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    if field.type.kind == "opaque":
        return raw.hex()
    return _labelled(field, scalars.decode(field.type, raw))


def _labelled(field: Field, value: Value) -> Value:
    if not field.labels:
        return value
    label = next((name for name, number in field.labels.items() if number == value), None)
    return Enumerator(int(value), label)


def _bits(field: Field, raw: bytes) -> int | bool:
    shift, width = field.bit_shift or 0, field.bit_width or 0
    bits = int.from_bytes(raw, "little") >> shift & (1 << width) - 1
    if field.type.kind == "bool":
        return bool(bits)
    return bits - (1 << width) if _is_signed(field.type) and bits >> width - 1 else bits


def _is_signed(type_: ScalarType) -> bool:
    """Whether an integer type has negative values; plain char has them on x86 and not on ARM."""
    return type_.kind == "int" or (type_.kind == "char" and platform.machine() in ("x86_64", "i686"))


def set_bits(field: Field, around: bytes, value: int) -> bytes:
    """The bytes ``around`` a bit-field, with its own bits set to ``value``."""
    shift, mask = field.bit_shift or 0, (1 << (field.bit_width or 0)) - 1
    bits = int.from_bytes(around, "little") & ~(mask << shift) | (value & mask) << shift
    return bits.to_bytes(field.size, "little")


def overlaid(data: bytes, offset: int, stores: list[Store]) -> bytes:
    """``data``, found at ``offset``, as it will be when ``stores`` are done."""
    bytes_ = bytearray(data)
    for store in stores:
        for at, byte in enumerate(store.data, store.offset - offset):
            if 0 <= at < len(bytes_):
                bytes_[at] = byte
    return bytes(bytes_)


def encode(field: Field, value: Value) -> bytes:
    """The bytes of a value that parse_value gave for ``field``, which is no bit-field."""
    if field.type.kind == "text":
        return str(value).encode("utf-8", "surrogateescape").ljust(field.size, b"\0")
    return scalars.encode(field.type, value)


def parse_value(field: Field, text: str) -> Value:
    """``text`` as a value of ``field``; InputError names the field, the value, the type and its range."""
    try:
        return _value(field, text)
    except InputError as error:
        raise InputError(f"{field.path}: {error}", error.hint) from None


def _value(field: Field, text: str) -> Value:
    kind = field.type.kind
    if kind == "opaque":
        raise InputError(f"a {field.type.name} cannot be written as text")
    if kind == "text":
        return _fitting(field, text)
    if field.labels:
        if text in field.labels:
            return field.labels[text]
        if text[:1].isalpha() or text[:1] == "_":
            names = ", ".join(islice(field.labels, 20))
            raise InputError(f"{quote(text)} is no name of {field.type.name}", f"names: {names}")
    if field.bit_width is None:
        return scalars.parse_value(field.type, text)
    if kind == "bool":
        return scalars.parse_bool(field.type, text)
    width = field.bit_width
    low, high = (-1 << width - 1, (1 << width - 1) - 1) if _is_signed(field.type) else (0, (1 << width) - 1)
    return scalars.parse_int(f"{field.type.name}:{width}", text, low, high)


def _fitting(field: Field, text: str) -> str:
    try:
        length = len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise InputError(f"{quote(text)} is not text that can be encoded") from None
    if length > field.size:
        raise InputError(
            f"{quote(text)} takes {counted(length, 'byte')}, and {field.type.name} holds {field.size}"
        )
    return text
