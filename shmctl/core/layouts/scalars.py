"""C's scalar types by name, between texts and bytes.

Start-up time is a feature: this module needs nothing but ``struct``.
"""

import math
import os
import re
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import Literal

from shmctl.core.errors import InputError
from shmctl.core.layouts.scalartype import Endian, Kind, ScalarType
from shmctl.core.layouts.values import Address, Char, Float32, Spelled, Value, quote
from shmctl.core.sizes import counted


def platform_char_is_signed() -> bool:
    """Whether this machine's plain char has negative values: x86's has, ARM's has not."""
    return os.uname().machine in ("x86_64", "i686")


def integer(name: str, size: int, signed: bool) -> ScalarType:
    """The integer type ``name`` of ``size`` bytes (1, 2, 4 or 8)."""
    return ScalarType(name, size, "", "int" if signed else "uint", size)


def address(name: str) -> ScalarType:
    """A pointer type of the platform's size."""
    size = struct.calcsize("P")
    return ScalarType(name, size, "", "address", size)


def float_meaning(size: int, machine: int, name: str) -> tuple[Kind, str]:
    """The kind and code of a floating-point type of ``size`` bytes on an ELF ``machine``."""
    if size in (4, 8) or (size == 2 and "loat16" in name and not name.startswith(("__bf", "std::bf"))):
        return "float", {2: "e", 4: "f", 8: "d"}[size]
    if size == 16 and (machine in (22, 183, 243) or "128" in name or "kind=16" in name):
        return "longdouble", "quad"  # s390, aarch64, RISC-V; elsewhere by name
    return ("longdouble", "x87") if machine in (3, 62) and size in (10, 12, 16) else ("opaque", "")


FLOAT = ScalarType("float", 4, "f", "float", 4)
DOUBLE = ScalarType("double", 8, "d", "float", 8)
CHAR = ScalarType("char", 1, "b" if platform_char_is_signed() else "B", "char", 1)
BOOL = ScalarType("bool", 1, "", "bool", 1)

# C's name, its other spellings, and the struct module's code for the platform's size.
_C_INTEGERS = (
    ("short", ("short int", "signed short", "signed short int"), "h"),
    ("unsigned short", ("unsigned short int", "ushort"), "H"),
    ("int", ("signed", "signed int"), "i"),
    ("unsigned int", ("unsigned", "uint"), "I"),
    ("long", ("long int", "signed long", "signed long int"), "l"),
    ("unsigned long", ("unsigned long int", "ulong"), "L"),
    ("long long", ("long long int", "signed long long", "signed long long int"), "q"),
    ("unsigned long long", ("unsigned long long int",), "Q"),
    ("signed char", (), "b"),
    ("unsigned char", ("uchar",), "B"),
    ("size_t", (), "N"),
    ("ssize_t", (), "n"),
    ("intptr_t", (), "n"),
    ("uintptr_t", (), "N"),
    ("ptrdiff_t", (), "n"),
    ("off_t", (), "l"),
    ("time_t", (), "l"),
    ("pid_t", (), "i"),
    ("uid_t", (), "I"),
    ("gid_t", (), "I"),
    ("mode_t", (), "I"),
)


def _table() -> dict[str, ScalarType]:
    table: dict[str, ScalarType] = {}
    for bits in (8, 16, 32, 64):
        for signed in (True, False):
            name = f"{'' if signed else 'u'}int{bits}"
            for spelling in (name, f"{name}_t"):
                table[spelling] = integer(spelling, bits // 8, signed)
    for name, others, code in _C_INTEGERS:
        for spelling in (name, *others):
            table[spelling] = integer(spelling, struct.calcsize(code), code.islower())
    table |= {"float": FLOAT, "double": DOUBLE, "char": CHAR, "bool": BOOL}
    table |= {"_Bool": BOOL, "pointer": address("pointer"), "void *": address("void *")}
    return table


TYPES: Mapping[str, ScalarType] = _table()


def lookup(name: str) -> ScalarType:
    """The type called ``name`` (``int8``, ``unsigned long``, ``void*``); InputError when there is none."""
    words = " ".join(name.replace("*", " * ").split())
    found = TYPES.get(words)
    if found is None:
        raise InputError(f"unknown type {quote(name)}", _types_hint(words))
    return found


def _types_hint(name: str) -> str:
    import difflib  # only needed on the way to an error

    close = difflib.get_close_matches(name[:40], TYPES, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return "types: int8 to int64, uint8 to uint64, float, double, char, bool, int, long, size_t, pointer …"


def pack(type: ScalarType, texts: Sequence[str], endian: Endian) -> bytes:
    """The bytes of ``texts``, one value after another without padding.

    ``endian`` None is the platform's own. Raises InputError for a text that
    is no value of ``type``; every text is read before anything is returned.
    """
    return b"".join([encode(type, parse_value(type, text), endian) for text in texts])


def unpack(type: ScalarType, data: bytes, endian: Endian) -> list[Value]:
    """The values that ``data`` holds; its length is a multiple of the type's size, or InputError."""
    if len(data) % type.size:
        are = "is" if len(data) == 1 else "are"
        what = f"a whole number of {type.name} ({type.size} bytes each)"
        raise InputError(f"{counted(len(data), 'byte')} {are} not {what}")
    return [decode(type, data[at : at + type.size], endian) for at in range(0, len(data), type.size)]


def encode(type: ScalarType, value: Value, endian: Endian = None) -> bytes:
    """The bytes of one value that parse_value gave for the same ``type``."""
    order = type.endian or endian or sys.byteorder
    if isinstance(value, Exact):
        return value.raw if order == "little" else value.raw[::-1]
    if type.kind == "char":
        return bytes([ord(str(value))])
    if type.kind == "float":
        return struct.pack(_ORDERS[order] + type.code, value)
    return int(value).to_bytes(type.size, order, signed=type.kind == "int")


def decode(type: ScalarType, data: bytes, endian: Endian = None) -> Value:
    """The one value that ``data``, of exactly the type's size, holds."""
    order = type.endian or endian or sys.byteorder
    if type.kind == "char":
        return Char(chr(data[0]))
    if type.kind == "bool":
        return bool(data[0]) if data[0] < 2 else data[0]  # C leaves a byte other than 0 and 1 undefined
    if type.kind == "longdouble":
        from shmctl.core.layouts import floats

        return floats.decode(type.code, data, order)
    if type.kind == "float":
        return _float(type, data, order)
    value = int.from_bytes(data, order, signed=type.kind == "int")
    return Address(value) if type.kind == "address" else value


_ORDERS = {"little": "<", "big": ">"}
_USUAL_NANS = {2: 0x7E00, 4: 0x7FC00000, 8: 0x7FF8 << 48}


def _float(type: ScalarType, data: bytes, order: Literal["little", "big"]) -> float:
    value: float = struct.unpack(_ORDERS[order] + type.code, data)[0]
    if math.isnan(value):  # which one, only its bits tell
        bits = int.from_bytes(data, order)
        sign = bits >> type.size * 8 - 1
        usual = bits & (1 << type.size * 8 - 1) - 1 == _USUAL_NANS[type.size]
        return Spelled(math.nan, f"{'-' * sign}nan" if usual else f"bits({bits:#x})")
    return Float32(value) if type.code in "fe" else value


class Exact(float):
    """A floating-point value that was parsed, with its bytes, least significant first."""

    raw: bytes

    def __new__(cls, value: float, raw: bytes) -> "Exact":
        """Make the value nearest to it, with its exact bytes."""
        self = super().__new__(cls, value)
        self.raw = raw
        return self


def parse_value(type: ScalarType, text: str) -> Value:
    """``text`` as a value of ``type``; InputError says what it should have been."""
    if type.kind == "longdouble":
        return _parse_long_double(type, text)
    if type.kind == "float":
        return parse_float(type, text)
    if type.kind == "bool":
        return parse_bool(type, text)
    if type.kind == "char":
        return parse_char(text)
    bits = type.size * 8
    signed = type.kind == "int"
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return parse_int(type.name, text, low, high)


# Patterns, compiled when there is something to parse: re keeps them then.
_INTEGER = r"([+-]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[0-9]+)"
_ANY_RANGE = 1 << 64


def parse_int(type_name: str, text: str, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``: decimal, 0x, 0o or 0b, with an optional sign."""
    match = re.fullmatch(_INTEGER, text)
    if match is None:
        raise InputError(
            f"{quote(text)} is not a whole number, as {type_name} needs",
            "write it in decimal, or with 0x, 0o or 0b in front",
        )
    sign, digits = match.groups()
    if digits[0] == "0" and digits.isdecimal() and digits.strip("0"):
        plain = quote(digits.lstrip("0"))
        octal = "" if set(digits) & set("89") else f"{sign}0o{plain} or "
        raise InputError(
            f"{quote(text)} is ambiguous: a leading zero means octal in C",
            f"write {octal}{sign}{plain}",
        )
    # int() refuses thousands of digits, and none of them could be in range
    number = int(digits, 0 if digits.strip("0") else 16) if len(digits.lstrip("0xX")) <= 70 else _ANY_RANGE
    value = -number if sign == "-" else number
    if not low <= value <= high:
        raise InputError(f"{quote(text)} is out of range for {type_name} ({low} to {high})")
    return value


_FLOAT = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_HEX_FLOAT = r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
_BITS = r"bits\(0[xX]([0-9a-fA-F]{1,16})\)"
_NOT_FINITE = r"(?i:[+-]?(?:inf|infinity|nan))"


def parse_float(type: ScalarType, text: str) -> float:
    """A decimal or hexadecimal floating-point number, ``inf``, ``nan`` or ``bits(0x…)``."""
    if re.fullmatch(_NOT_FINITE, text):
        return float(text)
    match = re.fullmatch(_BITS, text)
    if match:
        raw = int(match[1], 16)
        if raw >= 1 << type.size * 8:
            raise InputError(f"{quote(text)} is out of range for {type.name}")
        return Exact(math.nan, raw.to_bytes(type.size, "little"))
    if re.fullmatch(_HEX_FLOAT, text):
        convert = float.fromhex
    elif re.fullmatch(_FLOAT, text):
        convert = float
    else:
        raise InputError(f"{quote(text)} is not a number, as {type.name} needs")
    try:
        value = convert(text)
        if math.isfinite(value) and type.size < 8:
            struct.pack("=" + type.code, value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        limit = {2: "65504.0", 4: "3.4028235e+38"}.get(type.size, "1.7976931348623157e+308")
        raise InputError(f"{quote(text)} is out of range for {type.name} (-{limit} to {limit})")
    return value


def _parse_long_double(type: ScalarType, text: str) -> float:
    from shmctl.core.layouts import floats

    raw = floats.encode(type.code, text, "little", type.name)
    return Exact(floats.decode(type.code, raw, "little"), raw)


def parse_bool(type: ScalarType, text: str, *, strange: bool = False) -> int:
    """``true``, ``false``, ``1`` or ``0``; where it is ``strange`` also 2 to 255, which memory may hold."""
    if strange and text.isascii() and text.isdecimal() and len(text) <= 3 and 2 <= int(text) <= 255:
        return int(text)
    if text not in ("true", "false", "1", "0"):
        raise InputError(f"{quote(text)} is not a {type.name}: true, false, 1 or 0")
    return text in ("true", "1")


_CHAR_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\0": "\0", "\\\\": "\\"}
_HEX_CHAR = r"\\x[0-9a-fA-F]{2}"


def parse_char(text: str) -> Char:
    r"""One character of one byte, or ``\n``, ``\t``, ``\r``, ``\0``, ``\\``, ``\xNN``."""
    if text in _CHAR_ESCAPES:
        return Char(_CHAR_ESCAPES[text])
    if re.fullmatch(_HEX_CHAR, text):
        return Char(chr(int(text[2:], 16)))
    try:
        encoded = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = b""
    if len(encoded) != 1:
        raise InputError(
            f"{quote(text)} is not one character of one byte, as char needs",
            r"escapes: \n \t \r \0 \\ \xNN",
        )
    return Char(chr(encoded[0]))
