"""POSIX named semaphores, which live in /dev/shm as ``sem.NAME`` (sem_overview(7))."""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from shmctl.core import posix, proc
from shmctl.core.busguard import BusGuard
from shmctl.core.errors import InputError, ShmError
from shmctl.core.models import DEV_SHM, Directory, ObjectInfo
from shmctl.core.names import NAME_MAX, SEMAPHORE_PREFIX, Name, parse_name
from shmctl.core.objects.describe import describe, explained
from shmctl.core.objects.open import OpenObject, opened

VALUE_MAX = 2**31 - 1
_SEM_T_SIZE = 32 if ctypes.sizeof(ctypes.c_long) == 8 else 16
_ALL_ADDRESSES = (0, 1 << 56)
Result = TypeVar("Result")


def parse_semaphore_name(text: str | bytes) -> Name:
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


@dataclass(frozen=True, slots=True)
class Semaphore:
    """An open semaphore."""

    name: Name
    handle: Any
    addresses: tuple[int, int] = _ALL_ADDRESSES
    """Where to survive that its file is shrunk: from an address on, so many bytes."""

    def post(self) -> None:
        """Add one to its value: sem_post(3)."""
        self._guarded(lambda: posix.sem_post(self.handle, self.name))

    def wait(self, seconds: float | None = None, *, nonblock: bool = False) -> None:
        """Take one from its value, waiting at most ``seconds`` (None: for ever), or not at all: sem_wait(3).

        Raises ShmError: ETIMEDOUT, EAGAIN for ``nonblock``, and EINTR after a
        signal with a handler, whose own exception posix_ipc may have swallowed.
        """
        try:
            self._guarded(lambda: posix.sem_wait(self.handle, 0 if nonblock else seconds, self.name))
        except ShmError as error:
            number = error.errno or errno.EIO
            detail = None
            if number == errno.EAGAIN and nonblock:
                detail = "its value is 0"
            elif number in (errno.EAGAIN, errno.ETIMEDOUT):
                number, detail = errno.ETIMEDOUT, f"timed out after {seconds or 0:g} s: its value is 0"
            raise ShmError(error.call, self.name, number, detail=detail) from error

    def value(self) -> int:
        """Its value at this moment: sem_getvalue(3)."""
        return self._guarded(lambda: posix.sem_getvalue(self.handle, self.name))

    def _guarded(self, action: Callable[[], Result]) -> Result:
        """The C library maps the file by itself, and whoever may write to it may have shrunk it."""
        with BusGuard(*self.addresses) as guard:
            result = action()
        if guard.tripped():
            detail = "its file was shrunk: it is no semaphore any more"
            raise ShmError("sem_open", self.name, errno.EFAULT, detail=detail)
        return result


@contextmanager
def opened_semaphore(name: Name) -> Iterator[Semaphore]:
    """An existing semaphore. Raises ShmError for what is none, without waiting for it or following it."""
    with _opened_file(name):
        semaphore = Semaphore(name, posix.sem_open(name, 0))
    try:
        yield semaphore
    finally:
        posix.sem_close(semaphore.handle, name)


def open_semaphore(name: Name) -> Semaphore:
    """The same, for a program that uses other memory meanwhile; the caller closes its handle."""
    with _opened_file(name) as file:
        handle = posix.sem_open(name, 0)
        try:
            return Semaphore(name, handle, _addresses_of(file.stat()))
        except BaseException:
            posix.sem_close(handle, name)
            raise


@contextmanager
def _opened_file(name: Name) -> Iterator[OpenObject]:
    """A semaphore's file. sem_open(3) would wait for whoever holds a lease on it: now nobody can take one."""
    with _about(name), opened(file_of(name), os.O_RDWR) as file:
        if file.size < _SEM_T_SIZE:
            detail = "its file is too small to be a semaphore"
            raise ShmError("sem_open", file.name, errno.EINVAL, detail=detail)
        yield file


def _addresses_of(st: os.stat_result) -> tuple[int, int]:
    """Where the C library has mapped a semaphore's file; nowhere, if another has got the name meanwhile."""
    for start, end, _, major, minor, inode in proc.mappings(None, {st.st_dev}):
        if (os.makedev(major, minor), inode) == (st.st_dev, st.st_ino):
            return start, end - start
    return 0, 0


def create_semaphore(
    name: Name, value: int = 0, mode: int = 0o600, *, exclusive: bool = True
) -> ObjectInfo | None:
    """Make a semaphore with ``value``; one that exists is an error, or is left as it is.

    Returns what fstat(2) tells of the file, or None if it was there. After a
    failure one that this call made is gone.
    """
    if not exclusive and _is_there(name):
        return None
    try:
        made = posix.sem_open(name, os.O_CREAT | os.O_EXCL, mode, value)
    except ShmError as error:
        if exclusive or error.errno != errno.EEXIST:
            raise
        return None
    try:
        posix.sem_close(made, name)
        return describe(file_of(name))
    except BaseException:
        posix.sem_unlink(name)
        raise


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
        raise ShmError(call, name, number, detail=error.detail, hint=error.hint) from error


def value_of(info: ObjectInfo) -> int | None:
    """The value of the semaphore that ``info`` describes; None where it cannot be read."""
    try:
        with opened_semaphore(parse_semaphore_name(info.name)) as semaphore:
            return semaphore.value()
    except ShmError:
        return None
