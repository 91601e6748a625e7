"""Open objects that exist, and create those that do not: shm_open(3)."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory, FileStat
from shmctl.core.names import Name
from shmctl.core.objects.describe import explained, refuse_other_kinds
from shmctl.core.signals import block_signals, signals_blocked

DEFAULT_MODE = 0o600


class OpenObject:
    """An open descriptor of an object, its size in bytes when it was opened, and whether it was made then."""

    __slots__ = ("created", "directory", "fd", "name", "size")

    def __init__(
        self, name: Name, fd: int, directory: Directory, size: int = 0, created: bool = False
    ) -> None:
        self.name = name
        self.fd = fd
        self.directory = directory
        self.size = size
        self.created = created

    def stat(self) -> FileStat:
        """fstat(2), now."""
        return posix.fstat(self.fd, self.name)


@contextmanager
def opened(name: Name, oflag: int, directory: Directory = DEV_SHM) -> Iterator[OpenObject]:
    """An existing object, open O_RDONLY or O_RDWR (with O_TRUNC where wanted).

    Raises ShmError for anything that is not a shared-memory object, without
    ever blocking on it or following it.
    """
    with owned(lambda: _open_existing(name, oflag, directory)) as target:
        yield target


@contextmanager
def opened_or_created(
    name: Name, mode: int, directory: Directory = DEV_SHM, *, oflag: int = 0
) -> Iterator[OpenObject]:
    """An object open O_RDWR, made with ``mode`` where there is none.

    An object that this call made is removed again when the body fails.
    """
    with owned(lambda: _open_or_create(name, mode, directory, oflag)) as target:
        yield target


def _open_or_create(name: Name, mode: int, directory: Directory, oflag: int) -> OpenObject:
    # O_CREAT goes only with O_EXCL: so it is certain who made the object, and fs.protected_regular,
    # which refuses O_CREAT on another user's existing object in a sticky directory, has no say.
    while True:
        try:
            return _open_existing(name, os.O_RDWR | oflag, directory)
        except ShmError as error:
            if error.errno != errno.ENOENT:
                raise
        try:
            return create_exclusively(name, mode, directory, oflag=oflag)
        except ShmError as error:
            if error.errno != errno.EEXIST:
                raise


def create_exclusively(
    name: Name, mode: int, directory: Directory = DEV_SHM, *, oflag: int = 0
) -> OpenObject:
    """A new, empty object, open O_RDWR: EEXIST where the name is taken."""
    fd = posix.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | oflag, mode, directory)
    return OpenObject(name, fd, directory, created=True)


@contextmanager
def owned(open_it: Callable[[], OpenObject]) -> Iterator[OpenObject]:
    """What ``open_it`` opens or makes, closed at the end; what it made is removed when the body fails.

    No signal can come between, when nobody would know whose the object is.
    """
    with signals_blocked() as deliver:
        target = open_it()
        try:
            deliver()
            yield target
        except BaseException:
            block_signals()
            if target.created:
                from shmctl.core.objects.remove import remove_if_same

                remove_if_same(target.name, target.stat(), target.directory)
            raise
        finally:
            posix.close(target.fd, target.name)


def _open_existing(name: Name, oflag: int, directory: Directory) -> OpenObject:
    with explained(name, directory):
        fd = _open_when_no_lease_stands(name, oflag | os.O_NONBLOCK, directory)
    try:
        st = posix.fstat(fd, name)
        refuse_other_kinds("shm_open", name, st)
    except BaseException:
        posix.close(fd, name)
        raise
    return OpenObject(name, fd, directory, st.st_size)


def _open_when_no_lease_stands(name: Name, oflag: int, directory: Directory) -> int:
    """shm_open(3), tried for a second: who asks for the kernel's lease has it for microseconds."""
    pause = 0.0005
    while True:
        try:
            return posix.shm_open(name, oflag, 0, directory)
        except ShmError as error:
            if error.errno != errno.EAGAIN:
                raise
            if pause > 1:
                detail, hint = "another process holds a lease on it", "it has been asked to let go: try again"
                raise ShmError(error.call, name, errno.EAGAIN, detail=detail, hint=hint) from None
        time.sleep(pause)
        pause *= 2
