"""The conditions of shmctl wait: what users write, and what it means."""

import struct
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shmctl.core.errors import InputError
from shmctl.core.layouts.load import parse
from shmctl.core.layouts.scalars import TYPES
from shmctl.core.sync.conditions import Conditions, parse_scalar_conditions, parse_struct_conditions

LAYOUT = parse(
    "enum e { RED, GREEN = 5 }; struct s { int a; unsigned low : 3; int sign : 4; enum e paint; "
    "char text[8]; double d; float f[2]; struct { short x; } in; void *p; _Bool ok; char c; "
    "long double wide; }"
)


def holds(conditions: Conditions, data: bytes) -> bool:
    return conditions.look(lambda start, length: data[start : start + length]) is not None


def scalar(type_name: str, *texts: str, endian: str | None = None) -> Conditions:
    return parse_scalar_conditions(type_name, endian, texts)


NUMBERS = [-(2**31), -7, -1, 0, 1, 6, 7, 8, 2**31 - 1]


@pytest.mark.parametrize(
    ("operator", "wanted"),
    [
        ("==", lambda a, b: a == b),
        ("!=", lambda a, b: a != b),
        ("<", lambda a, b: a < b),
        ("<=", lambda a, b: a <= b),
        (">", lambda a, b: a > b),
        (">=", lambda a, b: a >= b),
        ("&", lambda a, b: a & b != 0),
    ],
)
def test_operators(operator: str, wanted: object) -> None:
    for constant in NUMBERS:
        conditions = scalar("int", f"{operator} {constant}")
        for value in NUMBERS:
            assert holds(conditions, struct.pack("i", value)) == wanted(value, constant)  # type: ignore[operator]


@pytest.mark.parametrize("text", ["==7", " == 7", "==  7 ", "\t==7\n", "== 0x7", "== 0o7", "==+7"])
def test_spellings(text: str) -> None:
    assert holds(scalar("int", text), struct.pack("i", 7))
    assert not holds(scalar("int", text), struct.pack("i", 8))


@pytest.mark.parametrize("text", ["in.x==-3", "in.x == -3", "  in.x  ==  -3  "])
def test_fields_and_white_space(text: str) -> None:
    conditions = parse_struct_conditions(LAYOUT, [text])
    place = LAYOUT.select("in.x")[0].offset
    data = bytearray(LAYOUT.size)
    assert not holds(conditions, bytes(data))
    struct.pack_into("h", data, place, -3)
    assert holds(conditions, bytes(data))
    assert conditions.length == LAYOUT.size


def test_together() -> None:
    conditions = scalar("int", "> 1", "< 5", "!= 3")
    assert [n for n in range(8) if holds(conditions, struct.pack("i", n))] == [2, 4]


def test_the_values_are_those_compared() -> None:
    conditions = parse_struct_conditions(LAYOUT, ["paint == GREEN", "low >= 1", "paint != RED"])
    loads: list[tuple[int, int]] = []
    data = bytearray(LAYOUT.size)
    struct.pack_into("i", data, LAYOUT.select("paint")[0].offset, 5)
    data[4] = 0b10

    def load(start: int, length: int) -> bytes:
        loads.append((start, length))
        return bytes(data[start : start + length])

    values = conditions.look(load)
    assert values == [5, 2, 5]
    assert conditions.lines(values) == ["paint=GREEN", "low=2", "paint=GREEN"]
    # In the order given, each by itself: a flag may be looked at before the data.
    assert loads == [(8, 4), (4, 1), (8, 4)]


def test_no_value_is_looked_at_behind_one_that_fails() -> None:
    conditions = scalar("int", "== 1", "== 2")
    looks: list[int] = []

    def load(start: int, length: int) -> bytes:
        looks.append(start)
        return bytes(length)

    assert conditions.look(load) is None
    assert looks == [0]


@pytest.mark.parametrize(("value", "text"), [(0, "== 0"), (0, "!= 1"), (0, "<= 0"), (False, "== false")])
def test_zero_is_a_value_like_others(value: int, text: str) -> None:
    conditions = scalar("bool" if "false" in text else "int", text)
    assert conditions.look(lambda _, length: bytes(length)) == [value]


def test_a_float_is_compared_as_it_is_stored() -> None:
    assert holds(scalar("float", "== 0.1"), struct.pack("f", 0.1))
    assert not holds(scalar("float", "!= 0.1"), struct.pack("f", 0.1))
    assert holds(
        parse_struct_conditions(LAYOUT, ["f[1] == 0.1"]),
        bytes(LAYOUT.select("f[1]")[0].offset) + struct.pack("f", 0.1) + bytes(100),
    )


def test_nan_is_like_nothing() -> None:
    nan = struct.pack("d", float("nan"))
    for text in ("== nan", "< 1", "> 1", "<= nan"):
        assert not holds(scalar("double", text), nan)
    assert holds(scalar("double", "!= nan"), nan)


@pytest.mark.parametrize("endian", ["little", "big"])
def test_byte_order(endian: str) -> None:
    data = (258).to_bytes(4, endian)  # type: ignore[arg-type]
    assert holds(scalar("uint32", "== 258", endian=endian), data)
    assert holds(scalar("int32", "> 257", "< 259", endian=endian), data)


TEXTS = st.one_of(
    st.text(),
    st.text("=!<>& 01-x.[]a\0", max_size=12),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            ["", "a", "low", "sign", "paint", "text", "d", "f[1]", "in", "in.x", "p", "ok", "c", "wide"]
        ),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "&", "=", " == "]),
        st.one_of(st.text(), st.integers().map(str), st.floats().map(str), st.sampled_from(["RED", "true"])),
    ),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXTS, max_size=3))
@example(["a == " + "9" * 5000])
@example(["a[" + "9" * 5000 + "] == 1"])
@example(["d == 1e999999"])
@example(["text == \udcff"])
@example(["text == \ud800"])
@example(["wide >= 1e4000"])
@example(["f[0] == 1e39"])
@example(["p & 1"])
def test_any_text_is_a_condition_of_a_struct_or_an_input_error(texts: Sequence[str]) -> None:
    try:
        conditions = parse_struct_conditions(LAYOUT, texts)
    except InputError as error:
        assert str(error)
        return
    look_at_anything(conditions, LAYOUT.size)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(TYPES)), st.lists(TEXTS, max_size=3), st.sampled_from([None, "little", "big"]))
@example("float", ["== 1e39"], None)
@example("char", ["== \udcff"], None)
@example("char", ["< "], None)
@example("bool", ["& true"], None)
def test_any_text_is_a_condition_of_a_type_or_an_input_error(
    type_name: str, texts: Sequence[str], endian: str | None
) -> None:
    try:
        conditions = parse_scalar_conditions(type_name, endian, texts)
    except InputError as error:
        assert str(error)
        return
    look_at_anything(conditions, TYPES[type_name].size)


def look_at_anything(conditions: Conditions, size: int) -> None:
    """Whatever stands there, the answer is yes or no, and values can be shown."""
    assert conditions.length == size
    for data in (bytes(size), b"\xff" * size, bytes(range(1, 256)) * (size // 255 + 1)):
        values = conditions.look(lambda start, length, data=data: data[start : start + length])  # type: ignore[misc]
        if values is not None:
            assert all("\n" not in line for line in conditions.lines(values))
