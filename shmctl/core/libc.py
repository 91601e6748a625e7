"""The C library: the one ctypes.CDLL, and the signatures of its functions."""

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


libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_ssize_t,
]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.renameat2.argtypes = [
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
]
libc.sem_open.restype = ctypes.c_void_p
libc.sem_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
libc.sem_timedwait.argtypes = [ctypes.c_void_p, ctypes.POINTER(TimeSpec)]
libc.sem_getvalue.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
for _function in (libc.sem_post, libc.sem_wait, libc.sem_trywait, libc.sem_close):
    _function.argtypes = [ctypes.c_void_p]
if hasattr(libc, "statx"):
    # glibc has it since 2.28, musl since 1.2.5.
    libc.statx.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(StatX)]
