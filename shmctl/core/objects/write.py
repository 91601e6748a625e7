"""Store data in an object, through a mapping."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory, Store
from shmctl.core.names import Name
from shmctl.core.objects.open import DEFAULT_MODE, OpenObject, opened, opened_or_created
from shmctl.core.objects.resize import room
from shmctl.core.sizes import OFF_T_MAX, counted


class Fit(NamedTuple):
    """What becomes of the object's size: nothing, or it grows to hold the data, or it ends with the data."""

    grow: bool = False
    exact: bool = False


@contextmanager
def writable(
    name: Name,
    directory: Directory = DEV_SHM,
    *,
    create: bool = False,
    mode: int = DEFAULT_MODE,
    lock: bool = False,
) -> Iterator[OpenObject]:
    """An object open for reading and writing, under flock(2) if ``lock``.

    ``create`` makes it where there is none, and unmakes it if the body fails.
    """

    def open_it() -> AbstractContextManager[OpenObject]:
        return opened_or_created(name, mode, directory) if create else opened(name, os.O_RDWR, directory)

    if lock:
        from shmctl.core.objects.lock import locked

        with locked(open_it, exclusive=True) as target:
            yield target
        return
    with open_it() as target:
        yield target


def write_bytes(target: OpenObject, offset: int, data: bytes, fit: Fit) -> None:
    """Store ``data`` at ``offset``, through a mapping."""
    write_stores(target, offset, len(data), lambda _: [Store(0, data)], fit)


def write_stores(
    target: OpenObject,
    offset: int,
    length: int,
    stores: Callable[[Callable[[int, int], bytes]], Sequence[Store]],
    fit: Fit,
) -> None:
    """Store pieces of the ``length`` bytes at ``offset``, in order, and leave the rest.

    ``stores`` says which, relative to ``offset``; it is given the function
    that loads (start, length) of what stands there now.
    """
    from shmctl.core.objects.mapping import Mapping

    check_range(target.name, offset, length)
    with room(target, offset, length, grow=fit.grow, exact=fit.exact):
        if not length:
            return
        with Mapping(target.fd, offset, length, posix.PROT_READ | posix.PROT_WRITE, target.name) as mapping:
            for store in stores(mapping.load):
                mapping.store(store.offset, store.data)


def fill(target: OpenObject, offset: int, length: int | None, byte: int, fit: Fit) -> int:
    """Store ``byte`` ``length`` times (None: up to the object's end). Returns how often."""
    from shmctl.core.objects.mapping import Mapping, windows
    from shmctl.core.transfer import CHUNK

    if length is None:
        length = max(0, target.size - offset)
    check_range(target.name, offset, length)
    block = bytes([byte]) * min(CHUNK, length)
    with room(target, offset, length, grow=fit.grow, exact=fit.exact):
        for start, size in windows(offset, length):
            with Mapping(target.fd, start, size, posix.PROT_READ | posix.PROT_WRITE, target.name) as mapping:
                for begin in range(0, size, CHUNK):
                    mapping.store(begin, block[: size - begin])
    return length


def check_range(name: Name, offset: int, length: int) -> None:
    """Raise ShmError for a range that ends past the largest offset there is."""
    if offset + length > OFF_T_MAX:
        detail = f"offset {offset} and {counted(length, 'byte')} reach past the largest size there can be"
        raise ShmError("write", name, errno.EFBIG, detail=detail)
