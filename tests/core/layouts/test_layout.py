"""A layout as commands use it: ranges of elements, texts, locks, types that are no structure, records."""

import json
import os
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.core.errors import InputError
from shmctl.core.layouts import char_arrays, floats, record_input
from shmctl.core.layouts.fields import decode
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.load import parse
from shmctl.core.layouts.outline import leaves, outline
from shmctl.core.layouts.scalartype import ScalarType
from shmctl.core.layouts.values import to_json, to_text
from tests.core.layouts.test_declarations import Author

RING = parse(
    "struct slot {long seq; char name[4]; unsigned char raw[4]; wchar_t wide[3];};"
    "enum color {RED = 1, GREEN = 2, BLUE = 4};"
    "struct slot slots[6]; int grid[2][3]; enum color color; pthread_mutex_t lock; sem_t sem; bool ok"
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("slots[2:4].seq", ["slots[2].seq", "slots[3].seq"]),
        ("slots[*].name", [f"slots[{i}].name" for i in range(6)]),
        ("slots[4:].seq", ["slots[4].seq", "slots[5].seq"]),
        ("slots[:1].seq", ["slots[0].seq"]),
        ("slots[3:3].seq", []),
        ("grid[*][1:3]", ["grid[0][1]", "grid[0][2]", "grid[1][1]", "grid[1][2]"]),
        ("lock", ["lock"]),
    ],
)
def test_ranges(path: str, found: list[str]) -> None:
    assert [field.path for field in RING.select(path)] == found
    ((start, length),) = RING.spans([path])
    for field in RING.each(path):
        assert start <= field.offset and field.offset + field.size <= start + length


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("slots[2:7].seq", "out of range: slots has 6 elements"),
        ("slots[4:2].seq", "out of range"),
        ("slots[*", "not the name of a field"),
        ("color[*]", "is not an array"),
        ("slots[1:2].nope", r"no field is called slots\[1\]\.nope"),
        ("slots[" + "9" * 5000 + ":]", "out of range"),
    ],
)
def test_ranges_that_are_none_are_refused_at_once(path: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RING.each(path)


def stored(layout: Layout, *assignments: str, data: bytes | None = None) -> bytes:
    memory = bytearray(layout.size if data is None else data)
    for store in layout.stores(assignments, lambda start, length: bytes(memory[start : start + length])):
        memory[store.offset : store.offset + len(store.data)] = store.data
    return bytes(memory)


def value(layout: Layout, data: bytes, path: str) -> str:
    (field,) = layout.select(path)
    return to_text(layout.read(data, field))


def test_a_range_is_stored_in_each_element() -> None:
    data = stored(RING, "slots[1:3].seq=7", "grid[*][2]=9", r"slots[0].name=a\nb")
    assert [value(RING, data, f"slots[{i}].seq") for i in range(4)] == ["0", "7", "7", "0"]
    assert [value(RING, data, f"grid[{i}][2]") for i in range(2)] == ["9", "9"]
    (name,) = RING.select("slots[0].name")
    assert data[name.offset : name.offset + 4] == b"a\nb\0"


def test_flags_and_names_of_an_enum() -> None:
    assert value(RING, stored(RING, "color=RED|BLUE"), "color") == "RED|BLUE"
    assert value(RING, stored(RING, "color=7"), "color") == "RED|GREEN|BLUE"
    assert value(RING, stored(RING, "color=9"), "color") == "9", "8 has no name"
    with pytest.raises(InputError, match="PINK is no name of enum color"):
        stored(RING, "color=RED|PINK")


def test_text_arrays() -> None:
    layout = RING.with_text_arrays()
    data = stored(layout, "slots[0].raw=ab", "slots[0].wide=é\\U0001f600x")
    assert value(layout, data, "slots[0].raw") == "ab"
    assert value(layout, data, "slots[0].wide") == "é😀x"
    assert value(RING, data, "slots[0].raw[1]") == "98"
    with pytest.raises(InputError, match=r"takes 5 bytes, and unsigned char\[4\] holds 4"):
        stored(layout, "slots[0].raw=abcde")


@pytest.mark.parametrize(
    ("text", "path", "set_to", "size"),
    [
        ("enum color {RED, GREEN = 5}", "value", "GREEN", 4),
        ("typedef unsigned short word", "value", "65535", 2),
        ("typedef int pair[2]", "value[1]", "-3", 8),
        ("typedef char text[5]", "value", "hello", 5),
        ("int", "value", "7", 4),
    ],
)
def test_types_that_are_no_structure(text: str, path: str, set_to: str, size: int) -> None:
    layout = parse(text)
    assert layout.size == size
    assert value(layout, stored(layout, f"{path}={set_to}"), path) == set_to


def test_a_bool_that_is_neither_true_nor_false() -> None:
    (ok,) = RING.select("ok")
    data = bytearray(RING.size)
    data[ok.offset] = 2
    assert value(RING, bytes(data), "ok") == "2"
    assert stored(RING, "ok=2") == bytes(data)


def test_integers_that_json_programs_lose_digits_of() -> None:
    assert [to_json(n, big_as_text=True) for n in (2**53, 2**53 + 1, -(2**63))] == [
        2**53,
        str(2**53 + 1),
        str(-(2**63)),
    ]


# Every byte comes back


@given(st.binary(max_size=12))
def test_texts_come_back_and_no_two_look_alike(raw: bytes) -> None:
    text = char_arrays.decode(raw, 1, None)
    kept = raw.rstrip(b"\0")
    assert text.shown.isprintable()
    assert char_arrays.encode(text.shown, 1, None) == kept
    assert char_arrays.encode(text.json, 1, None) == kept
    assert json.loads(json.dumps(text.json)) == text.json


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"a\nb", r"a\nb"),
        (b"\xff", r"\xff"),
        (rb"\xff", r"\\xff"),
        ("é".encode(), "é"),
        (b"a\0b\0", r"a\x00b"),
    ],
)
def test_how_texts_look(raw: bytes, shown: str) -> None:
    assert char_arrays.decode(raw, 1, None).shown == shown


@pytest.mark.parametrize("text", [r"\q", "\\", r"\x4", r"\07", r"\u12", r"\ud800", "\ud800"])
def test_escapes_that_are_none(text: str) -> None:
    with pytest.raises(InputError):
        char_arrays.encode(text, 1, None)


@given(st.binary(min_size=10, max_size=10), st.sampled_from(["little", "big"]))
def test_x87_comes_back(raw: bytes, endian: str) -> None:
    found = floats.decode("x87", raw, endian)
    assert floats.encode("x87", found.spelled, endian, "long double") == raw


@given(st.binary(min_size=16, max_size=16))
def test_binary128_comes_back(raw: bytes) -> None:
    assert floats.encode("quad", floats.decode("quad", raw, "little").spelled, "little", "x") == raw


@given(st.floats(allow_nan=False))
def test_doubles_have_the_same_text_in_every_format(number: float) -> None:
    for code in ("x87", "quad"):
        raw = floats.encode(code, repr(number), "little", "x")
        assert float(floats.decode(code, raw, "little").spelled) == number


def test_long_double_is_exact() -> None:
    layout = parse("long double x")
    third = "0.33333333333333333334" if os.uname().machine == "x86_64" else None
    data = stored(layout, "x=0.333333333333333333333333333333333333333333")
    assert third is None or value(layout, data, "x") == third
    assert value(layout, stored(layout, "x=1e4000"), "x") == "1e+4000"
    with pytest.raises(InputError, match="out of range for long double"):
        stored(layout, "x=1e5000")


def padding(layout: Layout) -> bytes:
    """A mask of the bits that no field has."""
    mask = (1 << layout.size * 8) - 1
    for field in layout.fields():
        bits, at = field.size * 8, field.offset * 8
        if field.bit_width is not None:
            bits, at = field.bit_width, at + (field.bit_shift or 0)
        if field.type.code == "x87":
            bits = 80
        mask &= ~(((1 << bits) - 1) << at)
    return mask.to_bytes(layout.size, "little")


def apply(layout: Layout, records: list[record_input.Record]) -> bytes:
    memory = bytearray(layout.size * len(records))
    for store in record_input.stores(
        layout, records, lambda start, length: bytes(memory[start : start + length])
    ):
        memory[store.offset : store.offset + len(store.data)] = store.data
    return bytes(memory)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_any_bytes_read_and_written_back_are_the_same_bytes(seed: int, data: Any) -> None:
    """As field=value, as CSV and as JSON, for two records; padding is nobody's."""
    author = Author(seed)
    layout = parse(f"char {author.name()}[7]; pthread_mutex_t {author.name()}; {author.members(2)}")
    raw = data.draw(st.binary(min_size=2 * layout.size, max_size=2 * layout.size))
    pieces = [raw[: layout.size], raw[layout.size :]]
    mask = padding(layout)
    wanted = b"".join(bytes(b & ~m & 0xFF for b, m in zip(piece, mask, strict=True)) for piece in pieces)

    fields = [field for field in layout.fields() if not field.type.lock]
    shown = [[to_text(layout.read(piece, field)) for field in fields] for piece in pieces]
    locks = [field for field in layout.fields() if field.type.lock]
    for piece, values in zip(pieces, shown, strict=True):
        assignments = [f"{field.path}={text}" for field, text in zip(fields, values, strict=True)]
        assignments += [f"{lock.path}={piece[lock.offset : lock.offset + lock.size].hex()}" for lock in locks]
        assert stored(layout, *assignments) == bytes(b & ~m & 0xFF for b, m in zip(piece, mask, strict=True))

    def json_value(field: Any, part: bytes) -> object:
        return to_json(decode(field, part), big_as_text=seed % 2 == 0)

    text = "\n".join(json.dumps(layout.tree(piece, json_value)) for piece in pieces)
    assert apply(layout, record_input.parse_json(layout, text)) == wanted
    from io import StringIO

    from shmctl.render.csv import write_line

    out = StringIO()
    write_line(out, [field.path for field in fields])
    for values in shown:
        write_line(out, values)
    found = apply(layout, record_input.parse_csv(layout, out.getvalue()))
    for lock in locks:
        for base in (0, layout.size):
            at = base + lock.offset
            found = found[:at] + wanted[at : at + lock.size] + found[at + lock.size :]
    assert found == wanted


# Rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line with the names of fields"),
        ("a,b\n1\n", "line 2 has 1 value, and the first line names 2 fields"),
        ("a,a\n1,1\n", "line 1: a field is named twice"),
        ("a,nope\n1,1\n", "no field is called nope"),
        ("a\n1\n99999999999\n", "line 3: a: 99999999999 is out of range"),
        ('a\n"1', "line 2: unexpected end of data"),
    ],
)
def test_csv_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        record_input.parse_csv(parse("int a; char b[4]"), text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not understood as JSON"),
        ('{"a": 1}\n[1]\n', "line 2 is not an object"),
        ('{"a": 1}\n{"a": 1.5}', "line 2: a: 1.5 is not a whole number"),
        ('{"a": null}', "a: None is no value of int"),
        ('{"b": "abcde"}', "takes 5 bytes"),
        ("[" * 100_000, "JSON|deep"),
        ('{"a": {"x": 1}}', "no value of int"),
    ],
)
def test_json_that_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        record_input.parse_json(parse("int a; char b[4]"), text)


# Outlines


def test_outline() -> None:
    layout = parse(
        "char a; struct {short b; int c;} in[2]; union {int d; char e[3];}; unsigned f:3, g:7; long h[9]"
    )
    assert [(row.kind, row.depth, row.offset, row.size, row.name) for row in outline(layout)] == [
        ("field", 0, 0, 8, "a"),
        ("hole", 0, 8, 24, ""),
        ("group", 0, 32, 128, "in"),
        ("field", 1, 32, 16, "b"),
        ("hole", 1, 48, 16, ""),
        ("field", 1, 64, 32, "c"),
        ("group", 0, 160, 32, ""),
        ("field", 1, 160, 32, "d"),
        ("field", 1, 160, 24, "e"),
        ("field", 0, 192, 3, "f : 3"),
        ("field", 0, 195, 7, "g : 7"),
        ("hole", 0, 202, 54, ""),
        ("field", 0, 256, 576, "h"),
    ]
    lines = [row for row in outline(parse("char a[60]; int b[3]; char c"), 64) if row.kind == "line"]
    assert [(row.offset, row.size) for row in lines] == [(512, 64)], "c stands 8 bytes behind the border"


def test_leaves_of_long_arrays() -> None:
    layout = parse("struct {int x; char n[3];} a[65]; int b[64]; int c[2][100]")
    found = {leaf.path: (leaf.offset, leaf.size, leaf.length, leaf.stride) for leaf in leaves(layout)}
    assert found["a[].x"] == (0, 4, 65, 8) and found["a[].n"] == (4, 3, 65, 8)
    assert found["b[63]"] == (520 + 252, 4, None, None)
    assert found["c[1][]"] == (520 + 256 + 400, 4, 100, 4)
    assert len(found) == 2 + 64 + 2


def test_values_of_another_byte_order() -> None:
    big = parse("int a; unsigned b:3, c:13; float f")
    members = []
    for member in big.root.members:
        assert isinstance(member.type, ScalarType)
        members.append(member._replace(type=member.type._replace(endian="big")))
    layout = Layout(big.root._replace(members=tuple(members), endian="big"), "big", "")
    data = stored(layout, "a=-2", "b=5", "c=4097", "f=1.5")
    assert data == struct.pack(">iHxxf", -2, 5 << 13 | 4097, 1.5)
    assert [value(layout, data, path) for path in ("a", "b", "c", "f")] == ["-2", "5", "4097", "1.5"]
