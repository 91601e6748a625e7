"""Writing and reading: through mappings and as streams, in every combination that must agree."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM
from shmctl.core.names import Name, parse_name
from shmctl.core.objects.copy_in import Source, copy_in
from shmctl.core.objects.copy_out import copy_out
from shmctl.core.objects.create import created
from shmctl.core.objects.mapping import Mapping, windows
from shmctl.core.objects.open import opened
from shmctl.core.objects.read import chunks, read_bytes, readable
from shmctl.core.objects.write import Fit, fill, writable, write_bytes
from shmctl.core.transfer import CHUNK
from tests.support import path_of

RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
PAGE = posix.PAGE_SIZE
offsets = st.one_of(st.integers(0, 3 * PAGE), st.sampled_from([PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 3]))


def make(name: str, size: int) -> Name:
    it = parse_name(name)
    with created(it, size, exclusive=False):
        return it


@RELAXED
@given(data=st.binary(min_size=1, max_size=3 * PAGE), offset=offsets)
def test_what_is_written_is_read_back_and_nothing_else_changes(name: str, data: bytes, offset: int) -> None:
    size = offset + len(data) + 100
    path_of(name).write_bytes(b"\xaa" * size)
    it = parse_name(name)
    with writable(it) as target:
        write_bytes(target, offset, data, Fit())
    with readable(it) as target:
        assert read_bytes(target, offset, len(data)) == data
        assert b"".join(chunks(target, 0, size)) == path_of(name).read_bytes()
    assert path_of(name).read_bytes() == b"\xaa" * offset + data + b"\xaa" * 100


@RELAXED
@given(
    size=st.integers(0, 2 * PAGE),
    offset=offsets,
    data=st.binary(max_size=2 * PAGE),
    grow=st.booleans(),
    exact=st.booleans(),
)
def test_fit(name: str, size: int, offset: int, data: bytes, grow: bool, exact: bool) -> None:
    before = b"\xaa" * size
    path_of(name).write_bytes(before)
    end = offset + len(data)
    expected = before[:offset].ljust(offset, b"\0") + data + before[end:]
    with writable(parse_name(name)) as target:
        if end > size and not (grow or exact):
            with pytest.raises(ShmError) as caught:
                write_bytes(target, offset, data, Fit(grow, exact))
            assert caught.value.errno == errno.EFBIG
            expected = before
        else:
            write_bytes(target, offset, data, Fit(grow, exact))
            expected = expected[:end] if exact else expected
    assert path_of(name).read_bytes() == expected


@RELAXED
@given(size=st.integers(0, 3 * PAGE), offset=offsets, byte=st.integers(0, 255))
def test_fill_up_to_the_end(name: str, size: int, offset: int, byte: int) -> None:
    path_of(name).write_bytes(b"\xaa" * size)
    with writable(parse_name(name)) as target:
        if offset > size:
            with pytest.raises(ShmError):
                fill(target, offset, None, byte, Fit())
        else:
            assert fill(target, offset, None, byte, Fit()) == size - offset
            assert path_of(name).read_bytes() == b"\xaa" * offset + bytes([byte]) * (size - offset)


@pytest.mark.parametrize("amount", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("offset", [0, 5])
def test_streams_in_and_out(name: str, tmp_path: Path, amount: int, offset: int) -> None:
    data = os.urandom(amount)
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(data)
    it = make(name, offset + amount)
    with writable(it) as target, source.open("rb") as file:
        assert copy_in(target, offset, Source(file.fileno(), b"source"), Fit()) == amount
    told: list[int] = []
    with readable(it) as target, copy.open("wb") as file:
        copy_out(target, offset, amount, file.fileno(), told.append)
    assert copy.read_bytes() == data
    assert told == ([amount] if amount else [])


def test_a_file_that_does_not_fit_changes_nothing(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * (CHUNK + 10))
    path_of(name).write_bytes(b"\xaa" * (CHUNK + 9))
    with writable(parse_name(name)) as target, source.open("rb") as file, pytest.raises(ShmError) as caught:
        copy_in(target, 0, Source(file.fileno(), b"source"), Fit())
    assert caught.value.errno == errno.EFBIG
    assert set(path_of(name).read_bytes()) == {0xAA}


def test_a_length_takes_the_front_of_a_stream(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 4096)
    it = make(name, 300_000)
    with writable(it) as target, source.open("rb") as file:
        assert copy_in(target, 0, Source(file.fileno(), b"source", 300_000), Fit()) == 300_000
    assert path_of(name).read_bytes() == source.read_bytes()[:300_000]


def test_an_interrupted_write_removes_only_what_it_made(names: list[str]) -> None:
    made, existing = (parse_name(name) for name in names[:2])
    path_of(names[1]).write_bytes(b"old")
    for name in (made, existing):
        with pytest.raises(KeyboardInterrupt), writable(name, create=True):
            raise KeyboardInterrupt
    assert not path_of(names[0]).exists()
    assert path_of(names[1]).read_bytes() == b"old"


def test_an_object_that_took_the_name_meanwhile_stays(name: str) -> None:
    it = parse_name(name)
    with pytest.raises(KeyboardInterrupt), writable(it, create=True):
        path_of(name).unlink()
        path_of(name).write_bytes(b"somebody else's")
        raise KeyboardInterrupt
    assert path_of(name).read_bytes() == b"somebody else's"


def test_a_mapping_of_an_object_that_shrinks_fails_without_a_signal(name: str) -> None:
    it = make(name, 4 * PAGE)
    with opened(it, os.O_RDWR) as target:
        both = posix.PROT_READ | posix.PROT_WRITE
        with Mapping(target.fd, 10, 3 * PAGE, both, it) as mapping:
            mapping.store(0, b"x" * 3 * PAGE)
            os.truncate(path_of(name), 100)
            assert mapping.load(0, 50) == b"x" * 50
            for action in (lambda: mapping.load(PAGE, 10), lambda: mapping.store(2 * PAGE, b"y")):
                with pytest.raises(ShmError, match="shrunk") as caught:
                    action()
                assert caught.value.errno == errno.EFAULT
            # What stands in for the lost pages is never taken for the object's own bytes.
            assert mapping.load(0, 50) == b"x" * 50
            with pytest.raises(ShmError, match="shrunk"):
                mapping.load(PAGE, 4)


def test_reading_holes_allocates_nothing(name: str) -> None:
    it = make(name, 64 << 20)
    with writable(it) as target:
        write_bytes(target, 32 << 20, b"data", Fit())
    before = path_of(name).stat().st_blocks
    with readable(it) as target:
        found = [chunk for chunk in chunks(target, 0, 64 << 20) if chunk.strip(b"\0")]
    assert [chunk[:5] for chunk in found] == [b"data\0"]
    assert path_of(name).stat().st_blocks == before


@given(
    offset=st.integers(0, 2**40),
    length=st.integers(0, 1 << 26),
    size=st.sampled_from([PAGE, 1 << 20, 8 << 20]),
)
def test_windows_cover_a_range_in_order(offset: int, length: int, size: int) -> None:
    at = offset
    for start, piece in windows(offset, length, size):
        assert start == at and 0 < piece <= size
        at += piece
    assert at == offset + length


def test_created_objects_are_private_until_told_otherwise(name: str) -> None:
    make(name, 10)
    assert path_of(name).stat().st_mode & 0o777 == 0o600
    assert DEV_SHM.path_of(parse_name(name)) == os.fsencode(path_of(name))
