"""A range of an object, mapped, and read and written at byte offsets without ever risking SIGBUS."""

import errno
import fcntl
import os
from collections.abc import Iterator
from types import TracebackType

from shmctl.core import posix, transfer
from shmctl.core.errors import ShmError
from shmctl.core.names import Name


class Mapping:
    """``length`` bytes of an open object from byte ``offset`` on, mapped MAP_SHARED.

    ``offset`` may be any byte: the mapping begins with the page it stands in.
    ``length`` is not 0. The kernel copies the bytes in and out, through a
    pipe: where a store of our own would die of SIGBUS, because /dev/shm is
    full or another process has shrunk the object, its copy fails with EFAULT.
    """

    def __init__(self, fd: int, offset: int, length: int, prot: int, name: Name) -> None:
        self._fd = fd
        self._offset = offset
        self._name = name
        self._skip = offset % posix.PAGE_SIZE
        self._region = posix.mmap(fd, self._skip + length, prot, offset - self._skip, name)
        self._reader, self._writer = os.pipe()
        self._capacity = fcntl.fcntl(self._writer, fcntl.F_GETPIPE_SZ)

    def __enter__(self) -> "Mapping":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._reader)
        os.close(self._writer)
        posix.munmap(self._region)

    def load(self, start: int, length: int) -> bytes:
        """``length`` bytes from byte ``start`` of the mapping on. Raises ShmError if they have gone."""
        loaded = bytearray()
        while len(loaded) < length:
            loaded += self._load_some(start + len(loaded), min(length - len(loaded), self._capacity))
        return bytes(loaded)

    def _load_some(self, start: int, length: int) -> bytes:
        try:
            copied = posix.write_from(self._region, self._skip + start, length, self._writer, self._name)
        except ShmError as error:
            if error.errno != errno.EFAULT:
                raise
            # Loading from a hole allocates a page, which a full /dev/shm cannot give; pread(2) needs none.
            data = transfer.pread(self._fd, length, self._offset + start, self._name)
            if not data:
                raise self._shrunk("write") from error
            return data
        return os.read(self._reader, copied)

    def store(self, start: int, data: bytes) -> None:
        """Store ``data`` from byte ``start`` of the mapping on. Raises ShmError if that cannot be."""
        for begin in range(0, len(data), self._capacity):
            chunk = data[begin : begin + self._capacity]
            os.write(self._writer, chunk)
            self._store_from_pipe(start + begin, len(chunk))

    def _store_from_pipe(self, start: int, length: int) -> None:
        end = start + length
        while start < end:
            try:
                start += posix.readv_into(
                    self._region, self._skip + start, end - start, self._reader, self._name
                )
            except ShmError as error:
                os.read(self._reader, end - start)  # the rest must not become part of a later store
                if error.errno != errno.EFAULT:
                    raise
                raise self._bus_error("readv", end) from error

    def _bus_error(self, call: str, end: int) -> ShmError:
        """What SIGBUS would have meant: memory that is gone, or memory that is not to be had."""
        if posix.fstat(self._fd, self._name).st_size < self._offset + end:
            return self._shrunk(call)
        return ShmError(call, self._name, errno.ENOSPC)

    def _shrunk(self, call: str) -> ShmError:
        detail = "the object was shrunk by another process meanwhile"
        return ShmError(call, self._name, errno.EFAULT, detail=detail)


def windows(offset: int, length: int, size: int = 8 << 20) -> Iterator[tuple[int, int]]:
    """``length`` bytes at ``offset``, as (offset, length) pieces small enough to keep resident memory low."""
    end = offset + length
    while offset < end:
        piece = min(size - offset % posix.PAGE_SIZE, end - offset)
        yield offset, piece
        offset += piece
