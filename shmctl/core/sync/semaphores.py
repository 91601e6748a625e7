"""POSIX named semaphores, which live in /dev/shm as ``sem.NAME`` (sem_overview(7))."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from shmctl.core import posix, proc
from shmctl.core.errors import InputError, ShmError
from shmctl.core.models import DEV_SHM, Directory, ObjectInfo
from shmctl.core.names import NAME_MAX, SEMAPHORE_PREFIX, Name, NameLike, parse_name
from shmctl.core.objects.describe import describe, explained
from shmctl.core.objects.open import opened
from shmctl.core.objects.semaphore_file import SIZE, is_foreign, read_value
from shmctl.core.sigbus import BusGuard
from shmctl.core.signals import block_signals, signals_blocked
from shmctl.core.sync.foreign_semaphore import ForeignSemaphore

Result = TypeVar("Result")


def parse_semaphore_name(text: NameLike) -> Name:
    """``/free``, ``free``, and ``/sem.free`` as the listing shows it. Raises InputError."""
    name = parse_name(text)
    if name.startswith(SEMAPHORE_PREFIX):
        name = parse_name(bare_name(name))
    if len(file_of(name)) - 1 > NAME_MAX:
        raise InputError(
            f"invalid semaphore name: it has {len(name) - 1} bytes, and {NAME_MAX - 4} are allowed"
        )
    return name


def bare_name(file: Name) -> Name:
    """The semaphore's name of a file: ``/free`` of ``/sem.free``."""
    return Name(b"/" + file.removeprefix(SEMAPHORE_PREFIX))


def file_of(name: Name) -> Name:
    """The name of the file behind a semaphore: ``/sem.free``."""
    return Name(SEMAPHORE_PREFIX + name[1:])


class OwnSemaphore:
    """An open semaphore that nobody else than root and this process's user may write to."""

    def __init__(self, name: Name, address: int) -> None:
        self.name = name
        self._address = address

    def post(self) -> None:
        """Add one to its value: sem_post(3)."""
        self._guarded(lambda: posix.sem_post(self._address, self.name))

    def take(self, seconds: float | None) -> None:
        """Take one from its value: sem_wait(3), sem_timedwait(3), and for 0 seconds sem_trywait(3)."""
        self._guarded(lambda: posix.sem_wait(self._address, seconds, self.name))

    def value(self) -> int:
        """Its value at this moment: sem_getvalue(3)."""
        return self._guarded(lambda: posix.sem_getvalue(self._address, self.name))

    def close(self) -> None:
        """Let go of it: sem_close(3)."""
        posix.sem_close(self._address, self.name)

    def _guarded(self, action: Callable[[], Result]) -> Result:
        """The C library maps the file by itself, and a process that may write to it may have shrunk it."""
        with BusGuard(self._address, SIZE) as guard:
            result = action()
        if guard.tripped():
            detail = "its file was shrunk: it is no longer a semaphore"
            raise ShmError("sem_open", self.name, errno.EFAULT, detail=detail)
        return result


Semaphore = OwnSemaphore | ForeignSemaphore


def take(semaphore: Semaphore, seconds: float | None = None, *, nonblock: bool = False) -> None:
    """Take one from a value, waiting at most ``seconds`` (None: for ever), or not at all: sem_wait(3).

    Raises ShmError: ETIMEDOUT, EAGAIN for ``nonblock``, and EINTR after a signal with a handler.
    """
    try:
        semaphore.take(0 if nonblock else seconds)
    except ShmError as error:
        if error.errno not in (errno.EAGAIN, errno.ETIMEDOUT):
            raise
        number, detail = errno.ETIMEDOUT, f"timed out after {seconds or 0:g} s: its value is 0"
        if nonblock:
            number, detail = errno.EAGAIN, "its value is 0"
        raise ShmError(error.call, semaphore.name, number, detail=detail) from None


@contextmanager
def opened_semaphore(name: Name) -> Iterator[Semaphore]:
    """An existing semaphore. Raises ShmError for what is none, without waiting for it or following it."""
    semaphore = open_semaphore(name)
    try:
        yield semaphore
    finally:
        semaphore.close()


def open_semaphore(name: Name) -> Semaphore:
    """The same; the caller closes it."""
    # sem_open(3) would wait for a lease on the file: while it is open here nobody can take one.
    with _about(name), opened(file_of(name), os.O_RDWR) as file:
        read_value(file.fd, name)
        if is_foreign(file.stat()):
            return ForeignSemaphore(name, posix.duplicate(file.fd, file.name))
        return OwnSemaphore(name, posix.sem_open(name, 0))


def create_semaphore(
    name: Name, value: int = 0, mode: int = 0o600, *, exclusive: bool = True
) -> ObjectInfo | None:
    """Make a semaphore with ``value``; one that exists is an error, or is left as it is.

    Returns what fstat(2) tells of the file; None if it was there, or if another has taken its name meanwhile.
    After a failure one that this call made is gone.
    """
    if not exclusive and _is_there(name):
        return None
    with signals_blocked() as deliver:
        try:
            address = posix.sem_open(name, os.O_CREAT | os.O_EXCL, mode, value)
        except ShmError as error:
            if exclusive or error.errno != errno.EEXIST:
                raise
            return None
        made = _mapped_file(address)
        try:
            posix.sem_close(address, name)
            deliver()
            info = describe(file_of(name))
        except BaseException:
            block_signals()
            _remove_if_same(name, made)
            raise
    return info if made in (None, (info.st.st_dev, info.st.st_ino)) else None


def _mapped_file(address: int) -> tuple[int, int] | None:
    """Device and inode of the file that is mapped at ``address``: sem_open(3) tells nothing else of it."""
    with suppress(OSError):
        for start, _, _, major, minor, inode in proc.mappings(None, {posix.stat_directory().st_dev}):
            if start == address:
                return os.makedev(major, minor), inode
    return None


def _remove_if_same(name: Name, made: tuple[int, int] | None) -> None:
    """Remove a semaphore's name, unless it belongs to another file than ``made``, or none can tell."""
    with suppress(ShmError):
        now = posix.lstat(file_of(name))
        if (now.st_dev, now.st_ino) == made:
            posix.sem_unlink(name)


def _is_there(name: Name) -> bool:
    """Whether there is a file that may be a semaphore; ShmError for another kind of file."""
    try:
        with _about(name):
            describe(file_of(name))
    except ShmError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def unlink_semaphore(name: Name, directory: Directory = DEV_SHM) -> None:
    """Remove a semaphore's name: sem_unlink(3), or unlink(2) in another directory than the C library's."""
    with _about(name), explained(file_of(name), directory):
        if directory == DEV_SHM:
            posix.sem_unlink(name)
        else:
            posix.unlink(file_of(name), directory)


@contextmanager
def _about(name: Name) -> Iterator[None]:
    """Errors about the semaphore's file become errors about the semaphore."""
    try:
        yield
    except ShmError as error:
        call = error.call if error.call.startswith("sem_") else "sem_open"
        number = error.errno or errno.EIO
        raise ShmError(call, name, number, detail=error.detail, hint=error.hint) from None


def value_of(info: ObjectInfo) -> int | None:
    """The value of the semaphore that ``info`` describes; None where it cannot be read, or cannot be one."""
    try:
        with opened(info.name, os.O_RDONLY, info.directory) as file:
            return read_value(file.fd, info.name)
    except ShmError:
        return None
