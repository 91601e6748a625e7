"""Events of a directory with the process that caused each: fanotify(7). It takes CAP_SYS_ADMIN."""

import ctypes
import os
import struct
from typing import NamedTuple

from shmctl.core.libc import libc

_CLOEXEC, _NONBLOCK = 0x1, 0x2
_REPORT_PIDFD, _REPORT_FID, _REPORT_NAMES, _REPORT_TARGET = 0x80, 0x200, 0xC00, 0x1000
# With the object's own identity, events of two objects of one name are never merged.
_REPORTS = (
    _REPORT_NAMES | _REPORT_FID | _REPORT_TARGET | _REPORT_PIDFD,  # Linux 5.17
    _REPORT_NAMES | _REPORT_PIDFD,  # Linux 5.15
)
_MARK_ADD, _ON_CHILDREN = 0x1, 0x08000000
_EVENT = struct.Struct("=IBBHQii")
_INFO = struct.Struct("=BBH")
_DIRECTORY_AND_NAME, _PIDFD = 2, 4
_HANDLE_OFFSET = 12  # after the info's header and the file system's ID: length of the handle, type, handle
_BUFFER_SIZE = 1 << 15  # some 300 events: each may bring a descriptor


class Caused(NamedTuple):
    """An event: its bits, the PID behind it (0: not visible here), its pidfd if it lives, and the name."""

    mask: int
    pid: int
    pidfd: int | None
    name: bytes


def open_group(path: bytes, mask: int) -> int:
    """Return a descriptor with the events of ``mask`` on a directory's files. Raises OSError."""
    libc.fanotify_mark.argtypes = [
        *(ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p)
    ]
    for reports in _REPORTS:
        fd = libc.fanotify_init(_CLOEXEC | _NONBLOCK | reports, os.O_RDONLY | os.O_CLOEXEC)
        if fd >= 0:
            break
    else:
        raise OSError(ctypes.get_errno(), "fanotify_init")
    if libc.fanotify_mark(fd, _MARK_ADD, mask | _ON_CHILDREN, -1, path) < 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise OSError(number, "fanotify_mark")
    return int(fd)


def read_events(fd: int) -> list[Caused]:
    """Pending events, in their order; the caller closes each pidfd."""
    try:
        data = os.read(fd, _BUFFER_SIZE)
    except BlockingIOError:
        return []
    events = []
    offset = 0
    while offset < len(data):
        length, _, _, head, mask, _, pid = _EVENT.unpack_from(data, offset)
        name, pidfd = _infos(data, offset + head, offset + length)
        events.append(Caused(mask, pid, pidfd, name))
        offset += length
    return events


def _infos(data: bytes, offset: int, end: int) -> tuple[bytes, int | None]:
    name, pidfd = b"", None
    while offset < end:
        kind, _, length = _INFO.unpack_from(data, offset)
        if kind == _DIRECTORY_AND_NAME:
            (handle,) = struct.unpack_from("=I", data, offset + _HANDLE_OFFSET)
            start = offset + _HANDLE_OFFSET + 8 + handle
            name = data[start : data.index(b"\0", start)]
        elif kind == _PIDFD:
            (number,) = struct.unpack_from("=i", data, offset + _INFO.size)
            pidfd = number if number >= 0 else None
        offset += length
    return name, pidfd
