"""--watch of ls, read and holders: in place on a terminal, frame after frame in a pipe."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from tests.e2e.terminal import Terminal
from tests.support import environment, path_of, run, shmctl_argv

ON, OFF = rb"\x1b\[\?1049h", rb"\x1b\[\?1049l"


@contextmanager
def watching(*args: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    argv = shmctl_argv(*args)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout
        try:
            yield process, process.stdout
        finally:
            process.kill()


def frame(lines: IO[bytes]) -> list[bytes]:
    """The lines up to an empty one."""
    found = []
    while (line := lines.readline()) not in (b"\n", b""):
        found.append(line)
    return found


def test_frames_of_a_listing_in_a_pipe(name: str) -> None:
    path_of(name).write_bytes(b"x")
    with watching("ls", name, "-o", "name,size", "--watch=0.1") as (_, lines):
        assert [line.split() for line in frame(lines)] == [[b"NAME", b"SIZE"], [name.encode(), b"1"]]
        path_of(name).write_bytes(b"xyz")
        while [name.encode(), b"3"] not in [line.split() for line in frame(lines)]:
            pass
        path_of(name).unlink()
        while len(frame(lines)) != 1:
            pass


def test_frames_of_json_are_a_line_each(name: str) -> None:
    path_of(name).write_bytes(b"x")
    for command in (["ls", name], ["read", name], ["read", name, "--type", "int8"]):
        with watching(*command, "--json", "--watch=0.1") as (_, lines):
            frames = [json.loads(lines.readline()) for _ in range(3)]
        assert [[each["name"] for each in found] for found in frames] == [[name]] * 3


def test_frames_of_a_value(name: str) -> None:
    path_of(name).write_bytes(bytes(4))
    with watching("read", name, "--type", "int32", "--watch=0.1") as (_, lines):
        assert frame(lines) == [b"0\n"]
        assert run("write", name, "--type", "int32", "-7").status == 0
        while frame(lines) != [b"-7\n"]:
            pass


def test_an_object_that_goes_ends_the_reading_of_it(name: str) -> None:
    path_of(name).write_bytes(b"x")
    with watching("read", name, "--watch=0.1") as (process, lines):
        assert frame(lines)[0].startswith(b"00000000  78")
        path_of(name).unlink()
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (
        1,
        f"shmctl: read: {name}: No such file or directory (ENOENT)\n".encode(),
    )


def test_frames_of_holders(name: str) -> None:
    path_of(name).write_bytes(b"x")
    with watching("holders", name, "--watch=0.1") as (_, lines):
        assert len(frame(lines)) == 1
        with path_of(name).open("rb"):
            while not any(str(os.getpid()).encode() in line.split() for line in frame(lines)):
                pass
        while len(frame(lines)) != 1:
            pass


def test_the_reader_that_goes_away_ends_it(name: str) -> None:
    with watching("ls", "--watch=0.05") as (process, lines):
        lines.readline()
        lines.close()
        assert process.wait(60) == -signal.SIGPIPE


@pytest.mark.parametrize("key", [b"q", b"Q"])
def test_a_key_ends_it_and_the_screen_comes_back(name: str, key: bytes) -> None:
    path_of(name).write_bytes(b"x")
    with Terminal(shmctl_argv("ls", name, "--watch=0.1"), columns=120) as terminal:
        terminal.until(ON)
        terminal.until(re.escape(name.encode()))
        assert b"q ends" in terminal.until(b"q ends")
        terminal.type(key)
        result = terminal.end()
    assert result.status == 0
    assert re.search(OFF, result.out)


def test_an_interrupt_ends_it_and_the_screen_comes_back(name: str) -> None:
    with Terminal(shmctl_argv("ls", name, "--watch=0.1"), columns=120) as terminal:
        terminal.until(b"q ends")
        terminal.type(b"\x03")
        result = terminal.end()
    assert result.status in (0, 130)  # as a key, or as the signal that the terminal makes of it
    assert re.search(OFF, result.out)


def test_what_changed_stands_out(name: str) -> None:
    path_of(name).write_bytes(bytes(16))
    reverse = rb"\x1b\[[0-9;]*7m"
    with Terminal(shmctl_argv("--color", "always", "read", name, "--watch=0.1")) as terminal:
        terminal.until(b"q ends")
        assert not re.search(reverse, terminal.shown)
        assert run("write", name, "--type", "int8", "65").status == 0
        assert b"41" in terminal.until(reverse)
        terminal.type(b"q")
        assert terminal.end().status == 0


@pytest.mark.parametrize(
    "words",
    [
        ["ls", "-0", "--watch"],
        ["read", "x", "--raw", "--watch"],
        ["holders", "x", "-q", "--watch"],
        ["ls", "--watch=x"],
    ],
)
def test_what_cannot_be_watched(words: list[str]) -> None:
    assert run(*words).status == 2
