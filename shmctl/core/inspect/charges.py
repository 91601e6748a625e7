"""Who is charged for an object's memory: the memory control group of each of its pages.

The kernel tells root alone, page frame by page frame (/proc/kpagecgroup), and a frame's number only of a page
that is mapped. Data that is not in swap is mapped for that: nothing is allocated, and what is in swap stays
there. A page that is reserved counts as a hole until somebody stores into it.
"""

import errno
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shmctl.core import cgroup, posix, proc
from shmctl.core.errors import ShmError
from shmctl.core.inspect.containers import Place, place_in
from shmctl.core.objects.open import OpenObject
from shmctl.core.transfer import Extent

MOST = 1 << 30
"""Bytes of data that are looked at: a second's work at worst."""
_WINDOW = 64 << 20


class Charge(NamedTuple):
    """The bytes that a memory control group is charged for.

    ``inode`` is that of the group's directory; ``path``, from the root of the hierarchy, is None where
    the group is not visible from here.
    """

    inode: int
    path: bytes | None
    size: int

    @property
    def place(self) -> Place:
        """The container and the pod that the group belongs to."""
        return place_in(self.path or b"")


def find_charges(target: OpenObject, extents: Sequence[Extent], swapped: int | None) -> list[Charge]:
    """Whom the kernel charges for the first MOST bytes of ``extents``, the most first.

    If any is ``swapped``, cachestat(2) shows which. Raises OSError where the kernel does not tell, or not
    this process.
    """
    windows: Iterable[Extent] = _windows(extents)
    if swapped != 0:
        windows = (part for window in windows for part in _in_memory(target, window))
    pages = proc.charged_groups(frame for window in windows for frame in _frames(target, window))
    paths = cgroup.find_paths(pages)
    return [Charge(each, paths.get(each), count * posix.PAGE_SIZE) for each, count in pages.most_common()]


def _windows(extents: Sequence[Extent]) -> Iterator[Extent]:
    """What is looked at, in parts."""
    left = MOST
    for extent in extents:
        end = extent.offset + min(extent.length, left)
        left -= end - extent.offset
        for start in range(extent.offset, end, _WINDOW):
            yield Extent(start, min(_WINDOW, end - start), True)


def _in_memory(target: OpenObject, part: Extent) -> Iterator[Extent]:
    """What of ``part`` is not in swap, found by halves."""
    stats = posix.cachestat(target.fd, target.name, part.offset, part.length)
    if not stats.evicted:
        yield part
    elif stats.cached and (pages := _pages(part)) > 1:
        half = pages // 2 * posix.PAGE_SIZE
        yield from _in_memory(target, Extent(part.offset, half, True))
        yield from _in_memory(target, Extent(part.offset + half, part.length - half, True))


def _frames(target: OpenObject, part: Extent) -> list[int]:
    """The page frames of a part. Raises ShmError, and OSError as `proc.frames` does."""
    address = posix.mmap(target.fd, part.length, posix.PROT_READ, part.offset, target.name)
    try:
        try:
            posix.populate(address, part.length, target.name)
        except ShmError as error:
            if error.errno != errno.EFAULT:  # another process has shrunk it since
                raise
        return proc.frames(address // posix.PAGE_SIZE, _pages(part))
    finally:
        posix.munmap(address, part.length, target.name)


def _pages(part: Extent) -> int:
    return -(-part.length // posix.PAGE_SIZE)
