import json
import math
import struct
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shmctl.core.errors import InputError
from shmctl.core.layouts.scalars import TYPES, lookup, pack, unpack
from shmctl.core.layouts.values import Enumerator, to_json, to_text

INTEGERS = sorted(name for name, type_ in TYPES.items() if type_.kind in ("int", "uint"))
Endian = Literal["little", "big"] | None
ENDIANS: st.SearchStrategy[Endian] = st.sampled_from([None, "little", "big"])


def limits(name: str) -> tuple[int, int]:
    type_ = TYPES[name]
    bits = type_.size * 8
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if type_.kind == "int" else (0, (1 << bits) - 1)


def refused(name: str, *texts: str) -> str:
    with pytest.raises(InputError) as caught:
        pack(lookup(name), texts, None)
    return str(caught.value)


def test_sizes_and_signs_are_the_c_compilers(tmp_path: Path) -> None:
    # names that are not C's own stand for these
    c_names = {name: name for name in TYPES} | {"pointer": "void *", "bool": "_Bool"}
    c_names |= {
        name: f"{name}_t" for name in TYPES if name.startswith(("int", "uint")) and name[-1].isdigit()
    }
    c_names |= {"uchar": "unsigned char"}
    lines = [f'printf("%zu %d\\n", sizeof({c}), ({c})-1 < ({c})1);' for c in c_names.values()]
    source = tmp_path / "sizes.c"
    includes = "#include <stdio.h>\n#include <stdint.h>\n#include <stddef.h>\n#include <sys/types.h>\n"
    source.write_text(includes + "int main(void) {" + "\n".join(lines) + "}")
    subprocess.run(["gcc", "-w", "-o", tmp_path / "sizes", source], check=True)
    printed = subprocess.run([tmp_path / "sizes"], capture_output=True, text=True, check=True).stdout
    for name, line in zip(c_names, printed.splitlines(), strict=True):
        size, signed = line.split()
        assert TYPES[name].size == int(size), name
        if TYPES[name].kind in ("int", "uint"):
            assert (TYPES[name].kind == "int") == (signed == "1"), name


@pytest.mark.parametrize("name", INTEGERS)
def test_both_limits_fit_and_nothing_beyond(name: str) -> None:
    low, high = limits(name)
    type_ = lookup(name)
    assert unpack(type_, pack(type_, [str(low), str(high)], None), None) == [low, high]
    for value in (low - 1, high + 1):
        assert refused(name, str(value)) == f"{value} is out of range for {name} ({low} to {high})"


def test_the_message_of_the_contract() -> None:
    assert refused("int8", "300") == "300 is out of range for int8 (-128 to 127)"


@given(st.sampled_from(INTEGERS), st.data(), ENDIANS, st.sampled_from(["d", "#x", "#X", "#o", "#b"]))
def test_integers_round_trip_in_every_base(name: str, data: st.DataObject, endian: Endian, base: str) -> None:
    low, high = limits(name)
    numbers = data.draw(st.lists(st.integers(low, high), max_size=5))
    texts = [format(number, base) for number in numbers]
    packed = pack(lookup(name), texts, endian)
    assert unpack(lookup(name), packed, endian) == numbers
    order = {None: sys.byteorder, "little": "little", "big": "big"}[endian]
    size = TYPES[name].size
    assert packed == b"".join(n.to_bytes(size, order, signed=low < 0) for n in numbers)


@given(st.binary(min_size=4, max_size=4), ENDIANS)
def test_a_float_s_text_is_the_shortest_that_gives_the_same_bytes(data: bytes, endian: Endian) -> None:
    float32 = lookup("float")
    (value,) = unpack(float32, data, endian)
    assert isinstance(value, float)
    text = to_text(value)
    assert pack(float32, [text], endian) == data
    if math.isnan(value):
        assert text in ("nan", "-nan") or text.startswith("bits(0x")
        return
    digits = len(text.lstrip("-").split("e")[0].replace(".", "").strip("0"))
    assert digits <= 9
    if digits > 1 and math.isfinite(value):
        shorter = f"{float(text):.{digits - 2}e}"
        assert struct.unpack("f", struct.pack("f", min(max(float(shorter), -3e38), 3e38)))[0] != value


@given(st.floats(), ENDIANS)
def test_doubles_round_trip(number: float, endian: Endian) -> None:
    double = lookup("double")
    (value,) = unpack(double, pack(double, [repr(number)], endian), endian)
    assert to_text(value) == repr(number)
    if math.isfinite(number):
        assert pack(double, [number.hex()], endian) == pack(double, [repr(number)], endian)


@given(st.integers(0, 255))
def test_every_byte_as_char_round_trips_through_its_text(byte: int) -> None:
    char = lookup("char")
    (value,) = unpack(char, bytes([byte]), None)
    text = to_text(value)
    assert text.isprintable() and text.isascii()
    assert pack(char, [text], None) == bytes([byte])
    assert to_json(value) == chr(byte)


@pytest.mark.parametrize(
    ("name", "text", "shown", "as_json"),
    [
        ("float", "0.1", "0.1", 0.1),
        ("float", "1e-45", "1e-45", 1e-45),
        ("float", "3.4028235e38", "3.4028235e+38", 3.4028235e38),
        ("double", "0.1", "0.1", 0.1),
        ("double", "0x1.8p1", "3.0", 3.0),
        ("double", "-inf", "-inf", "-inf"),
        ("float", "NaN", "nan", "nan"),
        ("float", "Infinity", "inf", "inf"),
        ("double", ".5", "0.5", 0.5),
        ("bool", "true", "true", True),
        ("bool", "0", "false", False),
        ("char", "A", "A", "A"),
        ("char", r"\n", r"\n", "\n"),
        ("char", r"\0", r"\x00", "\0"),
        ("char", r"\\", r"\\", "\\"),
        ("char", "\udcff", r"\xff", "\xff"),
        ("pointer", "0xff", "0xff", "0xff"),
        ("void*", "0", "0x0", "0x0"),
        ("int", "-0x10", "-16", -16),
        ("int", "+0b101", "5", 5),
        ("int", "0o17", "15", 15),
        ("int", "00", "0", 0),
        ("unsigned  long", "1", "1", 1),
    ],
)
def test_texts_and_json(name: str, text: str, shown: str, as_json: object) -> None:
    (value,) = unpack(lookup(name), pack(lookup(name), [text], None), None)
    assert to_text(value) == shown
    assert to_json(value) == as_json and type(to_json(value)) is type(as_json)
    json.dumps(to_json(value), allow_nan=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[
            ("int", t)
            for t in ("", " 1", "1 ", "1_000", "\uff11", "0x", "0b2", "0o8", "1.0", "x", "--1", "+", "1\n")
        ],
        *[("int", t) for t in ("010", "-010", "008", "9" * 5000, "0x" + "f" * 5000, "0" * 5000 + "1")],
        *[
            ("double", t)
            for t in ("", "1_0", " 1", "1e", "0x", "0xg", "e5", ".", "\uff11", "1e999", "0x1p9999", "nan1")
        ],
        *[("float", t) for t in ("1e39", "-1e39", "0x1p128", "3.4028236e38")],
        *[("bool", t) for t in ("", "yes", "TRUE", "2", "01")],
        *[("char", t) for t in ("", "ab", "é", r"\x4", r"\q", "\ud800", r"\x123", r"\N")],
        *[("pointer", t) for t in ("-1", "0x10000000000000000", "nil")],
        *[("uint8", t) for t in ("-1", "256")],
    ],
)
def test_what_is_no_value_is_refused_in_one_printable_line(name: str, text: str) -> None:
    message = refused(name, "1", text)
    assert message.isprintable() and len(message) < 200


def test_floats_just_inside_and_just_outside_the_range() -> None:
    assert pack(lookup("float"), ["3.4028235677973362e38"], None)
    assert "out of range for float" in refused("float", "3.4028236e38")


@given(
    st.sampled_from(sorted(TYPES)),
    st.text(max_size=8) | st.from_regex(r"[-+]?[0-9a-fxob.e]{1,8}", fullmatch=True),
)
def test_any_text_is_a_value_or_an_input_error(name: str, text: str) -> None:
    try:
        data = pack(TYPES[name], [text], None)
    except InputError:
        return
    assert len(data) == TYPES[name].size


@given(st.sampled_from(sorted(TYPES)), st.data(), ENDIANS)
def test_any_bytes_unpack_to_a_text_of_one_printable_line(
    name: str, data: st.DataObject, endian: Endian
) -> None:
    size = TYPES[name].size
    raw = data.draw(st.binary(min_size=size, max_size=size))
    (value,) = unpack(TYPES[name], raw, endian)
    assert to_text(value).isprintable()
    json.dumps(to_json(value), allow_nan=False)


def test_bytes_that_are_no_whole_values_are_refused() -> None:
    with pytest.raises(InputError, match="5 bytes are not a whole number of int"):
        unpack(lookup("int"), b"12345", None)


def test_unknown_types_get_a_hint() -> None:
    with pytest.raises(InputError, match="unknown type unt8") as caught:
        lookup("unt8")
    assert "uint8" in str(caught.value.hint)
    with pytest.raises(InputError) as caught:
        lookup("\x1bzzz\n")
    assert str(caught.value).isprintable() and "int8" in str(caught.value.hint)


def test_enumerators_show_their_label_or_number() -> None:
    assert to_text(Enumerator(1, "RED")) == "RED" and to_text(Enumerator(7)) == "7"
    assert to_json(Enumerator(1, "RED")) == 1


def test_importing_loads_little() -> None:
    code = "import sys, shmctl.core.layouts.scalars\nassert not {'ctypes', 'decimal'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
