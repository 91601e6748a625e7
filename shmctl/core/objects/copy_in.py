"""Copy streams into objects, with the calls that cannot die of SIGBUS."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from shmctl.core import transfer
from shmctl.core.errors import ShmError, failing_as
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.resize import Growth, Range, does_not_fit, end_at, growing, missing_in, room
from shmctl.core.objects.write import Fit, check_range
from shmctl.core.polling import readable_within
from shmctl.core.sizes import OFF_T_MAX, counted
from shmctl.core.transfer import CHUNK, SENDFILE_COUNT, WIDE_PIPE, Extent, Progress

_FARTHEST_LOOK = 64 << 20


class Source(NamedTuple):
    """An open descriptor to read from, its name for messages, and how many bytes to take at most."""

    fd: int
    name: bytes
    length: int | None = None

    def read_into(self, buffer: memoryview) -> int:
        """Up to a buffer full: readv(2). Returns the bytes read, 0 at the end."""
        if not buffer:
            return 0
        with failing_as("read", self.name):
            readable_within(self.fd, None)  # in a read that waits, a signal just before it would go unseen
            return os.readv(self.fd, [buffer])

    def fill(self, buffer: memoryview) -> int:
        """Read until the buffer is full, or the end or ``length`` is reached. Returns the bytes read."""
        wanted = len(buffer) if self.length is None else min(self.length, len(buffer))
        got = 0
        while got < wanted:
            count = self.read_into(buffer[got:wanted])
            if not count:
                break
            got += count
        return got

    def amount(self, already: int) -> int | None:
        """How many bytes it gives in all, ``already`` read ones included; None where nothing can tell."""
        with failing_as("fstat", self.name):
            st = os.fstat(self.fd)
        if not stat.S_ISREG(st.st_mode):
            return None
        with failing_as("lseek", self.name):
            total = already + max(0, st.st_size - os.lseek(self.fd, 0, os.SEEK_CUR))
        return total if self.length is None else min(total, self.length)

    def data(self, already: int, amount: int) -> list[Range] | None:
        """The (offset, length) ranges of data in a file's ``amount`` bytes; None where there is no hole.

        Offsets count from the ``already`` read bytes on. As cp(1) does, only a file that has fewer blocks
        than bytes is looked through.
        """
        with failing_as("lseek", self.name):
            st = os.fstat(self.fd)
            if not stat.S_ISREG(st.st_mode) or st.st_blocks * 512 >= st.st_size:
                return None
            now = os.lseek(self.fd, 0, os.SEEK_CUR)
            try:
                found = list(self._data(now - already, now - already + amount))
            finally:
                os.lseek(self.fd, now, os.SEEK_SET)
        return None if found == [(0, amount)] else found

    def _data(self, begin: int, end: int) -> Iterator[Range]:
        at = begin
        try:
            while at < end and (start := os.lseek(self.fd, at, os.SEEK_DATA)) < end:
                at = min(os.lseek(self.fd, start, os.SEEK_HOLE), end)
                yield start - begin, at - start
        except OSError as error:
            if error.errno == errno.EINVAL:  # its file system does not tell
                yield at - begin, end - at
            elif error.errno != errno.ENXIO:
                raise


def copy_in(
    target: OpenObject, offset: int, source: Source, fit: Fit, progress: Progress = lambda _: None
) -> int:
    """Store what ``source`` gives at ``offset``. Returns the bytes stored.

    Where the amount can be known first (a regular file, or a short stream)
    and does not fit, nothing is stored. A file's bytes are copied inside the
    kernel, and others go through one buffer and pwrite(2): calls that stop
    where a mapping would die of SIGBUS. Where a file has a hole, the object
    takes no memory either. ``progress`` is called with the bytes stored so far.
    """
    buffer = memoryview(bytearray(WIDE_PIPE))
    ready = source.fill(buffer[:CHUNK])
    pump = _Pump(target, offset, source, buffer, progress)
    amount = ready if ready < CHUNK else source.amount(ready)
    if amount is None:
        return _copy_stream(pump, ready, fit)
    check_range(target.name, offset, amount)
    data = source.data(ready, amount)
    if data is None:
        with room(target, offset, amount, grow=fit.grow, exact=fit.exact):
            # More than what has been read can be known to come from a file only.
            return pump.run(ready, amount, is_file=amount > ready)
    # Now, while what is about to be allocated for the data does not have to be searched through.
    there = max(0, min(amount, target.stat().st_size - offset))
    stale = [e for e in transfer.extents(target.fd, offset, there, target.name) if e.is_data]
    only = [(offset + start, length) for start, length in data]
    with room(target, offset, amount, grow=fit.grow, exact=fit.exact, only=only):
        return pump.run_sparsely(data, stale, ready, amount)


def _copy_stream(pump: "_Pump", ready: int, fit: Fit) -> int:
    """Store a stream whose length nothing tells, as far as it fits. Returns the bytes stored."""
    target, offset, source = pump.target, pump.offset, pump.source
    may_grow = fit.grow or fit.exact or target.created
    available = (OFF_T_MAX if may_grow else max(target.size, offset)) - offset
    transfer.widen_pipe(source.fd, OFF_T_MAX if source.length is None else source.length)
    if ready > available:
        raise does_not_fit(target.name, offset, f"at least {counted(ready, 'byte')}", offset + available)
    with growing(target, offset) as pump.growth:
        wanted = available if source.length is None else min(source.length, available)
        stored = pump.run(ready, wanted)
        if stored == available != source.length and source.read_into(pump.buffer[:1]):
            excess = f"more than {counted(stored, 'byte')} (so much was stored)"
            raise does_not_fit(target.name, offset, excess, offset + available)
        if fit.exact and target.size > offset + stored:
            end_at(target, target.size, offset + stored)
    return stored


class _Pump:
    """One copy from a source into an object; ``growth`` records what it makes of the object's size."""

    def __init__(
        self, target: OpenObject, offset: int, source: Source, buffer: memoryview, progress: Progress
    ) -> None:
        self.target = target
        self.offset = offset
        self.source = source
        self.buffer = buffer
        self.growth: Growth | None = None
        self._progress = progress
        self._stored = 0
        self._looked_to = 0

    def run(self, ready: int, wanted: int, *, is_file: bool = False) -> int:
        """Store the buffer's ``ready`` bytes, then go on until ``wanted`` are stored or the source ends."""
        while ready and self._stored < wanted:
            self._store(self.buffer[: min(ready, wanted - self._stored)])
            self._progress(self._stored)
            if is_file:
                self._send(wanted)
                is_file = False
            ready = self.source.read_into(self.buffer[: wanted - self._stored])
        return self._stored

    def run_sparsely(self, data: list[Range], stale: list[Extent], ready: int, amount: int) -> int:
        """Store a file's ranges of ``data``, of which ``ready`` bytes have been read, and zeros between them.

        Zeros go only where the object has had other data, ``stale``, in order: a hole stays one.
        """
        stale.reverse()
        with failing_as("lseek", self.source.name):
            begin = os.lseek(self.source.fd, 0, os.SEEK_CUR) - ready
        for start, length in [*data, (amount, 0)]:
            self._store_zeros(start, stale)
            with failing_as("lseek", self.source.name):
                os.lseek(self.source.fd, begin + start, os.SEEK_SET)
            self._send(start + length)
            # Nothing is left, unless the kernel could not do it, or somebody has made the file shorter.
            self.run(self.source.read_into(self.buffer[: start + length - self._stored]), start + length)
            if self._stored < start + length:
                break
        return self._stored

    def _store_zeros(self, end: int, stale: list[Extent]) -> None:
        """Go on to byte ``end``, with zeros where the object is ``stale``, which is in reverse order."""
        begin, stop = self.offset + self._stored, self.offset + end
        while stale and stale[-1].offset < stop:
            extent = stale.pop()
            behind = extent.offset + extent.length
            if behind > stop:
                stale.append(Extent(stop, behind - stop, True))
            for at in range(max(begin, extent.offset), min(behind, stop), CHUNK):
                self._stored = at - self.offset
                self._store(memoryview(bytes(min(CHUNK, behind - at, stop - at))))
        self._stored = end

    def _send(self, wanted: int) -> None:
        """Copy inside the kernel, as far as that goes: for what is left, a read or a store says why."""
        target = self.target
        transfer.seek(target.fd, self.offset + self._stored, target.name)
        count = 1
        with suppress(OSError):
            while count and self._stored < wanted:
                size = min(SENDFILE_COUNT, wanted - self._stored)
                count = transfer.sendfile(target.fd, self.source.fd, None, size, target.name)
                self._stored += count
                self._progress(self._stored)

    def _store(self, data: memoryview) -> None:
        while data:
            begin = self.offset + self._stored
            if self.growth:
                self._look_ahead(begin)
                self.growth.expect(begin + len(data))
            count = self._pwrite(data, begin)
            if self.growth:
                self.growth.settle(begin + count)
            self._stored += count
            data = data[count:]

    def _look_ahead(self, offset: int) -> None:
        """Now and then, see that a memory cgroup lets the stream go on; the more often, the less is left."""
        if offset < self._looked_to:
            return
        from shmctl.core import cgroup

        allowance = cgroup.spare()
        if allowance.left < WIDE_PIPE:
            missing = missing_in(self.target, [(offset, WIDE_PIPE)], WIDE_PIPE)
            if missing > allowance.left:
                raise cgroup.exceeded(missing, allowance, self.target.name)
        self._looked_to = offset + max(WIDE_PIPE, int(min(_FARTHEST_LOOK, allowance.left // 4)))

    def _pwrite(self, data: memoryview, offset: int) -> int:
        try:
            return transfer.pwrite(self.target.fd, data, offset, self.target.name)
        except ShmError as error:
            what = "No space left on /dev/shm" if error.errno == errno.ENOSPC else error.strerror
            detail = f"{what} after {counted(self._stored, 'byte')}"
            raise ShmError("pwrite", self.target.name, error.errno or errno.EIO, detail=detail) from None
