"""shmctl write."""

import os
import stat
import struct

import pytest

from shmctl.core.sizes import counted
from tests.support import done, path_of, run, run_command, shmctl_argv


@pytest.fixture
def target(name: str) -> str:
    """An object of 16 bytes, all dots."""
    path_of(name).write_bytes(b"." * 16)
    return name


def holds(name: str) -> bytes:
    return path_of(name).read_bytes()


@pytest.mark.parametrize(
    "value", [b"hello", b"caf\xc3\xa9", b"\xff\xfe", b"a b\n", b"", b"%d\\n", b"[bold]x", b"--", b"-", b"=x"]
)
def test_text_exactly(target: str, value: bytes) -> None:
    assert run("write", target, "--", value).err == b""
    assert holds(target) == value + b"." * (16 - len(value))


@pytest.mark.parametrize("value", ["-5", "-0x10", "-.5", "-1.5e3", "-007"])
def test_negative_values_are_values(target: str, value: str) -> None:
    done("write", target, value)
    assert holds(target).startswith(value.encode())


def test_double_dash_ends_options(target: str) -> None:
    assert run("write", target, "-x").status == 2
    done("write", target, "--", "-x")
    done("write", target, "-o", "2", "--", "--hex")
    assert holds(target) == b"-x--hex" + b"." * 9
    done("write", "--", target, "-5")
    assert holds(target).startswith(b"-5--hex")


def test_offset(target: str) -> None:
    done("write", target, "hello", "-o", "11")
    assert holds(target) == b"." * 11 + b"hello"
    done("write", target, "--offset", "0x1", "x")
    assert holds(target)[:2] == b".x"


@pytest.mark.parametrize("args", [["hello", "-o", "12"], ["x", "-o", "16"], ["x", "-o", "100"], ["x" * 17]])
def test_what_does_not_fit(target: str, args: list[str]) -> None:
    result = run("write", target, *args)
    assert (result.status, result.out) == (1, b"")
    assert "16" in result.errors
    assert "hint: --grow" in result.errors
    assert holds(target) == b"." * 16


@pytest.mark.parametrize("offset", ["-1", "x", str(2**63), "1.5", ""])
def test_bad_offsets(target: str, offset: str) -> None:
    assert run("write", target, "x", f"--offset={offset}").status == 2
    assert holds(target) == b"." * 16


def test_range_past_the_greatest_offset(target: str) -> None:
    result = run("write", target, "hello", "-o", str(2**63 - 2), "--grow")
    assert result.status == 1
    assert "EFBIG" in result.errors
    assert holds(target) == b"." * 16


INTEGERS = {
    "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q",
    "uint64": "Q", "short": "h", "int": "i", "long": "l", "size_t": "N", "unsigned int": "I",
}  # fmt: skip


@pytest.mark.parametrize(("type_name", "code"), INTEGERS.items(), ids=INTEGERS.keys())
def test_integers(target: str, type_name: str, code: str) -> None:
    size, signed = struct.calcsize(code), code.islower()
    low, high = (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) if signed else (0, 2 ** (8 * size) - 1)
    done("write", target, "--type", type_name, str(low), str(high))
    assert holds(target)[: 2 * size] == struct.pack(f"{code}{code}", low, high)
    assert done("read", target, "--type", type_name, "-c", "2") == f"{low}\n{high}\n"
    before = holds(target)
    for value in (low - 1, high + 1):
        result = run("write", target, "--type", type_name, "1", str(value))
        assert result.status == 2, result
        assert str(value) in result.errors
    assert holds(target) == before


@pytest.mark.parametrize("value", ["300", "-129", "", "x", "1.5", "1e2", "0x100", "1 2", "\uff11"])
def test_values_that_are_no_int8(target: str, value: str) -> None:
    result = run("write", target, "--type", "int8", "--", value)
    assert result.status == 2, result
    assert holds(target) == b"." * 16


def test_numbers_in_other_bases(target: str) -> None:
    done("write", target, "--type", "int8", "0x7f", "-0x10", "-5")
    assert holds(target)[:3] == struct.pack("bbb", 127, -16, -5)


def test_endian(target: str) -> None:
    done("write", target, "--type", "uint32", "--endian", "big", "1")
    done("write", target, "--type", "uint32", "--endian", "little", "1", "-o", "4")
    assert holds(target)[:8] == bytes([0, 0, 0, 1, 1, 0, 0, 0])
    assert done("read", target, "--type", "uint32", "--endian", "big") == "1\n"


def test_floats_bools_and_chars(target: str) -> None:
    done("write", target, "--type", "double", "-2.5", "1e300")
    assert holds(target) == struct.pack("dd", -2.5, 1e300)
    done("write", target, "--type", "float", "0.1")
    assert holds(target)[:4] == struct.pack("f", 0.1)
    assert done("read", target, "--type", "float") == "0.1\n"
    done("write", target, "--type", "bool", "true", "false", "1", "0")
    assert holds(target)[:4] == b"\1\0\1\0"
    done("write", target, "--type", "char", "A", "b")
    assert holds(target)[:2] == b"Ab"


def test_unknown_type(target: str) -> None:
    result = run("write", target, "--type", "int33", "1")
    assert result.status == 2
    assert "int33" in result.errors


@pytest.mark.parametrize("text", ["68656c6c6f", "68 65 6c 6c 6f", "68:65:6C:6c:6F"])
def test_hex(target: str, text: str) -> None:
    done("write", target, "--hex", text)
    assert holds(target) == b"hello" + b"." * 11


@pytest.mark.parametrize("text", ["abc", "zz", "0x41", "4", "4 1", "41,42", "é"])
def test_bad_hex(target: str, text: str) -> None:
    result = run("write", target, "--hex", text)
    assert result.status == 2, result
    assert text in result.errors
    assert holds(target) == b"." * 16


@pytest.mark.parametrize("byte", ["65", "0x41", "0o101", "A"])
def test_fill(target: str, byte: str) -> None:
    done("write", target, "--fill", byte)
    assert holds(target) == b"A" * 16
    done("write", target, "--fill", "0", "-n", "3", "-o", "2")
    assert holds(target) == b"AA\0\0\0" + b"A" * 11


@pytest.mark.parametrize("byte", ["256", "-1", "AB", "", "é", "0x100"])
def test_bad_fill(target: str, byte: str) -> None:
    assert run("write", target, f"--fill={byte}").status == 2
    assert holds(target) == b"." * 16


def test_fill_past_the_end(target: str) -> None:
    assert run("write", target, "--fill", "0", "-n", "17").status == 1
    assert holds(target) == b"." * 16
    done("write", target, "--fill", "0", "-n", "17", "--grow")
    assert holds(target) == bytes(17)


SOURCES = {
    "two texts": ["a", "b"],
    "text and hex": ["a", "--hex", "00"],
    "text and fill": ["a", "--fill", "0"],
    "text and file": ["a", "-i", "/dev/null"],
    "hex and fill": ["--hex", "00", "--fill", "0"],
    "hex and type": ["--hex", "00", "--type", "int", "1"],
    "type and struct": ["--type", "int", "--struct", "int a", "a=1"],
    "file and fill": ["-i", "/dev/null", "--fill", "0"],
    "type without value": ["--type", "int"],
    "struct without field": ["--struct", "int a"],
    "length of a text": ["a", "-n", "1"],
    "length of hex": ["--hex", "00", "-n", "1"],
    "endian of a text": ["a", "--endian", "big"],
    "header of a text": ["a", "--header", "x.h"],
    "header of a type": ["--type", "int", "1", "--header", "x.h"],
}


@pytest.mark.parametrize("args", SOURCES.values(), ids=SOURCES.keys())
def test_sources_that_exclude_each_other(target: str, args: list[str]) -> None:
    result = run("write", target, *args)
    assert result.status == 2, result
    assert holds(target) == b"." * 16


@pytest.mark.parametrize(
    "assignment",
    [
        "a",
        "=1",
        "a=",
        "a=x",
        "c=1",
        "a[0]=1",
        "b=1",
        "b[2]=1",
        "b[-1]=1",
        "a=300",
        "t=12345",
        "in=1",
        "in.y=1",
        "A=1",
    ],
)
def test_bad_fields(target: str, assignment: str) -> None:
    declaration = "signed char a; signed char b[2]; char t[4]; struct { int x; } in"
    result = run("write", target, "--struct", declaration, "a=1", assignment)
    assert result.status == 2, result
    assert result.errors.startswith("shmctl: write: ")
    assert "internal error" not in result.errors
    assert holds(target) == b"." * 16


def test_struct_fields(target: str) -> None:
    declaration = "signed char a; signed char b[2]; char t[4]; struct { short x; } in"
    done("write", target, "--struct", declaration, "b[1]=-1", "in.x=258", "t=ab")
    assert holds(target) == b"..\xffab\0\0.\2\1" + b"." * 6
    assert done("read", target, "--struct", declaration, "b[1]", "in.x", "t") == "-1\n258\nab\n"


def test_grow(target: str) -> None:
    done("write", target, "hello", "-o", "20", "--grow")
    assert holds(target) == b"." * 16 + bytes(4) + b"hello"
    done("write", target, "x", "--grow")
    assert len(holds(target)) == 25, "--grow does not shrink"


def test_exact(target: str) -> None:
    done("write", target, "hello", "--exact")
    assert holds(target) == b"hello"
    done("write", target, "longer text", "--exact", "-o", "2")
    assert holds(target) == b"helonger text"
    done("write", target, "--type", "int8", "1", "--exact")
    assert holds(target) == b"\1"
    done("write", target, "", "--exact")
    assert holds(target) == b""


def test_create(name: str) -> None:
    result = run("write", name, "x")
    assert result.status == 1
    assert "ENOENT" in result.errors
    assert "hint: --create" in result.errors
    assert not path_of(name).exists()
    done("write", name, "hello", "--create", "-o", "3")
    assert holds(name) == b"\0\0\0hello"
    assert stat.S_IMODE(path_of(name).stat().st_mode) == 0o600
    assert run("write", name, "longer text", "--create").status == 1, "it exists now, and keeps its size"


@pytest.mark.parametrize("umask", ["022", "077"])
def test_create_with_mode(name: str, umask: str) -> None:
    result = run_command(
        [
            "sh",
            "-c",
            f'umask {umask}; exec "$@"',
            "sh",
            *shmctl_argv("write", name, "x", "--create", "-m", "660"),
        ]
    )
    assert result.status == 0
    assert stat.S_IMODE(path_of(name).stat().st_mode) == 0o660 & ~int(umask, 8)
    assert "umask" in result.errors, "told here as by create"


def test_create_is_taken_back(name: str) -> None:
    assert run("write", name, "--create", "-i", "/nonexistent").status == 1
    assert not path_of(name).exists()
    assert run("write", name, "--create", "--type", "int8", "300").status == 2
    assert not path_of(name).exists()


def test_empty_object(name: str) -> None:
    path_of(name).touch()
    done("write", name, "")
    done("write", name, "--fill", "0")
    assert run("write", name, "x").status == 1
    assert holds(name) == b""


def test_stdin_and_dash(target: str) -> None:
    assert run("write", target, stdin=b"ab\0\xff\n").err == b""
    assert holds(target)[:6] == b"ab\0\xff\n."
    assert run("write", target, "-i", "-", "-n", "2", stdin=b"XYZ").err == b""
    assert holds(target)[:4] == b"XY\0\xff"


def test_neighbours_stay(name: str) -> None:
    """Whatever the offset and the page it lies in."""
    content = os.urandom(3 * 4096)
    for offset in (0, 1, 4095, 4096, 4097, 8190, 12283):
        path_of(name).write_bytes(content)
        done("write", name, "12345", "-o", str(offset))
        assert holds(name) == content[:offset] + b"12345" + content[offset + 5 :]


def test_verbose(target: str) -> None:
    assert done("write", "-v", target, "hello") == f"stored 5 bytes in {target}\n"
    assert done("write", target, "hello") == ""


@pytest.mark.parametrize(
    ("assignments", "stored"),
    [
        (["a=1"], 4),
        (["a=1", "a=2"], 4),
        (["a=1", "b=2"], 8),
        (["c=1", "d=1"], 1),
        (["d=1", "a=1", "both=7"], 9),
        (["both=7", "half=1"], 4),
        (["half=1", "both=7"], 4),
    ],
)
def test_verbose_counts_a_byte_once(target: str, assignments: list[str], stored: int) -> None:
    declaration = "int a; int b; unsigned char c: 3, d: 3; union { int both; short half; };"
    shown = done("write", target, "--struct", declaration, *assignments, "-v")
    assert shown == f"stored {counted(stored, 'byte')} in {target}\n"
