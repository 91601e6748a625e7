"""Events of processes: fork, exec and exit, from the kernel's process connector. It takes CAP_NET_ADMIN."""

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


def read_events(listener: socket.socket) -> Iterator[ProcessEvent]:
    """Yield pending events of processes; threads are left out. Raises OSError (ENOBUFS) if some were lost."""
    while True:
        try:
            data = listener.recv(256)
        except BlockingIOError:
            return
        start = _NETLINK.size + _CONNECTOR.size
        if len(data) < start + _EVENT.size:
            continue
        what, _, _, first, process, third, child = _EVENT.unpack_from(data, start)
        if what == Change.FORK and third == child:
            yield ProcessEvent(Change.FORK, child, process)
        elif what in (Change.EXEC, Change.EXIT) and first == process:
            yield ProcessEvent(Change(what), process, 0)
