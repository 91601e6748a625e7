"""Words of a line: as bash has them, wherever nothing is to be expanded."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.cli.batch import LINE_MAX, read_lines, split_words
from shmctl.core.errors import FileError, InputError

# For each line: how many words, and the words; a lone '!' where bash finds no end of a quotation.
BASH = """
while IFS= read -r line; do
    if eval "set -- $line" 2>/dev/null; then printf '%s' $#; printf '<%s>' "$@"; else printf '!'; fi
    echo
done
"""


def words_of_bash(lines: list[str]) -> list[str]:
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(["bash", "-c", BASH], input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def words_of_batch(line: str) -> str:
    try:
        words = split_words(line)
    except InputError:
        return "!"
    return f"{len(words)}{''.join(f'<{word}>' for word in words) or '<>'}"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(alphabet="ab=-é# \t'\"\\", max_size=12), min_size=60, max_size=60))
def test_like_bash(lines: list[str]) -> None:
    # A backslash at the end would join the next line to it, which batch does not do.
    lines = [line for line in lines if not line.endswith("\\")]
    for line, expected in zip(lines, words_of_bash(lines), strict=True):
        assert words_of_batch(line) == expected, line


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  # all of it", []),
        ("a#b '#c' d#", ["a#b", "#c", "d#"]),
        ("write /x 'it''s' # mine", ["write", "/x", "its"]),
        (r"rm my\ name \#1", ["rm", "my name", "#1"]),
        ("a ''\t\"\"", ["a", "", ""]),
        ("rm /x\r", ["rm", "/x"]),
        ("echo $HOME *", ["echo", "$HOME", "*"]),
        (r'"\$HOME" "\a"', ["$HOME", r"\a"]),
        ("rm a\u00a0b\u3000c\x0bd", ["rm", "a\u00a0b\u3000c\x0bd"]),
        ("rm 'a'\u00a0b", ["rm", "a\u00a0b"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", ["a 'b", 'a "b', "a \\", "a\0b", "'a\0'"])
def test_no_words(line: str) -> None:
    with pytest.raises(InputError):
        split_words(line)


def lines_through_pipe(data: bytes) -> list[bytes]:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(data)
    try:
        return list(read_lines(reader, b"pipe"))
    finally:
        os.close(reader)


@pytest.mark.parametrize("data", [b"", b"a", b"a\n", b"\n\nb\n", b"a\nlast \xff"])
def test_lines(data: bytes) -> None:
    assert lines_through_pipe(data) == data.removesuffix(b"\n").split(b"\n") * bool(data)


def test_lines_come_as_soon_as_they_are_there() -> None:
    reader, writer = os.pipe()
    lines = read_lines(reader, b"pipe")
    os.write(writer, b"one\ntw")
    assert next(lines) == b"one"
    os.write(writer, b"o\n")
    assert next(lines) == b"two"
    os.close(writer)
    assert list(lines) == []
    os.close(reader)


def test_lines_longer_than_a_read(tmp_path: Path) -> None:
    wanted = [b"x" * 200_000, b"", b"y" * 70_000]
    path = tmp_path / "lines"
    path.write_bytes(b"\n".join(wanted))
    with path.open("rb") as file:
        assert list(read_lines(file.fileno(), b"lines")) == wanted


def test_line_that_never_ends() -> None:
    with open("/dev/zero", "rb") as zeros, pytest.raises(InputError, match=f"{LINE_MAX >> 20} MiB"):
        list(read_lines(zeros.fileno(), b"/dev/zero"))


def test_directory(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(FileError, match="Is a directory"):
            list(read_lines(fd, b"directory"))
    finally:
        os.close(fd)
