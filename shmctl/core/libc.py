"""The C library: the one ctypes.CDLL, with what its functions take and return."""

import ctypes

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
