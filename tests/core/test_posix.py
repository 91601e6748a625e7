import errno
import os
import stat
from collections.abc import Iterator

import pytest

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name, parse_name
from tests.support import PREFIX, path_of

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL
ODD_NAMES = [PREFIX.encode() + end for end in (b"plain", b"\xff\xfe", b"a b", b"\x1b[2J\n", "é日本".encode())]


@pytest.fixture(params=["by path", "by descriptor"])
def directory(request: pytest.FixtureRequest) -> Iterator[Directory]:
    """/dev/shm, as shm_open finds it and as an open descriptor of it."""
    if request.param == "by path":
        yield DEV_SHM
        return
    fd = os.open("/dev/shm", os.O_RDONLY | os.O_DIRECTORY)
    yield Directory(b"/dev/shm", fd)
    os.close(fd)


@pytest.mark.parametrize("bare", ODD_NAMES, ids=["plain", "not UTF-8", "space", "control", "UTF-8"])
def test_make_open_and_unlink(bare: bytes, directory: Directory) -> None:
    name = parse_name(bare)
    fd = posix.shm_open(name, NEW, 0o640, directory)
    assert not os.get_inheritable(fd)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
    again = posix.shm_open(name, os.O_RDONLY, 0, directory)
    assert os.path.sameopenfile(fd, again)
    with pytest.raises(OSError):
        os.write(again, b"x")
    posix.close(fd, name)
    posix.close(again, name)
    posix.shm_unlink(name, directory)
    assert bare not in os.listdir(b"/dev/shm")


@pytest.mark.parametrize("bare", ODD_NAMES, ids=["plain", "not UTF-8", "space", "control", "UTF-8"])
def test_every_refusal_carries_call_name_and_errno(bare: bytes, directory: Directory) -> None:
    name = parse_name(bare)
    for call, action in (
        ("shm_open", lambda: posix.shm_open(name, os.O_RDWR, 0, directory)),
        ("shm_unlink", lambda: posix.shm_unlink(name, directory)),
        ("unlink", lambda: posix.unlink(name, directory)),
        ("open", lambda: posix.open_path(name, directory)),
    ):
        with pytest.raises(ShmError) as caught:
            action()
        error = caught.value
        assert (error.call, error.name, error.errno) == (call, name, errno.ENOENT)
    os.close(posix.shm_open(name, NEW, 0o600, directory))
    with pytest.raises(ShmError) as caught:
        posix.shm_open(name, NEW, 0o600, directory)
    assert caught.value.errno == errno.EEXIST


def test_truncating_open(name: str, directory: Directory) -> None:
    it = parse_name(name)
    fd = posix.shm_open(it, NEW, 0o600, directory)
    posix.ftruncate(fd, 100, it)
    os.close(fd)
    with posix.closing(posix.shm_open(it, os.O_RDWR | os.O_TRUNC, 0, directory), it) as fd:
        assert posix.fstat(fd, it).st_size == 0


def test_a_symlink_is_not_followed(name: str, directory: Directory) -> None:
    path_of(name).symlink_to("/etc/hostname")
    with pytest.raises(ShmError) as caught:
        posix.shm_open(parse_name(name), os.O_RDONLY, 0, directory)
    assert caught.value.errno == errno.ELOOP


def test_a_failed_ftruncate_leaves_the_object_and_its_name(name: str) -> None:
    it = parse_name(name)
    path_of(name).write_bytes(b"content")
    for length in (2**63, 2**64, -1):
        with posix.closing(posix.shm_open(it, os.O_RDWR), it) as fd, pytest.raises((ShmError, OverflowError)):
            posix.ftruncate(fd, length, it)
        assert path_of(name).read_bytes() == b"content"


def test_too_many_open_files_is_emfile(name: str) -> None:
    import resource

    path_of(name).touch()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with pytest.raises(ShmError) as caught:
            posix.shm_open(parse_name(name), os.O_RDONLY)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.errno == errno.EMFILE


def test_unnamed_file_kinds_are_told_apart_by_fstatat(name: str) -> None:
    path_of(name).mkdir()
    fd = posix.open_directory()
    with posix.closing(fd, b"/dev/shm"):
        assert stat.S_ISDIR(posix.fstatat(Name(name.encode()), fd).st_mode)
