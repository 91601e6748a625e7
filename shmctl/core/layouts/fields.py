"""A structure's fields, each between its bytes, its value and the text that a user gives."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.layouts import scalars
from shmctl.core.layouts.scalartype import ScalarType
from shmctl.core.layouts.values import Enumerator, Value, quote
from shmctl.core.models import Store
from shmctl.core.sizes import counted


class Field(NamedTuple):
    """One value in a structure, or one array of characters, which counts as one value.

    ``offset`` and ``size`` are bytes from the structure's start. A bit-field
    has the ``size`` of the fewest bytes that hold it; its lowest bit is
    ``bit_shift`` bits up in them, and it is ``bit_width`` bits wide.
    """

    path: str
    ctype: str
    offset: int
    size: int
    bit_shift: int | None
    bit_width: int | None
    type: ScalarType

    @property
    def labels(self) -> Mapping[str, int]:
        """An enum's numbers by name."""
        return self.type.labels


def decode(field: Field, raw: bytes) -> Value:
    """The value of ``field``, whose bytes are ``raw``."""
    if field.bit_width is not None:
        return _labelled(field, _bits(field, raw))
    if field.type.kind == "text":
        from shmctl.core.layouts import char_arrays

        return char_arrays.decode(raw, field.type.width, field.type.endian)
    if field.type.kind == "opaque":
        if field.type.lock:
            from shmctl.core.layouts import lockwords

            return lockwords.decode(field.type, raw)
        return raw.hex()
    return _labelled(field, scalars.decode(field.type, raw))


def _labelled(field: Field, value: Value) -> Value:
    if not field.labels:
        return value
    number = int(value)
    label = next((name for name, known in field.labels.items() if known == number), None)
    return Enumerator(number, label or "|".join(_flags(field.labels, number)) or None)


def _flags(labels: Mapping[str, int], number: int) -> Iterator[str]:
    """The names of the bits that make up ``number``, if the enum names each of them; else nothing."""
    bits = {
        value: name for name, value in reversed([*labels.items()]) if value > 0 and not value & (value - 1)
    }
    wanted = [1 << at for at in range(number.bit_length()) if number >> at & 1] if number > 0 else []
    if len(wanted) > 1 and all(bit in bits for bit in wanted):
        yield from (bits[bit] for bit in wanted)


def _order(field: Field) -> str:
    return field.type.endian or "little"


def _bits(field: Field, raw: bytes) -> int | bool:
    shift, width = field.bit_shift or 0, field.bit_width or 0
    bits = int.from_bytes(raw, _order(field)) >> shift & (1 << width) - 1  # type: ignore[arg-type]
    if field.type.kind == "bool":
        return bool(bits)
    return bits - (1 << width) if field.type.signed and bits >> width - 1 else bits


def set_bits(field: Field, around: bytes, value: int) -> bytes:
    """The bytes ``around`` a bit-field, with its own bits set to ``value``."""
    shift, mask = field.bit_shift or 0, (1 << (field.bit_width or 0)) - 1
    bits = int.from_bytes(around, _order(field)) & ~(mask << shift) | (value & mask) << shift  # type: ignore[arg-type]
    return bits.to_bytes(field.size, _order(field))  # type: ignore[arg-type]


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
        from shmctl.core.layouts import char_arrays

        return char_arrays.encode(str(value), field.type.width, field.type.endian).ljust(field.size, b"\0")
    if field.type.kind == "opaque":
        return bytes.fromhex(str(value))
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
        return _opaque(field, text)
    if kind == "text":
        return _fitting(field, text)
    if field.labels:
        number = _number_of(field, text)
        if number is not None:
            return number
    if kind == "bool":
        return scalars.parse_bool(field.type, text, strange=field.bit_width is None)
    if field.bit_width is None:
        return scalars.parse_value(field.type, text)
    width = field.bit_width
    low, high = (-1 << width - 1, (1 << width - 1) - 1) if field.type.signed else (0, (1 << width) - 1)
    return scalars.parse_int(f"{field.type.name}:{width}", text, low, high)


def _number_of(field: Field, text: str) -> int | None:
    """What an enum's name, or several with ``|`` between, stand for; None for a number."""
    if not (text[:1].isalpha() or text[:1] == "_"):
        return None
    value = 0
    for name in text.split("|"):
        number = field.labels.get(name.strip())
        if number is None:
            names = ", ".join(islice(field.labels, 20))
            raise InputError(f"{quote(name)} is no name of {field.type.name}", f"names: {names}")
        value |= number
    return value


def _opaque(field: Field, text: str) -> str:
    digits = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raw = b""
    if len(raw) != field.size or len(digits) != 2 * field.size:
        raise InputError(
            f"a {field.type.name} cannot be written as text",
            f"its {counted(field.size, 'byte')} can, as {2 * field.size} hexadecimal digits",
        )
    return digits


def _fitting(field: Field, text: str) -> str:
    from shmctl.core.layouts import char_arrays

    length = len(char_arrays.encode(text, field.type.width, field.type.endian))
    if length > field.size:
        raise InputError(
            f"{quote(text)} takes {counted(length, 'byte')}, and {field.type.name} holds {field.size}"
        )
    return text
