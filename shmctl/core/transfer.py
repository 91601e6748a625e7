"""Calls that copy data without a mapping, and find holes: sendfile(2), pread(2), lseek(2)."""

import errno
import fcntl
import os
from contextlib import suppress

from shmctl.core import tracing
from shmctl.core.errors import ShmError
from shmctl.core.names import Name
from shmctl.core.tracing import call, trace_failure

CHUNK = 256 * 1024
"""Bytes that are looked at, or go through a mapping, at a time: they stay in the processor's cache."""

SENDFILE_COUNT = 16 << 20
"""Bytes that the kernel is asked to copy at a time; in between, signals and progress have their turn."""

WIDE_PIPE = 1 << 20
"""What a pipe may hold by everybody's wish, unless the administrator says otherwise (pipe(7))."""


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
    """Where the next hole, or the end, begins, at or after ``offset``: lseek(2), SEEK_HOLE."""
    return call(
        "lseek", name, lambda: os.lseek(fd, offset, os.SEEK_HOLE), lambda _: f"{fd}, {offset}, SEEK_HOLE"
    )


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
        tracing.emit(f"sendfile({out_fd}, {fd}, {place}, {count}) = {copied}")
    return copied


def widen_pipe(fd: int, amount: int) -> None:
    """Let a pipe that ``amount`` bytes are to go through hold more of them: F_SETPIPE_SZ in fcntl(2).

    The two processes at its ends then wait for each other less often. Where
    that may not be, or ``fd`` is no pipe, all goes on as it was.
    """
    with suppress(OSError):
        if fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ) < min(amount, WIDE_PIPE):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, WIDE_PIPE)
