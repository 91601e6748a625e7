import os
from collections.abc import Iterator

import pytest

from shmctl.core import posix, tracing
from shmctl.core.errors import ShmError
from shmctl.core.names import parse_name


@pytest.fixture
def lines() -> Iterator[list[str]]:
    collected: list[str] = []
    tracing.trace_to(collected.append)
    yield collected
    tracing.trace_to(None)


@pytest.mark.parametrize(
    ("data", "literal"),
    [
        (b"/x", '"/x"'),
        (b'a"b\\', r'"a\"b\\"'),
        (b"\n\t\x1b", r'"\n\t\33"'),
        (b"\x011", r'"\0011"'),
        ("é".encode(), r'"\303\251"'),
        (b"\0", r'"\0"'),
    ],
)
def test_c_strings_are_those_of_strace(data: bytes, literal: str) -> None:
    assert tracing.c_string(data) == literal


def test_a_failed_fstat_shows_no_structure(lines: list[str], name: str) -> None:
    with pytest.raises(ShmError):
        posix.fstat(-1, parse_name(name))
    assert lines == ["fstat(-1, {...}) = -1 EBADF (Bad file descriptor)"]


def test_a_failed_call_shows_its_errno(lines: list[str], name: str) -> None:
    with pytest.raises(ShmError) as caught:
        posix.shm_open(parse_name(name), os.O_RDWR)
    assert lines == [f'shm_open("{name}", O_RDWR, 0) = -1 ENOENT (No such file or directory)']
    assert (caught.value.call, caught.value.name, caught.value.symbol) == (
        "shm_open",
        name.encode(),
        "ENOENT",
    )


def test_the_slides_calls_in_their_order(lines: list[str], name: str) -> None:
    it = parse_name(name)
    fd = posix.shm_open(it, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    posix.ftruncate(fd, 100, it)
    address = posix.mmap(fd, 100, posix.PROT_READ | posix.PROT_WRITE, 0, it)
    posix.munmap(address, 100, it)
    posix.close(fd, it)
    posix.shm_unlink(it)
    assert lines == [
        f'shm_open("{name}", O_RDWR|O_CREAT|O_EXCL, 0600) = {fd}',
        f"ftruncate({fd}, 100) = 0",
        f"mmap(NULL, 100, PROT_READ|PROT_WRITE, MAP_SHARED, {fd}, 0) = {address:#x}",
        f"munmap({address:#x}, 100) = 0",
        f"close({fd}) = 0",
        f'shm_unlink("{name}") = 0',
    ]


def test_nothing_is_written_once_nobody_reads(lines: list[str], name: str) -> None:
    tracing.trace_to(None)
    with pytest.raises(ShmError):
        posix.shm_unlink(parse_name(name))
    assert not lines
