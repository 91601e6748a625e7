"""Who locks files: real locks, as /proc/locks shows them."""

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shmctl.core.inspect.locks import Locks, _parse
from tests.support import path_of

F_OFD_SETLK = 37


@pytest.fixture
def fd(name: str) -> Iterator[int]:
    descriptor = os.open(path_of(name), os.O_RDWR | os.O_CREAT, 0o600)
    yield descriptor
    os.close(descriptor)


def owner(fd: int) -> str | None:
    st = os.fstat(fd)
    return Locks.read().owners.get((st.st_dev, st.st_ino))


@pytest.mark.parametrize("how", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_flock(fd: int, how: int) -> None:
    assert owner(fd) is None
    fcntl.flock(fd, how)
    assert owner(fd) == f"FLOCK by PID {os.getpid()}"
    fcntl.flock(fd, fcntl.LOCK_UN)
    assert owner(fd) is None


@pytest.mark.parametrize("how", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_fcntl_lock(fd: int, how: int) -> None:
    fcntl.lockf(fd, how, 10, 5)
    assert owner(fd) == f"POSIX by PID {os.getpid()}"
    fcntl.lockf(fd, fcntl.LOCK_UN)
    assert owner(fd) is None


def test_lock_of_an_open_file_description(fd: int) -> None:
    """No process has it: F_OFD_SETLK in fcntl(2)."""
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    found = owner(fd)
    assert found is not None
    assert found.startswith("OFDLCK")


def test_lease(name: str) -> None:
    """Another program's lease shows there, too."""
    path_of(name).write_bytes(b"x")
    reader = os.open(path_of(name), os.O_RDONLY)
    try:
        fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        assert owner(reader) == f"LEASE by PID {os.getpid()}"
        fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        assert owner(reader) is None
    finally:
        os.close(reader)


def test_another_process(fd: int, name: str) -> None:
    with subprocess.Popen(["flock", path_of(name), "cat"], stdin=subprocess.PIPE) as locking:
        while owner(fd) is None:
            assert locking.poll() is None
        assert owner(fd) == f"FLOCK by PID {locking.pid}"
        assert locking.stdin
        locking.stdin.close()
    assert owner(fd) is None


def test_who_waits_owns_nothing(fd: int, name: str) -> None:
    """The one that has the lock is told, however many wait for it."""
    fcntl.flock(fd, fcntl.LOCK_EX)
    code = "import fcntl, sys; f = open(sys.argv[1]); print(flush=True); fcntl.flock(f, fcntl.LOCK_EX)"
    with subprocess.Popen([sys.executable, "-c", code, path_of(name)], stdout=subprocess.PIPE) as waiting:
        assert waiting.stdout
        waiting.stdout.readline()
        while " -> " not in Path("/proc/locks").read_text():
            assert waiting.poll() is None
        assert owner(fd) == f"FLOCK by PID {os.getpid()}"
        fcntl.flock(fd, fcntl.LOCK_UN)
        waiting.wait()


def test_two_files_with_one_inode_number_differ(fd: int) -> None:
    """The device counts."""
    fcntl.flock(fd, fcntl.LOCK_SH)
    st = os.fstat(fd)
    owners = Locks.read().owners
    assert (st.st_dev, st.st_ino) in owners
    assert (st.st_dev + 1, st.st_ino) not in owners


@pytest.mark.parametrize(
    "line", [b"2: POSIX  ADVISORY  WRITE 5 <none>:0 0 EOF", b"1: -> FLOCK  ADVISORY  WRITE 9"]
)
def test_lines_of_no_file_and_of_who_waits(line: bytes) -> None:
    assert _parse(line) is None


LINES = {
    b"1: FLOCK  ADVISORY  WRITE 708 00:1b:12345 0 EOF": (0x00, 0x1B, 12345, "FLOCK by PID 708"),
    b"2: POSIX  ADVISORY  READ  1 103:02:42 10 14": (0x103, 0x02, 42, "POSIX by PID 1"),
    b"27: LEASE  ACTIVE    WRITE 9 00:1a:7 0 EOF": (0x00, 0x1A, 7, "LEASE by PID 9"),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line(line: bytes) -> None:
    """proc_locks(5); devices are hexadecimal, inodes are not."""
    major, minor, inode, owner = LINES[line]
    assert _parse(line) == ((os.makedev(major, minor), inode), owner)
