"""Events of processes: fork, exec and exit, from the kernel's process connector. It takes CAP_NET_ADMIN."""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

_NETLINK_CONNECTOR = 11
_PROCESSES = 1  # CN_IDX_PROC, CN_VAL_PROC
_LISTEN = 1
_NLMSG_DONE = 3
_NETLINK = struct.Struct("=IHHII")
_CONNECTOR = struct.Struct("=IIIIHH")
_EVENT = struct.Struct("=IIQIIII")  # what, CPU, time, then up to four PIDs
_RECEIVE_BUFFER = 1 << 23
_SO_ATTACH_FILTER = 26

# Threads come and go much more often than processes do; a thread has an ID other than its process. The kernel
# leaves them out (socket(7), SO_ATTACH_FILTER). A row: code, rows to skip if so, and if not, constant.
_LOAD, _TO_INDEX, _IF_EQUAL, _IF_SAME, _SKIP, _RETURN = 0x20, 0x07, 0x15, 0x1D, 0x05, 0x06
_DATA = _NETLINK.size + _CONNECTOR.size
_PROCESSES_ALONE = (
    (_LOAD, 0, 0, _DATA),
    (_IF_EQUAL, 0, 4, socket.htonl(1)),  # a fork: of what is born
    (_LOAD, 0, 0, _DATA + 24),
    (_TO_INDEX, 0, 0, 0),
    (_LOAD, 0, 0, _DATA + 28),
    (_SKIP, 0, 0, 3),
    (_LOAD, 0, 0, _DATA + 16),
    (_TO_INDEX, 0, 0, 0),
    (_LOAD, 0, 0, _DATA + 20),
    (_IF_SAME, 0, 1, 0),
    (_RETURN, 0, 0, 0xFFFF),
    (_RETURN, 0, 0, 0),
)


class Change(IntEnum):
    """What a process did."""

    FORK = 0x1
    EXEC = 0x2
    EXIT = 0x80000000


class ProcessEvent(NamedTuple):
    """A process that was forked by ``parent``, ran another program, or ended."""

    change: Change
    pid: int
    parent: int


def open_listener() -> socket.socket:
    """Return a socket that is readable after an event. Raises OSError."""
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _NETLINK_CONNECTOR)
    try:
        _leave_out_threads(listener)
        listener.bind((0, _PROCESSES))
        # Without the privilege the default has to do.
        listener.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), _RECEIVE_BUFFER)
        message = _CONNECTOR.pack(_PROCESSES, _PROCESSES, 0, 0, 4, 0) + struct.pack("=I", _LISTEN)
        length = _NETLINK.size + len(message)
        listener.send(_NETLINK.pack(length, _NLMSG_DONE, 0, 0, os.getpid()) + message)
    except OSError:
        listener.close()
        raise
    return listener


def _leave_out_threads(listener: socket.socket) -> None:
    rows = b"".join(struct.pack("=HBBI", *row) for row in _PROCESSES_ALONE)
    buffer = ctypes.create_string_buffer(rows, len(rows))
    program = struct.pack("HP", len(_PROCESSES_ALONE), ctypes.addressof(buffer))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def read_events(listener: socket.socket) -> Iterator[ProcessEvent]:
    """Yield pending events of processes; threads are left out. Raises OSError (ENOBUFS) if some were lost."""
    while True:
        try:
            data = listener.recv(256)
        except BlockingIOError:
            return
        if len(data) < _DATA + _EVENT.size:
            continue
        what, _, _, first, process, third, child = _EVENT.unpack_from(data, _DATA)
        if what == Change.FORK and third == child:
            yield ProcessEvent(Change.FORK, child, process)
        elif what in (Change.EXEC, Change.EXIT) and first == process:
            yield ProcessEvent(Change(what), process, 0)
