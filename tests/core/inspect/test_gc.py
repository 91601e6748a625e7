"""Removing an orphan: what has become of the object since it was judged decides."""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shmctl.core import locking, tracing
from shmctl.core.inspect.gc import Removal, remove_orphan
from shmctl.core.inspect.verdicts import Judgement, Verdict
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import parse_name
from shmctl.core.objects.describe import describe
from tests.support import path_of


def plan(name: str, directory: Directory = DEV_SHM) -> Judgement:
    return Judgement(describe(parse_name(name), directory), Verdict.ORPHAN, ())


@pytest.fixture(params=["path", "descriptor"])
def directory(request: pytest.FixtureRequest) -> Iterator[Directory]:
    """By its path, and by a descriptor of it as --target has it."""
    if request.param == "path":
        yield DEV_SHM
        return
    fd = os.open("/dev/shm", os.O_RDONLY | os.O_DIRECTORY)
    yield Directory(b"/dev/shm", fd)
    os.close(fd)


def test_it_goes(name: str, directory: Directory) -> None:
    path_of(name).write_bytes(bytes(5000))
    judgement = plan(name, directory)
    assert remove_orphan(judgement) in [Removal(judgement, freed=n) for n in range(0, 1 << 20, 4096)]
    assert not path_of(name).exists()


def changed(name: str) -> None:
    time.sleep(0.05)  # the clock of the file system ticks more coarsely
    path_of(name).write_bytes(b"news")


def chmodded(name: str) -> None:
    time.sleep(0.05)
    path_of(name).chmod(0o640)


def replaced(name: str) -> None:
    # The new one is made first, so that it cannot have the old one's inode.
    path_of(name + "-new").write_bytes(b"another's")
    path_of(name + "-new").rename(path_of(name))


def linked(name: str) -> None:
    path_of(name).rename(path_of(name + "-old"))
    path_of(name).symlink_to(path_of(name + "-old"))


def became_a_fifo(name: str) -> None:
    path_of(name).unlink()
    os.mkfifo(path_of(name))


@pytest.mark.parametrize("event", [changed, chmodded, replaced, linked, became_a_fifo])
def test_it_is_left_when_it_is_not_the_same(
    name: str, directory: Directory, event: Callable[[str], None]
) -> None:
    path_of(name).write_bytes(bytes(5000))
    judgement = plan(name, directory)
    event(name)
    removal = remove_orphan(judgement)
    assert (bool(removal.left), removal.freed) == (True, 0), removal
    assert os.path.lexists(path_of(name))


def test_it_is_gone(name: str, directory: Directory) -> None:
    path_of(name).write_bytes(b"x")
    judgement = plan(name, directory)
    path_of(name).unlink()
    removal = remove_orphan(judgement)
    assert (removal.left, removal.error) == ("it is gone already", None)


@contextmanager
def opened(name: str, oflag: int) -> Iterator[int]:
    fd = os.open(path_of(name), oflag)
    try:
        yield fd
    finally:
        os.close(fd)


@pytest.mark.parametrize("oflag", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
def test_it_came_into_use(name: str, directory: Directory, oflag: int) -> None:
    path_of(name).write_bytes(b"x")
    judgement = plan(name, directory)
    with opened(name, oflag):
        removal = remove_orphan(judgement)
        assert (removal.left, removal.error) == ("it is now in use", None)
    assert path_of(name).exists()
    assert remove_orphan(judgement).left is None


def test_another_has_the_lease(name: str, directory: Directory) -> None:
    """Another shmctl is looking at the same moment: one of the two will remove it."""
    path_of(name).write_bytes(b"x")
    judgement = plan(name, directory)
    code = "import fcntl, os, sys; fd = os.open(sys.argv[1], os.O_RDONLY); fcntl.fcntl(fd, 10, 23)\n"
    code += "fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        ["python3", "-c", code, path_of(name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"\n"
        removal = remove_orphan(judgement)
        assert removal.left is not None
        assert removal.error is None
        assert path_of(name).exists()
        assert other.stdin
        other.stdin.close()


def test_somebody_has_begun_to_open_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An opener that waits for the lease gets the object, not a corpse."""
    path_of(name).write_bytes(b"content")
    judgement = plan(name)
    real = locking.take_lease
    openers: list[subprocess.Popen[bytes]] = []

    def take_and_let_open(fd: int, name_: bytes) -> bool:
        granted = real(fd, name_)
        openers.append(subprocess.Popen(["cat", path_of(name)], stdout=subprocess.PIPE))
        while fcntl.fcntl(fd, fcntl.F_GETLEASE) == fcntl.F_WRLCK:
            time.sleep(0.001)
        return granted

    # Takes the lease as ever, and waits for an opener to come.
    monkeypatch.setattr(locking, "take_lease", take_and_let_open)
    removal = remove_orphan(judgement)
    assert removal.left == "a process has begun to open it"
    for opener in openers:
        assert opener.communicate()[0] == b"content"
    assert path_of(name).exists()


def test_another_takes_the_name_at_the_last_moment(
    name: str, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is on the object; the name is somebody else's by then."""
    path_of(name).write_bytes(b"x")
    judgement = plan(name, directory)
    real = locking.take_lease

    def take_and_replace(fd: int, name_: bytes) -> bool:
        granted = real(fd, name_)
        replaced(name)
        return granted

    # Takes the lease as ever, and another comes.
    monkeypatch.setattr(locking, "take_lease", take_and_replace)
    assert remove_orphan(judgement).left == "another object has taken its name"
    assert path_of(name).read_bytes() == b"another's"


def test_the_order_of_calls(name: str, directory: Directory) -> None:
    """Lease, comparison, F_GETLEASE, unlink, release: and nothing in between that could wait."""
    path_of(name).write_bytes(b"x")
    judgement = plan(name, directory)
    lines: list[str] = []
    tracing.trace_to(lines.append)
    try:
        assert remove_orphan(judgement).left is None
    finally:
        tracing.trace_to(None)
    taken = next(i for i, line in enumerate(lines) if "F_SETLEASE, F_WRLCK" in line)
    released = next(i for i, line in enumerate(lines) if "F_SETLEASE, F_UNLCK" in line)
    between = [line.partition("(")[0] for line in lines[taken + 1 : released]]
    assert between[-2:] in (["fcntl", "unlink"], ["fcntl", "unlinkat"]), lines
    assert "F_GETLEASE" in lines[released - 2]
    assert set(between[:-2]) <= {"open", "openat", "fstat", "close"}, lines


def test_nothing_is_left_open(name: str, names: list[str]) -> None:
    def descriptors() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    path_of(name).write_bytes(b"x")
    for each in names:
        path_of(each).write_bytes(b"x")
    before = descriptors()
    remove_orphan(plan(names[0]))
    gone = plan(names[1])
    path_of(names[1]).unlink()
    remove_orphan(gone)
    with opened(name, os.O_RDONLY):
        remove_orphan(plan(name))
    assert len(descriptors()) == len(before)
