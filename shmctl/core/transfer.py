"""Calls that copy data without a mapping, and find holes: sendfile(2), pread(2), lseek(2)."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from shmctl.core import tracing
from shmctl.core.errors import ShmError, shrunk
from shmctl.core.names import Name
from shmctl.core.posix import fstat
from shmctl.core.tracing import call, trace_failure

CHUNK = 256 * 1024
"""Bytes that are looked at, or go through a mapping, at a time: they stay in the processor's cache."""

SENDFILE_COUNT = 16 << 20
"""Bytes that the kernel is asked to copy at a time; in between, signals and progress have their turn."""

WIDE_PIPE = 1 << 20
"""What a pipe may hold by everybody's wish, unless the administrator says otherwise (pipe(7))."""

Progress = Callable[[int], None]
"""Is called with the bytes copied so far."""


class Extent(NamedTuple):
    """``length`` bytes from byte ``offset`` on that are all data, or all a hole."""

    offset: int
    length: int
    is_data: bool


def seek(fd: int, offset: int, name: Name) -> None:
    """Set the place that calls without an offset of their own go on from: lseek(2), SEEK_SET."""
    call("lseek", name, lambda: os.lseek(fd, offset, os.SEEK_SET), lambda _: f"{fd}, {offset}, SEEK_SET")


def seek_data(fd: int, offset: int, name: Name) -> int | None:
    """Where data begins, at or after ``offset``; None if only a hole follows: lseek(2), SEEK_DATA."""
    try:
        return call(
            "lseek", name, lambda: os.lseek(fd, offset, os.SEEK_DATA), lambda _: f"{fd}, {offset}, SEEK_DATA"
        )
    except ShmError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def seek_hole(fd: int, offset: int, name: Name) -> int:
    """Where the next hole, or the end, begins, at or after ``offset``: lseek(2), SEEK_HOLE.

    Raises ShmError where the object ends before ``offset`` by now.
    """
    try:
        return call(
            "lseek", name, lambda: os.lseek(fd, offset, os.SEEK_HOLE), lambda _: f"{fd}, {offset}, SEEK_HOLE"
        )
    except ShmError as error:
        if error.errno == errno.ENXIO:
            raise shrunk("lseek", name) from None
        raise


def extents(fd: int, offset: int, length: int, name: Name) -> Iterator[Extent]:
    """The range in order, as stretches of data and holes. Raises ShmError where the object ends within it."""
    end = offset + length
    while offset < end:
        data = seek_data(fd, offset, name)
        data = end if data is None else min(data, end)
        if data > offset:
            if fstat(fd, name).st_size < data:
                raise shrunk("lseek", name)  # past the end it looks like a hole, too
            yield Extent(offset, data - offset, False)
        if data < end:
            hole = min(seek_hole(fd, data, name), end)
            yield Extent(data, hole - data, True)
            data = hole
        offset = data


def pread(fd: int, length: int, offset: int, name: Name) -> bytes:
    """Up to ``length`` bytes at ``offset``, without a mapping: pread(2)."""
    return call(
        "pread",
        name,
        lambda: os.pread(fd, length, offset),
        lambda _: f"{fd}, ..., {length}, {offset}",
    )


def pwrite(fd: int, data: memoryview, offset: int, name: Name) -> int:
    """Store up to all of ``data`` at ``offset``, without a mapping: pwrite(2). Returns the bytes stored."""
    return call(
        "pwrite",
        name,
        lambda: os.pwrite(fd, data, offset),
        lambda _: f"{fd}, ..., {len(data)}, {offset}",
    )


def sendfile(out_fd: int, fd: int, offset: int | None, count: int, name: Name) -> int:
    """Copy up to ``count`` bytes at ``offset`` to ``out_fd`` inside the kernel: sendfile(2).

    Without an ``offset`` the bytes come from where ``fd`` stands, which moves
    on. Returns the bytes copied.

    Raises the plain OSError: whose fault it was, the input's or the output's,
    only the caller can tell.
    """

    def arguments() -> str:
        place = "NULL" if offset is None else f"[{offset}]"
        return f"{out_fd}, {fd}, {place}, {count}"

    try:
        copied = os.sendfile(out_fd, fd, offset, count)
    except OSError as error:
        trace_failure("sendfile", error.errno or errno.EIO, arguments)
        raise
    if tracing.is_tracing():
        place = "NULL" if offset is None else f"[{offset}] => [{offset + copied}]"
        tracing.sent_to(out_fd)
        tracing.emit(f"sendfile({out_fd}, {fd}, {place}, {count}) = {copied}")
    return copied


def copy_file_range(fd: int, out_fd: int, offset: int, count: int, name: Name) -> int:
    """Copy up to ``count`` bytes at ``offset`` to the same offset of ``out_fd``: copy_file_range(2).

    Returns the bytes copied, 0 at the end of the file.
    """
    return call(
        "copy_file_range",
        name,
        lambda: os.copy_file_range(fd, out_fd, count, offset, offset),
        lambda _: f"{fd}, [{offset}], {out_fd}, [{offset}], {count}, 0",
    )


def appends(fd: int) -> bool:
    """Whether all that is written to ``fd`` goes to the end of its file: F_GETFL in fcntl(2)."""
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND)


def widen_pipe(fd: int, amount: int) -> None:
    """Let a pipe that ``amount`` bytes are to go through hold more of them: F_SETPIPE_SZ in fcntl(2).

    The two processes at its ends then wait for each other less often. Where
    that may not be, or ``fd`` is no pipe, all goes on as it was.
    """
    with suppress(OSError):
        if fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) < min(amount, WIDE_PIPE):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, WIDE_PIPE)
