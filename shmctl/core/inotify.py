"""Events of a directory: inotify(7), which Python's standard library lacks.

Four calls are not worth a dependency.
"""

import ctypes
import os
import struct
from collections.abc import Iterator

from shmctl.core.libc import libc

# fanotify(7) has the same bits.
MODIFY, ATTRIB, CLOSE_WRITE, CLOSE_NOWRITE, OPEN = 0x2, 0x4, 0x8, 0x10, 0x20
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
UNMOUNTED, OVERFLOW, IGNORED = 0x2000, 0x4000, 0x8000
EXCLUDE_UNLINKED, IS_DIRECTORY = 0x4000000, 0x40000000
_EVENT = struct.Struct("iIII")
_BUFFER_SIZE = 1 << 18


def open_watch(path: bytes, mask: int) -> int:
    """Return a descriptor that is readable after an event of ``mask`` in the directory. Raises OSError."""
    fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    if libc.inotify_add_watch(fd, path, mask) < 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise OSError(number, "inotify_add_watch")
    return int(fd)


def read_events(fd: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield pending events: mask, cookie of a rename, and name; empty for the directory itself."""
    try:
        data = os.read(fd, _BUFFER_SIZE)
    except BlockingIOError:
        return
    offset = 0
    while offset < len(data):
        _, mask, cookie, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size
        yield mask, cookie, data[offset : offset + length].rstrip(b"\0")
        offset += length


def read_names(fd: int) -> Iterator[bytes]:
    """Yield the names of pending events; an empty name is the directory itself, or lost events."""
    return (name for _, _, name in read_events(fd))
