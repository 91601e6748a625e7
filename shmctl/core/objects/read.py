"""Get data out of an object, through a mapping."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from shmctl.core import posix, transfer
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.sizes import counted
from shmctl.core.transfer import CHUNK


@contextmanager
def readable(name: Name, directory: Directory = DEV_SHM, *, lock: bool = False) -> Iterator[OpenObject]:
    """An object open for reading, under a shared flock(2) if ``lock``."""
    if lock:
        from shmctl.core.objects.lock import locked

        with locked(lambda: opened(name, os.O_RDONLY, directory), exclusive=False) as target:
            yield target
        return
    with opened(name, os.O_RDONLY, directory) as target:
        yield target


def extent(target: OpenObject, offset: int, length: int | None) -> int:
    """How many bytes there are to read at ``offset``, at most ``length``. Raises ShmError past the end."""
    size = target.size
    if offset > size:
        detail = f"offset {offset} is past its end: it has {counted(size, 'byte')}"
        raise ShmError("read", target.name, errno.EINVAL, detail=detail)
    return size - offset if length is None else min(length, size - offset)


def read_bytes(target: OpenObject, offset: int, length: int) -> bytes:
    """Exactly ``length`` bytes at ``offset``, through a mapping. Raises ShmError where there are fewer.

    Holes come as zeros and are not touched: a load would allocate them.
    """
    check_end(target, offset, length)
    if not length:
        return b""
    from shmctl.core.objects.mapping import Mapping

    with Mapping(target.fd, offset, length, posix.PROT_READ, target.name) as mapping:
        return b"".join(
            mapping.load(start - offset, size) if is_data else bytes(size)
            for start, size, is_data in transfer.extents(target.fd, offset, length, target.name)
        )


def check_end(target: OpenObject, offset: int, length: int) -> None:
    """Raise ShmError where an object has not ``length`` bytes at ``offset``."""
    size = target.size
    if offset + length > size:
        reach = "1 byte at offset {} reaches" if length == 1 else f"{length} bytes at offset {{}} reach"
        detail = f"{reach.format(offset)} past its end: it has {counted(size, 'byte')}"
        raise ShmError("read", target.name, errno.EINVAL, detail=detail)


def chunks(target: OpenObject, offset: int, length: int) -> Iterator[bytes]:
    """``length`` bytes at ``offset``, through mappings, in order, 256 KiB or less at a time.

    Holes come as zeros and are not touched: a load would allocate them.
    """
    from shmctl.core.objects.mapping import Mapping, windows

    for start, size, is_data in transfer.extents(target.fd, offset, length, target.name):
        if not is_data:
            yield from (bytes(min(CHUNK, size - begin)) for begin in range(0, size, CHUNK))
            continue
        for window, window_size in windows(start, size):
            with Mapping(target.fd, window, window_size, posix.PROT_READ, target.name) as mapping:
                for begin in range(0, window_size, CHUNK):
                    yield mapping.load(begin, min(CHUNK, window_size - begin))
