"""Structures of the C library, and what its calls tell that Python has none for."""

import ctypes
from typing import NamedTuple


class TimeSpec(ctypes.Structure):
    """struct timespec (timespec(3type))."""

    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class StatX(ctypes.Structure):
    """struct statx (statx(2)): what of it is read here, each in its place."""

    _fields_ = (
        ("mask", ctypes.c_uint32),
        ("_before_inode", ctypes.c_char * 28),
        ("inode", ctypes.c_uint64),
        ("_before_btime", ctypes.c_char * 40),
        ("btime_seconds", ctypes.c_int64),
        ("btime_nanoseconds", ctypes.c_uint32),
        ("_rest", ctypes.c_char * 164),
    )


class Birth(NamedTuple):
    """An inode and its creation time in nanoseconds since the epoch; None if its file system records none."""

    inode: int
    time_ns: int | None


class CacheStat(NamedTuple):
    """Bytes of whole pages of an object in the page cache, and of pages that were there and left it."""

    cached: int
    evicted: int
