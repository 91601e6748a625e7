"""shmctl read."""

import json
import math
import os
import struct
import subprocess

import pytest

from shmctl.commands.read import while_wanted
from tests.support import done, path_of, run, run_command, shmctl_argv

CONTENT = bytes(range(256)) + b"text\0more" + b"\xff" * 100 + bytes(1000) + b"end"


@pytest.fixture
def filled(name: str) -> str:
    path_of(name).write_bytes(CONTENT)
    return name


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ([], slice(None)),
        (["--raw"], slice(None)),
        (["-o", "5"], slice(5, None)),
        (["-n", "5"], slice(5)),
        (["--offset", "0x10", "--length", "1K"], slice(16, 1040)),
        (["-n", "0"], slice(0)),
        (["-n", "1T"], slice(None)),
        (["-o", str(len(CONTENT))], slice(0)),
        (["-o", str(len(CONTENT) - 1), "-n", "9"], slice(-1, None)),
    ],
)
def test_raw(filled: str, args: list[str], part: slice) -> None:
    result = run("read", filled, *args)
    assert (result.status, result.out, result.err) == (0, CONTENT[part], b"")


@pytest.mark.parametrize(
    "form", [[], ["--hex"], ["--text"], ["--json"], ["--raw"], ["--type", "int8"]], ids=" ".join
)
def test_offset_past_the_end(filled: str, form: list[str]) -> None:
    result = run("read", filled, *form, "-o", str(len(CONTENT) + 1))
    assert (result.status, result.out) == (1, b""), result
    assert str(len(CONTENT)) in result.errors


@pytest.mark.parametrize(
    "args", [["-o", "-1"], ["-n", "-1"], ["-n", str(2**63)], ["-o", "x"], ["-c", "-1", "--type", "int"]]
)
def test_bad_numbers(filled: str, args: list[str]) -> None:
    assert run("read", filled, *args).status == 2


def test_empty_object(name: str) -> None:
    path_of(name).touch()
    for form in ([], ["--raw"], ["--hex"], ["--text"], ["--type", "int", "-c", "0"]):
        assert done("read", name, *form) == "", form
    (record,) = json.loads(done("read", name, "--json"))
    assert (record["length"], record["hex"]) == (0, "")
    for form in (["--type", "int8"], ["--struct", "char c"]):
        result = run("read", name, *form)
        assert (result.status, result.out) == (1, b""), result
        assert "0 bytes" in result.errors


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 100, 4096, 70_001])
def test_hex_is_hexdump(name: str, length: int) -> None:
    """To the byte, with the folding of equal lines."""
    for content in (
        os.urandom(length),
        b"\0" * length,
        (b"0123456789abcdef" * 3 + b"x" * 16) * (length // 64 + 1),
    ):
        path_of(name).write_bytes(content)
        expected = subprocess.run(
            ["hexdump", "-C", str(path_of(name))], capture_output=True, check=True
        ).stdout
        assert run("read", name, "--hex").out == expected


@pytest.mark.parametrize(
    ("offset", "length"), [(3, 40), (16, 16), (250, 300), (400, 800), (4, 0), (0, 0), (1368, 9)]
)
def test_hex_of_a_range(filled: str, offset: int, length: int) -> None:
    argv = ["hexdump", "-C", "-s", str(offset), "-n", str(length), str(path_of(filled))]
    expected = subprocess.run(argv, capture_output=True, check=True).stdout
    assert run("read", filled, "--hex", "-o", str(offset), "-n", str(length)).out == expected


def test_hex_of_a_sparse_object(name: str) -> None:
    with path_of(name).open("wb") as file:
        for offset in (0, 5000, 40_000, 300_001):
            file.seek(offset)
            file.write(b"data")
        file.truncate(1_000_000)
    expected = subprocess.run(["hexdump", "-C", str(path_of(name))], capture_output=True, check=True).stdout
    assert run("read", name, "--hex").out == expected


ZEROS = b"  00 00 00 00 00 00 00 00" * 2 + b"  |................|"


def test_hex_of_the_largest_object(name: str) -> None:
    """Nothing walks through a hole of exabytes."""
    path_of(name).touch()
    os.truncate(path_of(name), (1 << 63) - 4096)
    assert run("read", name, "--hex").out.splitlines() == [b"00000000" + ZEROS, b"*", b"7ffffffffffff000"]
    with path_of(name).open("r+b") as file:
        file.seek((1 << 62) + 4098)
        file.write(b"data")
    assert run("read", name, "--hex", "-o", "3").out.splitlines() == [
        b"00000003" + ZEROS,
        b"*",
        b"4000000000000ff3  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 64  |...............d|",
        b"4000000000001003  61 74 61 00 00 00 00 00  00 00 00 00 00 00 00 00  |ata.............|",
        b"4000000000001013" + ZEROS,
        b"*",
        b"7fffffffffffeff3  00 00 00 00 00 00 00 00  00 00 00 00 00           |.............|",
        b"7ffffffffffff000",
    ]
    assert path_of(name).stat().st_blocks == 8


def test_hex_ends_when_its_reader_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it has nothing more to write, and so no call that would fail."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        parts = while_wanted(iter([b"line", 1 << 60]))
        assert next(parts) == b"line"
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            next(parts)


@pytest.mark.parametrize("size", [16, 100_000, (1 << 63) - 4096])
def test_the_first_line_of_hex(name: str, size: int) -> None:
    path_of(name).write_bytes(b"x" * 100_000)
    os.truncate(path_of(name), size)
    line = 'head -n 1; echo "${PIPESTATUS[0]}" >&2'
    result = run_command(
        ["bash", "-c", f'"$@" | {line}', "-", *map(os.fsdecode, shmctl_argv("read", name, "--hex"))]
    )
    assert result.out == b"00000000  " + b"78 " * 8 + b" " + b"78 " * 8 + b" |xxxxxxxxxxxxxxxx|\n"
    assert result.err in {b"0\n", b"141\n"}


def test_text(filled: str) -> None:
    assert run("read", filled, "--text", "-o", "256").out == b"text"
    assert run("read", filled, "--text", "-o", "261").out.startswith(b"more\xff\xff")
    assert run("read", filled, "--text", "-o", "256", "-n", "2").out == b"te"
    assert run("read", filled, "--text").out == b""


def test_text_without_a_nul(name: str) -> None:
    path_of(name).write_bytes(b"x" * 600_000)
    assert run("read", name, "--text").out == b"x" * 600_000


TYPES = {
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q",
    "uint64": "Q", "short": "h", "int": "i", "long": "l", "size_t": "N", "unsigned char": "B",
}  # fmt: skip


@pytest.mark.parametrize(("type_name", "code"), TYPES.items(), ids=TYPES.keys())
def test_types(filled: str, type_name: str, code: str) -> None:
    for offset in (0, 1, 127, 260, 300):
        (value,) = struct.unpack_from(code, CONTENT, offset)
        assert done("read", filled, "--type", type_name, "-o", str(offset)) == f"{value}\n"
    values = struct.unpack_from(f"9{code}", CONTENT, 250)
    expected = "".join(f"{value}\n" for value in values)
    assert done("read", filled, "--type", type_name, "-o", "250", "--count", "9") == expected


def test_floats(name: str) -> None:
    values = (0.1, -1e308, 5e-324, math.inf, -0.0)
    path_of(name).write_bytes(struct.pack("5d", *values))
    shown = done("read", name, "--type", "double", "-c", "5").split()
    assert [float(text) for text in shown] == list(values)
    path_of(name).write_bytes(struct.pack("3f", 0.1, 16777216, 1e-45))
    shown = done("read", name, "--type", "float", "-c", "3").split()
    assert struct.pack("3f", *map(float, shown)) == path_of(name).read_bytes()
    assert shown[0] == "0.1"


def test_length_gives_the_count(filled: str) -> None:
    assert done("read", filled, "--type", "int16", "-n", "7") == "256\n770\n1284\n"


@pytest.mark.parametrize(
    "args", [["-c", "343"], ["-o", "1366"], ["-c", str(2**62)], ["-c", str(10**30)]], ids=" ".join
)
def test_values_past_the_end(filled: str, args: list[str]) -> None:
    result = run("read", filled, "--type", "int32", *args)
    assert result.status in (1, 2) and result.out == b"", result
    assert "internal error" not in result.errors
    assert result.errors.startswith("shmctl: read: ")


EXCLUSIVE = {
    "type and struct": ["--type", "int", "--struct", "int a"],
    "type and hex": ["--type", "int", "--hex"],
    "struct and raw": ["--struct", "int a", "--raw"],
    "raw and json": ["--raw", "--json"],
    "field alone": ["a"],
    "field of a type": ["a", "--type", "int"],
    "count alone": ["-c", "3"],
    "endian alone": ["--endian", "big"],
    "header alone": ["--header", "x.h"],
    "length of a struct": ["--struct", "int a", "-n", "4"],
    "unknown type": ["--type", "nope"],
    "unknown endian": ["--type", "int", "--endian", "middle"],
    "unknown field": ["--struct", "int a", "b"],
}


@pytest.mark.parametrize("args", EXCLUSIVE.values(), ids=EXCLUSIVE.keys())
def test_usage_errors(filled: str, args: list[str]) -> None:
    result = run("read", filled, *args)
    assert (result.status, result.out) == (2, b""), result


def test_struct(filled: str) -> None:
    declaration = "char a; short b[2]; struct { int x; int y; } in"
    expected = "a=\\x01\nb[0]=1027\nb[1]=1541\nin.x=202050057\nin.y=269422093\n"
    assert done("read", filled, "--struct", declaration, "-o", "1") == expected
    assert done("read", filled, "--struct", declaration, "-o", "1", "in.y", "b[1]") == "269422093\n1541\n"
    assert done("read", filled, "--struct", f"typedef struct {{ {declaration}; }} t", "-o", "1") == expected
    assert done("read", filled, "--struct", f"typedef struct {{ {declaration}; }} t;", "-o", "1") == expected
    (record,) = json.loads(done("read", filled, "--struct", declaration, "-o", "1", "--json"))
    assert record["fields"]["in"] == {"x": 202050057, "y": 269422093}
    assert record["fields"]["b"] == [1027, 1541]
    assert record["offset"] == 1


def test_struct_past_the_end(filled: str) -> None:
    result = run("read", filled, "--struct", "int a[400]")
    assert (result.status, result.out) == (1, b"")
    assert "1600" in result.errors and str(len(CONTENT)) in result.errors


def test_header(filled: str, tmp_path: object) -> None:
    header = f"{tmp_path}/types.h"
    with open(header, "w", encoding="utf-8") as file:
        file.write("#ifndef T\n#define T\n#include <stdint.h>\n#define N 2 // so many\n/* a\n comment */\n")
        file.write("struct pair { uint8_t a[N]; };\n#endif\n")
    assert (
        done("read", filled, "--header", header, "--struct", "struct pair", "-o", "7") == "a[0]=7\na[1]=8\n"
    )
    assert run("read", filled, "--header", header, "--struct", "struct missing").status == 2
    result = run("read", filled, "--header", "/nonexistent.h", "--struct", "struct pair")
    assert result.status == 1
    assert "/nonexistent.h" in result.errors
    with open(header, "a", encoding="utf-8") as file:
        file.write("struct odd { what is this };\n")
    result = run("read", filled, "--header", header, "--struct", "struct odd")
    assert result.status == 2
    assert ":9" in result.errors or "line 9" in result.errors, "which line is not understood"


def test_json(filled: str) -> None:
    shown = done("read", filled, "--json", "-o", "250", "-n", "20")
    assert len(shown.splitlines()) == 3, "an array, one line an object"
    (record,) = json.loads(shown)
    assert record == {"name": filled, "offset": 250, "length": 20, "hex": CONTENT[250:270].hex()}
    (record,) = json.loads(done("read", filled, "--json", "--text", "-o", "256"))
    assert record["text"] == "text"
    (record,) = json.loads(done("read", filled, "--json", "--type", "uint8", "-c", "3", "-o", "1"))
    assert (record["type"], record["values"]) == ("uint8", [1, 2, 3])


def test_one_object_only(names: list[str]) -> None:
    for name in names:
        path_of(name).touch()
    assert run("read", *names).status == 2


def test_reading_changes_nothing(filled: str) -> None:
    before = path_of(filled).stat()
    for form in ([], ["--hex"], ["--type", "int"], ["--struct", "int a"], ["--lock"]):
        run("read", filled, *form)
    after = path_of(filled).stat()
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_blocks) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_blocks,
    )


def test_fields_of_a_large_structure_take_no_memory(name: str) -> None:
    """Only what is asked for is touched: a load would allocate the holes between."""
    with path_of(name).open("wb") as file:
        file.write(b"\1\0\0\0")
        file.truncate(4 + (1 << 30) + 8)
    declaration = f"int head; char body[{1 << 30}]; int tail; unsigned low:3, high:5;"
    assert done("read", name, "--struct", declaration, "head") == "1\n"
    assert done("read", name, "--struct", declaration, "tail", "high", "body[7]") == "0\n0\n\\x00\n"
    assert path_of(name).stat().st_blocks * 512 < 1 << 20


def test_a_large_array_in_a_small_object_is_refused_at_once(name: str) -> None:
    path_of(name).write_bytes(bytes(100))
    result = run("read", name, "a", "--struct", "int a[2000000000]")
    assert (result.status, result.text) == (1, ""), result
    assert "reach past its end" in result.errors


def test_holes_stay_holes(name: str) -> None:
    with path_of(name).open("wb") as file:
        file.truncate(64 << 20)
    assert done("read", name, "--struct", f"char a[{48 << 20}]", "a") == "\n"
    assert path_of(name).stat().st_blocks == 0
