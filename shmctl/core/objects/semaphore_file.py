"""What is in a semaphore's file, as glibc lays sem_t out for named semaphores (sem_overview(7))."""

import errno
import os
import struct
from typing import NamedTuple

from shmctl.core.errors import ShmError
from shmctl.core.models import FileStat, Kind, ObjectInfo
from shmctl.core.names import Name
from shmctl.core.objects.open import opened
from shmctl.core.posix import fstat
from shmctl.core.sizes import counted
from shmctl.core.transfer import pread

VALUE_MAX = 2**31 - 1
_IS_64_BIT = struct.calcsize("l") == 8
SIZE = 32 if _IS_64_BIT else 16
"""How many bytes a semaphore of this machine's word size has."""
# With 64 bits: the value, and in the upper half who waits; then whether it is shared. With 32, the lowest
# bit of the value says whether anybody waits.
_WORDS = struct.Struct("=QI" if _IS_64_BIT else "=II")
_SHARED = (0, 128)
_MUSL = struct.Struct("=4xII20x")
_PID_MAX = 2**22


def may_be_of_musl(info: ObjectInfo) -> bool:
    """Whether an object looks like a semaphore of the C library musl, which names the file as the semaphore.

    musl writes the value, how many wait, and 0; what follows is whatever stood on its stack.
    """
    if info.size != _MUSL.size or info.kind is not Kind.SHM:
        return False
    try:
        with opened(info.name, os.O_RDONLY, info.directory) as target:
            data = pread(target.fd, _MUSL.size, 0, info.name)
    except ShmError:
        return True
    if len(data) < _MUSL.size:
        return False
    waiting, private = _MUSL.unpack(data)
    return bool(waiting <= _PID_MAX and private == 0)


def is_foreign(st: FileStat) -> bool:
    """Whether somebody else than root and this process's user may write to the file."""
    return st.st_uid not in (0, os.geteuid()) or bool(st.st_mode & 0o022)


def check_size(size: int, name: Name) -> None:
    """Raise ShmError for a file that is no semaphore by its size."""
    if size == SIZE:
        return
    detail = f"its file is no semaphore: it has {counted(size, 'byte')}, not {SIZE}"
    if _IS_64_BIT and size == 16:
        detail = "it is a semaphore of 32-bit programs (16 bytes), which this one cannot use"
    elif not _IS_64_BIT and size == 32:
        detail = "it is a semaphore of 64-bit programs (32 bytes), which this one cannot use"
    elif size < SIZE:
        detail = f"its file is too small to be a semaphore: {counted(size, 'byte')}, not {SIZE}"
    raise ShmError("sem_open", name, errno.EINVAL, detail=detail)


class Words(NamedTuple):
    """What a semaphore's file says: its value, and how many wait (32-bit programs: whether any does)."""

    value: int
    waiting: int


def read_value(fd: int, name: Name) -> int:
    """The value in the file that ``fd`` has open. Raises ShmError where its bytes are no semaphore's."""
    return read_words(fd, name).value


def read_words(fd: int, name: Name) -> Words:
    """What the file says that ``fd`` has open. Raises ShmError where its bytes are no semaphore's."""
    check_size(fstat(fd, name).st_size, name)
    data = pread(fd, SIZE, 0, name)
    if len(data) == SIZE:
        word, shared = _WORDS.unpack_from(data)
        words = Words(int(word & 0xFFFFFFFF), word >> 32) if _IS_64_BIT else Words(word >> 1, word & 1)
        if words.value <= VALUE_MAX and shared in _SHARED:
            return words
    detail = "its file is no semaphore: what it contains cannot be one"
    raise ShmError("sem_open", name, errno.EINVAL, detail=detail)
