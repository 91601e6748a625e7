"""Calls that copy between objects and descriptors without a mapping, and find what there is to copy."""

import errno
import os

from shmctl.core import tracing
from shmctl.core.errors import ShmError
from shmctl.core.names import Name
from shmctl.core.tracing import call, trace_failure


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


def sendfile(out_fd: int, fd: int, offset: int, count: int, name: Name) -> int:
    """Copy up to ``count`` bytes at ``offset`` to ``out_fd`` inside the kernel: sendfile(2).

    Returns the bytes copied.

    Raises the plain OSError: whose fault it was, the object's or the
    output's, only the caller can tell.
    """

    def arguments() -> str:
        return f"{out_fd}, {fd}, [{offset}], {count}"

    try:
        copied = os.sendfile(out_fd, fd, offset, count)
    except OSError as error:
        trace_failure("sendfile", error.errno or errno.EIO, arguments)
        raise
    if tracing.is_tracing():
        tracing.emit(f"sendfile({out_fd}, {fd}, [{offset}] => [{offset + copied}], {count}) = {copied}")
    return copied
