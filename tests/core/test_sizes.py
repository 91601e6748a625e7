import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shmctl.core.errors import InputError
from shmctl.core.size_change import parse_resize
from shmctl.core.sizes import (
    DURATION_MAX,
    OFF_T_MAX,
    counted,
    human_size,
    parse_duration,
    parse_mode,
    parse_size,
)
from tests.support import run


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("100", 100),
        ("0100", 100),
        ("4K", 4096),
        ("4k", 4096),
        ("4KiB", 4096),
        ("4KB", 4000),
        ("1M", 2**20),
        ("1MB", 10**6),
        ("7E", 7 * 2**60),
        ("9EB", 9 * 10**18),
        ("0x1000", 4096),
        ("0XfF", 255),
        (str(OFF_T_MAX), OFF_T_MAX),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "-1",
        "+1",
        "12Q",
        "1.5K",
        "4KK",
        "4iB",
        "0x",
        "0xg",
        "1e3",
        "1_000",
        "٣",
        "K",
        "100B",
        "4Ki",
        "8E",
        str(2**63),
        str(2**64),
        "0x8000000000000000",
        "9" * 5000,
    ],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match="size"):
        parse_size(text)


@given(st.integers(0, OFF_T_MAX))
def test_every_size_reads_back(size: int) -> None:
    assert parse_size(str(size)) == parse_size(hex(size)) == size


@given(st.text())
def test_any_text_is_a_size_or_an_input_error(text: str) -> None:
    for parse in (parse_size, parse_resize, parse_duration, parse_mode):
        with contextlib.suppress(InputError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0.5", 0.5),
        ("30s", 30),
        ("10m", 600),
        ("2h", 7200),
        ("3d", 259200),
        (".5", 0.5),
        ("0", 0),
        ("1.5h", 5400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["99999999999999999999", "9" * 400 + "d", "1" + "0" * 15 + ".5h"])
def test_a_duration_that_no_clock_can_measure_is_the_longest_there_is(text: str) -> None:
    assert parse_duration(text) == DURATION_MAX


@pytest.mark.parametrize("text", ["", "-1", "1w", "s", "1 s", "inf", "nan", "1e3", "."])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "mode"), [("600", 0o600), ("0600", 0o600), ("0o600", 0o600), ("7777", 0o7777), ("0", 0)]
)
def test_modes_are_octal(text: str, mode: int) -> None:
    assert parse_mode(text) == mode


@pytest.mark.parametrize("text", ["", "888", "0x180", "u+w", "-1", "10000", "6 0 0"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InputError, match="mode"):
        parse_mode(text)


@pytest.mark.parametrize(
    "change",
    [
        *("100", "+100", "-100", "-5000", "<100", "<9000", ">100", ">9000", "/1000", "%1000"),
        *("K", "MB", ">KiB", "%k", " 7", " +1", "< 10", "  / 1000"),
    ],
)
def test_relative_sizes_are_those_of_truncate(change: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(4321))
    subprocess.run(["truncate", f"--size={change}", str(file)], check=True)
    assert parse_resize(change).apply(4321) == file.stat().st_size


@pytest.mark.parametrize("text", ["/0", "%0", "*5", "+", "--5", "+-5", "+ 5", "+K", "K1", "7 "])
def test_what_is_no_change_of_size(text: str) -> None:
    with pytest.raises(InputError, match="size"):
        parse_resize(text)


def test_growing_past_the_largest_size() -> None:
    with pytest.raises(InputError, match="most there can be"):
        parse_resize("+1").apply(OFF_T_MAX)


def test_human_sizes_are_those_of_ls(tmp_path: Path) -> None:
    sizes = [0, 1, 1023, 1024, 1025, 10137, 10138, 10239, 10240, 102399, 1047552, 1048575, 2**20, 2**20 + 1]
    sizes += [10 * 2**20 - 1, 2**30 - 1, 2**30, 24 * 2**30, 2**40 - 1, 2**40]
    for size in sizes:
        shown = subprocess.run(["numfmt", "--to=iec", str(size)], capture_output=True, text=True, check=True)
        assert human_size(size) == shown.stdout.strip(), size


def test_counts_agree_with_their_nouns(name: str) -> None:
    """Of everything there is one, in the messages of many commands."""
    assert [counted(n, "byte") for n in (0, 1, 2)] == ["0 bytes", "1 byte", "2 bytes"]
    assert counted(1, "directory", "directories") == "1 directory"
    assert counted(3, "directory", "directories") == "3 directories"
    copy = f"{name}-copy"
    lines = [
        ["create", name],
        ["truncate", "-v", "-s", "1", name],
        ["write", "-v", name, "x"],
        ["write", name, "xy"],
        ["write", name, "-o", "1", "x"],
        ["read", name, "-o", "2"],
        ["read", name, "-o", "1", "--type", "char"],
        ["read", name, "--type", "int32"],
        ["read", name, "--struct", "int x"],
        ["cp", "-v", name, copy],
        ["write", name, "--struct", "int a[1]", "a={}"],
        ["gc", "--min-age", "0", copy],
        ["gc", "--min-age", "0", "--yes", copy],
    ]
    shown = "".join(result.text + result.errors for result in (run(*line) for line in lines))
    assert "0 to 1 byte\n" in shown and "1 of 1 object is an orphan to remove, 4096 bytes\n" in shown
    assert "1 byte at offset 1 does not fit in its 1 byte" in shown
    assert not re.findall(r"\b1 (?:bytes|objects|orphans|elements|values|seconds)\b", shown), shown
