"""Give an object its size, and the memory for it: ftruncate(2), posix_fallocate(3).

What makes an object larger here never makes it smaller, whatever others do to
its size at the same moment; and what is undone after a failure is what this
process did, and nothing else.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from shmctl.core import posix
from shmctl.core.errors import InputError, ShmError, notify
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.sizes import counted

if TYPE_CHECKING:
    from shmctl.core.size_change import Resize
_LONG = 1 << 20
Range = tuple[int, int]
"""Bytes of an object: offset and length."""


def set_size(target: OpenObject, old: int, new: int, reserve: bool, *, is_shared: bool = False) -> None:
    """Make an object of ``old`` bytes ``new`` ones long, and allocate them if ``reserve``.

    ``is_shared`` is as in `extend`.
    """
    if reserve and new:
        allocate(target, [(0, new)])
    elif new > old:
        extend(target, new, is_shared=is_shared)
    if new < old:
        posix.ftruncate(target.fd, new, target.name)


def extend(target: OpenObject, size: int, *, is_shared: bool = False) -> None:
    """Make an object at least ``size`` bytes long, with a hole where it can be had.

    ftruncate(2) would cut off what another process adds after the size was
    looked at. So it is called only while nobody else can have the object open,
    under the kernel's lease; otherwise the last byte is allocated, with the
    page around it, which never shrinks anything. ``is_shared`` says
    that the descriptor itself may be in use elsewhere, in another thread or a
    forked child: of that a lease knows nothing, and so it comes second.
    """
    if is_shared:
        try:
            posix.posix_fallocate(target.fd, size - 1, 1, target.name)
            return
        except ShmError as error:
            if error.errno != errno.ENOSPC:
                raise
    from shmctl.core.locking import alone_with

    with alone_with(target.fd, target.name) as alone:
        if alone:
            if target.stat().st_size < size:
                posix.ftruncate(target.fd, size, target.name)
            return
    posix.posix_fallocate(target.fd, size - 1, 1, target.name)


def end_at(target: OpenObject, size: int, end: int) -> None:
    """Cut an object of ``size`` bytes off at ``end``. Raises ShmError if it has been resized by another."""
    from shmctl.core.locking import alone_with

    with alone_with(target.fd, target.name):
        now = target.stat().st_size
        if now == size:
            posix.ftruncate(target.fd, end, target.name)
        elif now > end:
            has = counted(now, "byte")
            detail = f"another process has resized it to {has} meanwhile: it was not cut off at {end}"
            raise ShmError("ftruncate", target.name, errno.EBUSY, detail=detail)


class Growth:
    """What this process makes of an object's size, so that it can undo that and nothing else.

    It stores from byte ``offset`` on.
    """

    def __init__(self, target: OpenObject, offset: int) -> None:
        self._target = target
        self._offset = offset
        self._old = target.size
        # Where a signal comes in between, a call may or may not have done its work.
        self._least = self._most = target.size

    def expect(self, size: int) -> None:
        """A call follows that may make the object ``size`` bytes long, or a part of the way."""
        self._most = max(self._least, size)

    def settle(self, size: int) -> None:
        """The call has made it ``size`` bytes long, unless it was longer."""
        self._least = self._most = max(self._least, size)

    def attempt(self, size: int, action: Callable[[], None]) -> None:
        """Call what makes the object ``size`` bytes long, or fails and leaves it as it is."""
        self.expect(size)
        try:
            action()
        except ShmError:
            self._most = self._least
            raise
        self.settle(size)

    def undo(self) -> None:
        """Give the object its old size back, if all of it is still as this process left it.

        Linux has no call that truncates on a condition: so only under the kernel's lease, while nobody else
        has the object open. Otherwise its size stays, and that is said.
        """
        if self._most == self._old:
            return
        from shmctl.core.locking import alone_with

        target = self._target
        with alone_with(target.fd, target.name) as alone:
            now = target.stat().st_size
            is_ours = self._least <= now <= self._most and not self._is_used_before(now)
            if now > self._old and is_ours and alone:
                posix.ftruncate(target.fd, self._old, target.name)
                return
        if now > self._old:
            why = "others may have it open" if is_ours else "another process has changed it"
            notify(target.name, f"it stays {counted(now, 'byte')} long, up from {self._old}: {why}")

    def _is_used_before(self, end: int) -> bool:
        """Whether somebody has stored between the old end and what this process stores."""
        from shmctl.core.transfer import CHUNK, extents, pread

        target, length = self._target, min(self._offset, end) - self._old
        return any(
            pread(target.fd, min(CHUNK, start + size - at), at, target.name).strip(b"\0")
            for start, size, is_data in extents(target.fd, self._old, length, target.name)
            if is_data
            for at in range(start, start + size, CHUNK)
        )


@contextmanager
def growing(target: OpenObject, offset: int) -> Iterator[Growth]:
    """A record of what the body, which stores from ``offset`` on, makes of the size, undone when it fails.

    An object that was just made goes as a whole then.
    """
    growth = Growth(target, offset)
    try:
        yield growth
    except BaseException:
        if not target.created:
            growth.undo()
        raise


@contextmanager
def room(
    target: OpenObject,
    offset: int,
    length: int,
    *,
    grow: bool = False,
    exact: bool = False,
    only: Sequence[Range] | None = None,
) -> Iterator[None]:
    """See that ``length`` bytes at ``offset`` can be stored, before anything is.

    The object grows to fit if ``grow`` or ``exact`` says so, or if it was just
    made; the memory is allocated, so that a full /dev/shm is an error here.
    That is so for all of the bytes, or for the ranges ``only``, in order.
    After the body ``exact`` shrinks it to end with the data. When the body
    fails, the object has its old size again, unless others have come to use it.
    """
    end, old = offset + length, target.size
    if end > old and not (grow or exact or target.created):
        raise does_not_fit(target.name, offset, counted(length, "byte"), old)
    ranges = [(offset, length)] if only is None else only
    with growing(target, offset) as growth:
        if end > old and (only is not None or not length):
            growth.attempt(end, lambda: extend(target, end))
        growth.attempt(end, lambda: allocate(target, ranges))
        yield
    if exact and end < old:
        end_at(target, old, end)


def allocate(target: OpenObject, ranges: Sequence[Range]) -> None:
    """Allocate the memory that is missing in ``ranges``, which are in order, growing the object to hold them.

    Where there is none, nothing has been allocated: ENOSPC, and ENOMEM where a memory cgroup has no more.
    """
    amount = sum(length for _, length in ranges)
    if amount >= _LONG:
        missing = missing_in(target, ranges, amount)
        if missing:
            from shmctl.core.cgroup import check_allowance

            check_allowance(missing, target.name)
        elif sum(ranges[-1]) <= target.stat().st_size:
            return
        if len(ranges) > 1 and missing > posix.free_space(target.fd, target.name):
            # One call for all of it fails as a whole.
            ranges = [(ranges[0][0], sum(ranges[-1]) - ranges[0][0])]
    for offset, length in ranges:
        if length:
            posix.posix_fallocate(target.fd, offset, length, target.name)


def missing_in(target: OpenObject, ranges: Sequence[Range], amount: int) -> int:
    """How many bytes of the ranges, ``amount`` in all, have no memory yet, at most."""
    st = target.stat()
    if not st.st_blocks:
        return amount
    from shmctl.core.transfer import extents

    unallocated = max(0, max(st.st_size, sum(ranges[-1])) - st.st_blocks * 512)
    if not unallocated:
        return 0
    holes = 0
    for offset, length in ranges:
        there = max(0, min(offset + length, st.st_size) - offset)
        holes += length - there
        with suppress(ShmError):  # it has been shrunk
            holes += sum(e.length for e in extents(target.fd, offset, there, target.name) if not e.is_data)
    return min(holes, unallocated)


def does_not_fit(name: Name, offset: int, amount: str, size: int) -> ShmError:
    """The error for data that would reach past the end of an object of ``size`` bytes."""
    do = "does" if amount == "1 byte" else "do"
    detail = f"{amount} at offset {offset} {do} not fit in its {counted(size, 'byte')}"
    return ShmError("write", name, errno.EFBIG, detail=detail, hint="--grow extends the object to fit")


def resize(name: Name, change: "Resize", directory: Directory = DEV_SHM) -> tuple[int, int]:
    """Grow an object with zeros, or shrink it: ftruncate(2). Returns its old and new size in bytes."""
    with opened(name, os.O_RDWR, directory) as target:
        try:
            new = change.apply(target.size)
        except InputError as error:
            raise ShmError("ftruncate", name, errno.EFBIG, detail=str(error)) from None
        if new > target.size:
            extend(target, new)
        else:
            posix.ftruncate(target.fd, new, name)
        return target.size, new
