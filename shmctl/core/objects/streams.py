"""Copy streams into objects and out of them, with the calls that cannot die of SIGBUS."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from shmctl.core import posix, transfer
from shmctl.core.errors import STANDARD_OUTPUT, FileError, ShmError, failing_as
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.resize import does_not_fit, room
from shmctl.core.objects.write import Fit, check_range
from shmctl.core.sizes import OFF_T_MAX
from shmctl.core.transfer import CHUNK, SENDFILE_COUNT, WIDE_PIPE

Progress = Callable[[int], None]


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


def copy_in(
    target: OpenObject, offset: int, source: Source, fit: Fit, progress: Progress = lambda _: None
) -> int:
    """Store what ``source`` gives at ``offset``. Returns the bytes stored.

    Where the amount can be known first (a regular file, or a short stream)
    and does not fit, nothing is stored. A file's bytes are copied inside the
    kernel, and others go through one buffer and pwrite(2): calls that stop
    where a mapping would die of SIGBUS. ``progress`` is told the bytes stored
    so far.
    """
    buffer = memoryview(bytearray(WIDE_PIPE))
    ready = source.fill(buffer[:CHUNK])
    pump = _Pump(target, offset, source, buffer, progress)
    amount = ready if ready < CHUNK else source.amount(ready)
    if amount is not None:
        check_range(target.name, offset, amount)
        with room(target, offset, amount, grow=fit.grow, exact=fit.exact):
            # More than what has been read can be known to come from a file only.
            return pump.run(ready, amount, is_file=amount > ready)
    transfer.widen_pipe(source.fd, OFF_T_MAX if source.length is None else source.length)
    with _open_end(target, offset, fit) as available:
        if ready > available:
            raise does_not_fit(target.name, offset, f"at least {ready} bytes", offset + available)
        wanted = available if source.length is None else min(source.length, available)
        stored = pump.run(ready, wanted)
        if stored == available != source.length and source.read_into(buffer[:1]):
            excess = f"more than {stored} bytes (the first {stored} were stored)"
            raise does_not_fit(target.name, offset, excess, offset + available)
        if fit.exact and target.size > offset + stored:
            posix.ftruncate(target.fd, offset + stored, target.name)
    return stored


@contextmanager
def _open_end(target: OpenObject, offset: int, fit: Fit) -> Iterator[int]:
    """How many bytes of a stream of unknown length may be stored.

    When the body fails, an object that has grown gets its old size back.
    """
    old = target.size
    may_grow = fit.grow or fit.exact or target.created
    try:
        yield (OFF_T_MAX if may_grow else max(old, offset)) - offset
    except BaseException:
        if may_grow and target.stat().st_size > old:
            posix.ftruncate(target.fd, old, target.name)
        raise


class _Pump:
    """One copy from a source into an object."""

    def __init__(
        self, target: OpenObject, offset: int, source: Source, buffer: memoryview, progress: Progress
    ) -> None:
        self._target = target
        self._offset = offset
        self._source = source
        self._buffer = buffer
        self._progress = progress
        self._stored = 0

    def run(self, ready: int, wanted: int, *, is_file: bool = False) -> int:
        """Store the buffer's ``ready`` bytes, then go on until ``wanted`` are stored or the source ends."""
        while ready and self._stored < wanted:
            self._store(self._buffer[: min(ready, wanted - self._stored)])
            self._progress(self._stored)
            if is_file:
                self._send(wanted)
                is_file = False
            ready = self._source.read_into(self._buffer[: wanted - self._stored])
        return self._stored

    def _send(self, wanted: int) -> None:
        """Copy inside the kernel, as far as that goes: for what is left, a read or a store says why."""
        target = self._target
        transfer.seek(target.fd, self._offset + self._stored, target.name)
        count = 1
        with suppress(OSError):
            while count and self._stored < wanted:
                size = min(SENDFILE_COUNT, wanted - self._stored)
                count = transfer.sendfile(target.fd, self._source.fd, None, size, target.name)
                self._stored += count
                self._progress(self._stored)

    def _store(self, data: memoryview) -> None:
        while data:
            try:
                count = transfer.pwrite(self._target.fd, data, self._offset + self._stored, self._target.name)
            except ShmError as error:
                what = "No space left on /dev/shm" if error.errno == errno.ENOSPC else error.strerror
                detail = f"{what} after {self._stored} bytes"
                number = error.errno or errno.EIO
                raise ShmError("pwrite", self._target.name, number, detail=detail) from error
            self._stored += count
            data = data[count:]


def copy_out(
    target: OpenObject,
    offset: int,
    length: int,
    out_fd: int,
    progress: Progress = lambda _: None,
    *,
    by_reference: bool = True,
) -> None:
    """Copy ``length`` bytes at ``offset`` to a descriptor, inside the kernel where it can: sendfile(2).

    That fills a pipe with references to the object's own pages, so that a
    reader may see what is stored later; without ``by_reference`` it cannot.

    Raises ShmError for the output's errors and for an object that has shrunk,
    BrokenPipeError for a reader that went away. ``progress`` is told the
    bytes copied so far.
    """
    copy_some = transfer.sendfile if by_reference else _read_and_write
    transfer.widen_pipe(out_fd, length)
    copied = 0
    while copied < length:
        wanted = min(SENDFILE_COUNT, length - copied)
        try:
            count = copy_some(out_fd, target.fd, offset + copied, wanted, target.name)
        except (BrokenPipeError, ShmError):
            raise
        except OSError as error:
            if copy_some is transfer.sendfile and error.errno in (errno.EINVAL, errno.ENOSYS):
                # An output opened for appending, or one that is no file, pipe or socket.
                copy_some = _read_and_write
                continue
            detail = f"{error.strerror} after {copied} of {length} bytes"
            raise FileError("write", STANDARD_OUTPUT, error.errno or errno.EIO, detail=detail) from error
        if not count:
            detail = f"another process shrank it: {copied} of {length} bytes were read"
            raise ShmError("sendfile", target.name, errno.EIO, detail=detail)
        copied += count
        progress(copied)


def _read_and_write(out_fd: int, fd: int, offset: int, count: int, name: Name) -> int:
    data = memoryview(transfer.pread(fd, min(count, CHUNK), offset, name))
    written = 0
    while written < len(data):
        written += os.write(out_fd, data[written:])
    return written
