"""Hold the lock of the object that has a name: flock(2)."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from shmctl.core import locking, posix
from shmctl.core.errors import ShmError
from shmctl.core.models import Directory, FileStat
from shmctl.core.names import Name
from shmctl.core.objects.describe import is_same
from shmctl.core.objects.open import OpenObject, opened

# What another process may have made of the name since: what takes its place decides what that means.
_GONE = (errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO)


@contextmanager
def locked(
    open_it: Callable[[], AbstractContextManager[OpenObject]],
    *,
    exclusive: bool,
    timeout: float | None = None,
    at_once: bool = False,
) -> Iterator[OpenObject]:
    """What ``open_it`` opens, as it is once its lock is had.

    While the lock was waited for, another object may have taken the name.
    Then the lock of the old one keeps nobody away, and the new one is opened.

    Raises ShmError where the lock is not had: ETIMEDOUT after ``timeout``
    seconds, EAGAIN if it is wanted ``at_once``; ENOENT where nothing has the
    name any more.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        with open_it() as target:
            if at_once:
                if not locking.try_flock(target.fd, target.name, exclusive=exclusive):
                    raise ShmError("flock", target.name, errno.EAGAIN, detail="somebody else has the lock")
            elif deadline is None:
                locking.flock(target.fd, target.name, exclusive=exclusive)
            elif not locking.flock_until(target.fd, target.name, deadline, exclusive=exclusive):
                detail = f"timed out after {timeout:g} s: somebody else has the lock"
                raise ShmError("flock", target.name, errno.ETIMEDOUT, detail=detail)
            if _has_its_name(target):
                st = target.stat()
                with _known_to_this_thread(st, target.fd):
                    target.size = st.st_size
                    yield target
                return


class _Held(threading.local):
    """Descriptors with locks that the running thread has, by device and inode."""

    def __init__(self) -> None:
        self.locks: dict[tuple[int, int], int] = {}


_held = _Held()


@contextmanager
def _known_to_this_thread(st: FileStat, fd: int) -> Iterator[None]:
    before = dict(_held.locks)
    _held.locks[st.st_dev, st.st_ino] = fd
    try:
        yield
    finally:
        _held.locks = before


def _own_lock(st: FileStat) -> int | None:
    """A descriptor with a lock that this thread has, or that the process was started with."""
    fd = _held.locks.get((st.st_dev, st.st_ino))
    return locking.inherited_lock(st) if fd is None else fd


def _has_its_name(target: OpenObject) -> bool:
    """Whether the name is still this object's."""
    try:
        return is_same(posix.lstat(target.name, target.directory), target.stat())
    except ShmError as error:
        if error.errno != errno.ENOENT:
            raise
        return False


@contextmanager
def locks_of_replaced(names: Iterable[Name], directory: Directory) -> Iterator[None]:
    """Hold the locks of the objects that lose these names: nobody who has one finds another in its place.

    Who waits for one gets it afterwards, and sees by then that the name is
    another's. Without permission to read an object its lock cannot be had.
    """
    while True:
        with ExitStack() as stack:
            found = [target for name in names for target in _opened_if_there(stack, name, directory)]
            # Each object once, and in one order, so that no two callers wait for each other.
            by_inode = {target.stat().st_ino: target for target in found}
            for _, target in sorted(by_inode.items()):
                _lock(target)
            if all(map(_has_its_name, found)):
                yield
                return


def _opened_if_there(stack: ExitStack, name: Name, directory: Directory) -> Iterator[OpenObject]:
    try:
        yield stack.enter_context(opened(name, os.O_RDONLY, directory))
    except ShmError as error:
        if error.errno not in (errno.EACCES, *_GONE):
            raise


def _lock(target: OpenObject) -> None:
    if not locking.try_flock(target.fd, target.name, exclusive=True):
        own = _own_lock(target.stat())
        locking.flock(target.fd if own is None else own, target.name, exclusive=True)
