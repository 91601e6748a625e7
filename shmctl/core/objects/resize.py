"""Give an object its size, and the memory for it: ftruncate(2), posix_fallocate(3)."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shmctl.core import posix
from shmctl.core.errors import InputError, ShmError
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject, opened

if TYPE_CHECKING:
    from shmctl.core.sizes import Resize
_LONG = 1 << 20


def set_size(target: OpenObject, old: int, new: int, reserve: bool) -> None:
    """Make an object of ``old`` bytes ``new`` ones long, and allocate them if ``reserve``."""
    if new > old:
        posix.ftruncate(target.fd, new, target.name)
    if reserve and new:
        with _size_restored_on_failure(target, old, new):
            posix.posix_fallocate(target.fd, 0, new, target.name)
    if new < old:
        posix.ftruncate(target.fd, new, target.name)


@contextmanager
def _size_restored_on_failure(target: OpenObject, old: int, new: int) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if new > old:
            posix.ftruncate(target.fd, old, target.name)
        raise


@contextmanager
def room(
    target: OpenObject, offset: int, length: int, *, grow: bool = False, exact: bool = False
) -> Iterator[None]:
    """See that ``length`` bytes at ``offset`` can be stored, before anything is.

    The object grows to fit if ``grow`` or ``exact`` says so, or if it was just
    made; the memory is allocated, so that a full /dev/shm is an error here.
    After the body ``exact`` shrinks it to end with the data. When the body
    fails, the object has its old size again.
    """
    end, old = offset + length, target.size
    if end > old:
        if not (grow or exact or target.created):
            raise does_not_fit(target.name, offset, f"{length} bytes", old)
        posix.ftruncate(target.fd, end, target.name)
    with _size_restored_on_failure(target, old, end):
        if length and not (end <= old and _is_allocated(target, offset, length)):
            posix.posix_fallocate(target.fd, offset, length, target.name)
        yield
    if exact and end < old:
        posix.ftruncate(target.fd, end, target.name)


def _is_allocated(target: OpenObject, offset: int, length: int) -> bool:
    """Whether a long range has its memory: looking takes a quarter of the time of allocating it again."""
    if length < _LONG:
        return False
    from shmctl.core.transfer import seek_hole

    try:
        return seek_hole(target.fd, offset, target.name) >= offset + length
    except ShmError:
        return False  # it has been shrunk


def does_not_fit(name: Name, offset: int, amount: str, size: int) -> ShmError:
    """The error for data that would reach past the end of an object of ``size`` bytes."""
    detail = f"{amount} at offset {offset} do not fit in its {size} bytes"
    return ShmError("mmap", name, errno.EFBIG, detail=detail, hint="--grow extends the object to fit")


def resize(name: Name, change: "Resize", directory: Directory = DEV_SHM) -> tuple[int, int]:
    """Grow an object with zeros, or shrink it: ftruncate(2). Returns its old and new size in bytes."""
    with opened(name, os.O_RDWR, directory) as target:
        try:
            new = change.apply(target.size)
        except InputError as error:
            raise ShmError("ftruncate", name, errno.EFBIG, detail=str(error)) from error
        posix.ftruncate(target.fd, new, name)
        return target.size, new
