"""A range of an object, mapped, and read and written at byte offsets without ever dying of SIGBUS."""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from types import TracebackType

from shmctl.core import posix, tracing, transfer
from shmctl.core.errors import ShmError, failing_as, shrunk
from shmctl.core.names import Name
from shmctl.core.sigbus import BusGuard

_NATIVE = sys.byteorder
_LARGEST_SCALAR = 8
_UNSIGNED = {1: ctypes.c_uint8, 2: ctypes.c_uint16, 4: ctypes.c_uint32, 8: ctypes.c_uint64}


class Mapping:
    """``length`` bytes of an open object from byte ``offset`` on, mapped MAP_SHARED.

    ``offset`` may be any byte: the mapping begins with its page.
    ``length`` is not 0. One, two, four or eight bytes that are aligned in the
    object are loaded or stored by a single instruction. Where a page has gone,
    because another process shrank the object, a ShmError comes instead of
    SIGBUS. That is the only reason there is: memory is allocated before it is
    stored into, and a hole that is loaded from is read by a call instead.
    """

    def __init__(self, fd: int, offset: int, length: int, prot: int, name: Name) -> None:
        self._fd = fd
        self._offset = offset
        self._name = name
        skip = offset % posix.PAGE_SIZE
        self._mapped = skip + length
        self._address = posix.mmap(fd, self._mapped, prot, offset - skip, name)
        self._start = self._address + skip
        self._guard = BusGuard(self._address, self._mapped)
        self._traced = 0

    def __enter__(self) -> "Mapping":
        self._guard.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._guard.__exit__(kind, error, traceback)
        posix.munmap(self._address, self._mapped, self._name)

    def load(self, start: int, length: int) -> bytes:
        """``length`` bytes from byte ``start`` of the mapping on. Raises ShmError if they have gone."""
        if not self._guard.tripped():
            data = self._load(self._start + start, length)
            if not self._guard.tripped():
                return data
            self._trace_stand_ins()
        # Loading from a hole allocates a page, which a full /dev/shm cannot give; pread(2) needs none.
        data = transfer.pread(self._fd, length, self._offset + start, self._name)
        if len(data) < length:
            raise shrunk("mmap", self._name)
        return data

    def store(self, start: int, data: bytes) -> None:
        """Store ``data`` from byte ``start`` of the mapping on. Raises ShmError if that cannot be."""
        address = self._start + start
        scalar = _UNSIGNED.get(len(data))
        if scalar and address % len(data) == 0:
            scalar.from_address(address).value = int.from_bytes(data, _NATIVE)
        else:
            ctypes.memmove(address, data, len(data))
        if self._guard.tripped():
            self._trace_stand_ins()
            raise shrunk("mmap", self._name)

    @staticmethod
    def _load(address: int, length: int) -> bytes:
        scalar = _UNSIGNED.get(length)
        if scalar and address % length == 0:
            return scalar.from_address(address).value.to_bytes(length, _NATIVE)
        return ctypes.string_at(address, length)

    def _trace_stand_ins(self) -> None:
        for page in self._guard.pages[self._traced :]:
            arguments = (
                f"{page:#x}, {posix.PAGE_SIZE}, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS"
            )
            tracing.emit(f"mmap({arguments}, -1, 0) = {page:#x}")
        self._traced = len(self._guard.pages)


def _page(offset: int) -> int:
    return offset // posix.PAGE_SIZE


class LiveRange:
    """``length`` bytes of an open object from byte ``offset`` on, looked at again and again.

    What is there is loaded through a mapping. A hole is read by pread(2):
    loading from it would allocate it.
    """

    def __init__(self, fd: int, offset: int, length: int, name: Name) -> None:
        self._fd = fd
        self._offset = offset
        self._name = name
        self._mapping = Mapping(fd, offset, length, posix.PROT_READ, name)
        self._data = range(0)  # the bytes that were no hole when that was last asked

    def __enter__(self) -> "LiveRange":
        self._mapping.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._mapping.__exit__(kind, error, traceback)

    def load(self, start: int, length: int) -> bytes:
        """``length`` bytes from byte ``start`` of the range on. Raises ShmError if they have gone."""
        begin = self._offset + start
        while True:
            is_known = start in self._data and start + length <= self._data.stop
            if is_known or self._is_data(start, length):
                return self._mapping.load(start, length)
            # No news to a trace: as often as it is asked here.
            with failing_as("pread", self._name, ShmError):
                data = os.pread(self._fd, length, begin)
            if len(data) < length:
                raise shrunk("pread", self._name)
            is_scalar = length <= _LARGEST_SCALAR and _page(begin) == _page(begin + length - 1)
            if not (is_scalar and any(data)):
                return data
            # It has just been stored, and the copy may have met the store half done.

    def forget(self) -> None:
        """Ask again what is data and what is a hole."""
        self._data = range(0)

    def _is_data(self, start: int, length: int) -> bool:
        begin = self._offset + start
        try:
            if os.lseek(self._fd, begin, os.SEEK_DATA) > begin:
                return False
            end = os.lseek(self._fd, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return False
            raise ShmError("lseek", self._name, error.errno or errno.EIO) from None
        self._data = range(start, end - self._offset)
        return end >= begin + length


def windows(offset: int, length: int, size: int = 8 << 20) -> Iterator[tuple[int, int]]:
    """``length`` bytes at ``offset``, as (offset, length) pieces small enough to keep resident memory low."""
    end = offset + length
    while offset < end:
        piece = min(size - offset % posix.PAGE_SIZE, end - offset)
        yield offset, piece
        offset += piece
