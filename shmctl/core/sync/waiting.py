"""Wait until an object is there, gone, unused, changed, or holds a value."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from shmctl.core import posix
from shmctl.core.errors import FileError, ShmError, failing_as
from shmctl.core.inspect.lease import State, UsageTest
from shmctl.core.models import DEV_SHM, Directory, FileStat
from shmctl.core.names import Name
from shmctl.core.objects.describe import describe, is_same
from shmctl.core.objects.mapping import LiveRange
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.sizes import counted
from shmctl.core.sync.backoff import Pacer
from shmctl.core.sync.fingerprint import fingerprint
from shmctl.core.sync.fullness import Fullness

Load = Callable[[int, int], bytes]
"""Gives (start, length) bytes of the range that is waited on."""
Found = TypeVar("Found")


def wait_until_there(name: Name, pacer: Pacer, directory: Directory = DEV_SHM) -> None:
    """Return once an object has the name."""
    while not _is_there(name, directory):
        pacer.until_the_name_changes()


def wait_until_gone(name: Name, pacer: Pacer, directory: Directory = DEV_SHM) -> None:
    """Return once no object has the name."""
    while _is_there(name, directory):
        pacer.until_the_name_changes()


def _is_there(name: Name, directory: Directory) -> bool:
    try:
        describe(name, directory)
    except ShmError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def wait_until_unused(
    name: Name, pacer: Pacer, new_test: Callable[[], UsageTest], directory: Directory = DEV_SHM
) -> None:
    """Return once nobody has the object open or mapped. Raises ShmError where that cannot be known.

    ``new_test`` makes a test for each look: what one has found out grows stale.
    """
    while True:
        usage = new_test().ask(describe(name, directory))
        if usage.state is State.FREE:
            return
        if usage.state is State.UNKNOWN:
            raise ShmError("fcntl", name, errno.ENOTSUP, detail=usage.evidence)
        pacer.pause()


def wait_until_fuller(fuller_than: Fullness, pacer: Pacer, directory: Directory = DEV_SHM) -> int:
    """Return how many bytes are used once they are more. Raises ShmError where that is not known."""
    while True:
        vfs = posix.statvfs(directory)
        used = (vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize
        if not vfs.f_blocks:
            detail = "it has no limit, and does not say how much of it is used"
            raise FileError("statvfs", directory.path, errno.ENOTSUP, detail=detail)
        limit = fuller_than.size
        if limit is None:
            limit = int((fuller_than.percent or 0) * vfs.f_blocks * vfs.f_frsize / 100)
        if used > limit:
            return used
        pacer.pause()


def wait_for_value(
    name: Name,
    offset: int,
    length: int,
    look: Callable[[Load], Found | None],
    pacer: Pacer,
    *,
    directory: Directory = DEV_SHM,
) -> Found:
    """Return what ``look`` finds, once it finds something in the ``length`` bytes at ``offset``.

    Waits for the object to be made and to be large enough first, and goes on
    with the new one when another object takes the name. Raises ShmError if
    it is shrunk below the range.
    """
    while True:
        wait_until_there(name, pacer, directory)
        try:
            with opened(name, os.O_RDONLY, directory) as target:
                return _wait_in(target, offset, length, look, pacer)
        except _ReplacedError:
            continue
        except ShmError as error:
            if error.call != "shm_open" or error.errno != errno.ENOENT:
                raise


def _wait_in(
    target: OpenObject, offset: int, length: int, look: Callable[[Load], Found | None], pacer: Pacer
) -> Found:
    end = offset + length
    _wait_for_size(target, end, pacer)
    pacer.restart()
    with LiveRange(target.fd, offset, length, target.name) as live:
        return _poll(target, end, lambda: look(live.load), pacer, live.forget)


def wait_for_change(
    name: Name, offset: int, length: int | None, pacer: Pacer, *, directory: Directory = DEV_SHM
) -> None:
    """Return once the bytes of the range, or how many there are of them, are other than now.

    ``length`` None means up to the object's end. An object that takes the name counts as a change, and so
    does one that is shrunk while it is looked at.
    """
    with opened(name, os.O_RDONLY, directory) as target, suppress(_ReplacedError), _shrinking_suppressed():
        before = _content(target, offset, length)
        _poll(target, 0, lambda: _content(target, offset, length) != before or None, pacer)


@contextmanager
def _shrinking_suppressed() -> Iterator[None]:
    try:
        yield
    except ShmError as error:
        if error.errno != errno.EFAULT:
            raise


class _ReplacedError(Exception):
    """Another object has the name by now."""


def _wait_for_size(target: OpenObject, end: int, pacer: Pacer) -> None:
    """An object is empty between shm_open and ftruncate: that is no reason to give up."""
    while target.stat().st_size < end:
        _look_from_outside(target, 0, pacer)
        pacer.pause()


def _poll(
    target: OpenObject,
    end: int,
    look: Callable[[], Found | None],
    pacer: Pacer,
    after_a_while: Callable[[], None] = lambda: None,
) -> Found:
    while True:
        found = look()
        if found is not None:
            # What shrinking cut off reads as zeros: that is no value of anybody's.
            _check_size(target, end)
            return found
        if pacer.pause():
            _look_from_outside(target, end, pacer)
            after_a_while()


def _look_from_outside(target: OpenObject, end: int, pacer: Pacer) -> None:
    st = _check_size(target, end)
    # The count of links tells nothing: a renamed object, or one with a second link, still has one.
    if pacer.name_may_have_changed():
        with suppress(ShmError):
            if not is_same(describe(target.name, target.directory).st, st):
                raise _ReplacedError


def _check_size(target: OpenObject, end: int) -> FileStat:
    st = _fstat(target)
    if st.st_size < end:
        detail = f"it was shrunk to {counted(st.st_size, 'byte')}, and the value ends at {end}"
        raise ShmError("read", target.name, errno.EFAULT, detail=detail)
    return st


def _fstat(target: OpenObject) -> FileStat:
    """fstat(2), which is no news to a trace as often as it is asked here."""
    with failing_as("fstat", target.name, ShmError):
        return FileStat.of(os.fstat(target.fd))


def _content(target: OpenObject, offset: int, length: int | None) -> tuple[int, bytes]:
    """How many bytes of the range there are, and a hash of them."""
    size = _fstat(target).st_size
    there = max(0, size - offset if length is None else min(length, size - offset))
    return there, fingerprint(target, offset, there)
