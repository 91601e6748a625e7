"""Events of a directory: inotify(7), which Python's standard library lacks.

Four calls are not worth a dependency.
"""

import ctypes
import os
import struct
from collections.abc import Iterator

from shmctl.core.libc import libc

CREATE, DELETE, MOVED_FROM, MOVED_TO = 0x100, 0x200, 0x40, 0x80
_EVENT = struct.Struct("iIII")
_BUFFER_SIZE = 65536


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


def read_names(fd: int) -> Iterator[bytes]:
    """Yield the names of pending events; an empty name is the directory itself, or lost events."""
    try:
        data = os.read(fd, _BUFFER_SIZE)
    except BlockingIOError:
        return
    offset = 0
    while offset < len(data):
        _, _, _, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size
        yield data[offset : offset + length].rstrip(b"\0")
        offset += length
