"""Where an object's bytes are: data and holes, page cache, swap, and what its holders have mapped.

Nothing here allocates a page or brings one back from swap: a hole stays a hole. Time and memory have bounds,
whatever the object is like; what lies beyond them, or is refused, is named in `Pages.unknown`.
"""

import errno
import os
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from shmctl.core import posix, proc, transfer
from shmctl.core.errors import ShmError
from shmctl.core.inspect.charges import MOST, Charge, find_charges
from shmctl.core.inspect.holders import Holder
from shmctl.core.models import FileStat, ObjectInfo
from shmctl.core.objects.describe import is_same
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.sizes import human_size
from shmctl.core.transfer import Extent

CELLS = 60
"""How many parts of equal length the map has."""
HOLE, PARTLY, DATA = ".", "+", "#"
"""A part of the map: nothing in it, some of it, or all of it is data."""

MOST_EXTENTS = 100_000
# The kernel takes some 25 ms to go through the pages of a GiB, and cannot be interrupted meanwhile.
_MOST_PAGED = 16 << 30
_MOST_HOLDERS = 64
_SECONDS_FOR_HOLDERS = 2.0


class Mapped(NamedTuple):
    """What a holder has of an object in its page tables, in bytes; ``nodes`` by NUMA node, where told."""

    pid: int
    command: str
    resident: int
    dirty: int
    huge: int
    nodes: dict[int, int] | None


class Pages(NamedTuple):
    """Where an object's bytes are.

    ``extents`` are those that are data (SEEK_DATA), in order; ``complete`` is
    false where there may be more. ``cached`` and ``swapped`` are in bytes of
    whole pages; they, ``charged`` (to which control groups), and ``map``, a letter for each of CELLS
    parts, are None where they are not known. ``unknown`` says what could not, and why.
    """

    size: int
    allocated: int
    extents: list[Extent]
    complete: bool
    map: str | None
    cached: int | None
    swapped: int | None
    charged: list[Charge] | None
    mapped: list[Mapped]
    unknown: list[str]

    @property
    def data(self) -> int | None:
        """Bytes that are data; None if they were not all looked at."""
        return sum(extent.length for extent in self.extents) if self.complete else None

    @property
    def reserved(self) -> int | None:
        """Bytes allocated that are no data: posix_fallocate(3), or a page that goes on beyond the end."""
        if not self.complete:
            return None
        return max(0, self.allocated - sum(_whole_pages(extent.length) for extent in self.extents))


def find_pages(info: ObjectInfo, holders: Sequence[Holder]) -> Pages:
    """Look at an object, and at what ``holders`` have of it."""
    unknown: list[str] = []
    found = Pages(info.size, info.allocated, [], False, None, None, None, None, [], unknown)
    try:
        with opened(info.name, os.O_RDONLY, info.directory) as target:
            st = target.stat()
            if is_same(st, info.st):
                found = _look(target, st, unknown)
            else:
                unknown.append("all but the metadata: another object has taken the name")
    except ShmError as error:
        unknown.append(f"data, holes, page cache, swap: {error.detail or error.strerror} ({error.symbol})")
    return found._replace(mapped=_mapped(info, holders, unknown))


def _look(target: OpenObject, st: FileStat, unknown: list[str]) -> Pages:
    size, allocated = st.st_size, st.st_blocks * 512
    large = allocated > _MOST_PAGED
    extents: list[Extent] = []
    complete = False
    if large:
        unknown.append(f"extents: with over {_MOST_PAGED >> 30} GiB allocated, finding them takes too long")
    else:
        extents, complete = _extents(target, size)
        if not complete:
            unknown.append(f"extents: there are more than {MOST_EXTENTS}")
    cached, swapped = _cached_and_swapped(target, st, large)
    if cached is None:
        unknown.append("page cache, swap: cachestat(2) and mmap(2) are refused")
    cells = "".join(_cells(target, size, large)) if size else None
    found = Pages(size, allocated, extents, complete, cells, cached, swapped, None, [], unknown)
    return found._replace(charged=_charged(target, found))


def _charged(target: OpenObject, pages: Pages) -> list[Charge] | None:
    try:
        found = find_charges(target, pages.extents, pages.swapped)
    except OSError as error:
        symbol = errno.errorcode.get(error.errno or 0)
        pages.unknown.append(f"who is charged: {os.strerror(error.errno or 0)} ({symbol})")
        return None
    left = pages.allocated - sum(each.size for each in found)
    if left > 0:
        why = f"it is reserved, in swap, or beyond the first {human_size(MOST)} of data"
        pages.unknown.append(f"who is charged for {human_size(left)}: {why}")
    return found


def _extents(target: OpenObject, size: int) -> tuple[list[Extent], bool]:
    """The first MOST_EXTENTS that are data, and whether those are all."""
    found: list[Extent] = []
    for extent in transfer.extents(target.fd, 0, size, target.name):
        if extent.is_data:
            if len(found) == MOST_EXTENTS:
                return found, False
            found.append(extent)
    return found, True


def _cells(target: OpenObject, size: int, large: bool) -> Iterator[str]:
    """The letters of the map; of a ``large`` object only the beginning of each part is looked at."""
    hole = 0  # where the data that was seen last ends
    for number in range(CELLS):
        start = size * number // CELLS
        end = max(size * (number + 1) // CELLS, start + 1)
        data = start if start < hole else transfer.seek_data(target.fd, start, target.name)
        if data is None or data >= end:
            yield HOLE
            continue
        if data >= hole:
            hole = end if large else transfer.seek_hole(target.fd, data, target.name)
        yield DATA if data == start and hole >= end else PARTLY


def _cached_and_swapped(target: OpenObject, st: FileStat, large: bool) -> tuple[int | None, int | None]:
    """Bytes in page cache and in swap.

    A mapping of our own shows the swap without a load from it. Without
    cachestat(2), which is Linux 6.5's and for who may write, what is
    allocated and not in swap is in the page cache.
    """
    stats = None
    if not large:
        try:
            stats = posix.cachestat(target.fd, target.name)
        except ShmError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP):
                raise
    swapped = _swapped(target, st.st_size)
    if swapped is None:
        swapped = None if stats is None else stats.evicted
    if stats is not None:
        return stats.cached, swapped
    return None if swapped is None else max(0, st.st_blocks * 512 - swapped), swapped


def _swapped(target: OpenObject, size: int) -> int | None:
    if size == 0:
        return 0
    try:
        address = posix.mmap(target.fd, size, posix.PROT_READ, 0, target.name)
        try:
            return proc.page_counts(None, {address}, float("inf")).swapped
        finally:
            posix.munmap(address, size, target.name)
    except OSError:
        return None  # it is larger than the address space, or there is no /proc


def _mapped(info: ObjectInfo, holders: Sequence[Holder], unknown: list[str]) -> list[Mapped]:
    """What the holders have in their page tables, the largest mapping first."""
    mapping = sorted((each for each in holders if each.mapped), key=lambda each: -each.mapped)
    if not mapping:
        unknown.append("dirty pages, huge pages, NUMA nodes: no process that is visible from here maps it")
    deadline = time.monotonic() + _SECONDS_FOR_HOLDERS
    left = _MOST_PAGED
    found: list[Mapped] = []
    refused: list[proc.Uninspected] = []
    for holder in mapping[:_MOST_HOLDERS]:
        try:
            left -= proc.resident(holder.pid)
            if left < 0 or time.monotonic() > deadline:
                break
            found += [_mapped_by(holder, info, deadline)]
        except OSError as error:
            refused.append(proc.Uninspected(holder.pid, error.errno or errno.EIO))
    if refused:
        unknown.append(f"what holders map: {proc.uninspected_text(refused)}")
    if more := len(mapping) - len(found) - len(refused):
        unknown.append(f"what {more} more of {len(mapping)} holders map: finding it takes too long")
    return found


def _mapped_by(holder: Holder, info: ObjectInfo, deadline: float) -> Mapped:
    assert holder.first_mapping is not None  # noqa: S101 - it has a mapping
    thread = holder.first_mapping[0]
    identity = (info.st.st_dev, info.st.st_ino)
    starts = {each[0] for each in proc.mappings(thread, {identity[0]}) if _identity(each) == identity}
    counts = proc.page_counts(thread, starts, deadline)
    return Mapped(
        holder.pid,
        holder.command,
        counts.resident,
        counts.dirty,
        counts.huge,
        proc.pages_by_node(thread, starts, deadline),
    )


def _identity(mapping: proc.Mapping) -> tuple[int, int]:
    _, _, _, major, minor, inode = mapping
    return os.makedev(major, minor), inode


def _whole_pages(length: int) -> int:
    return -(-length // posix.PAGE_SIZE) * posix.PAGE_SIZE
