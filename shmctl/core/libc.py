"""The C library: the one ctypes.CDLL, and the signatures of its functions.

A signature is set when its function is first asked for: most commands need few.
"""

import ctypes
from ctypes import c_char_p, c_int, c_size_t, c_ssize_t, c_uint, c_void_p
from typing import Any

_SIGNATURES = {
    "madvise": (c_int, [c_void_p, c_size_t, c_int]),
    "mmap": (c_void_p, [c_void_p, c_size_t, c_int, c_int, c_int, c_ssize_t]),
    "munmap": (c_int, [c_void_p, c_size_t]),
    "renameat2": (c_int, [c_int, c_char_p, c_int, c_char_p, c_uint]),
    "sem_close": (c_int, [c_void_p]),
    "sem_getvalue": (c_int, [c_void_p, c_void_p]),
    "sem_open": (c_void_p, [c_char_p, c_int, c_uint, c_uint]),
    "sem_post": (c_int, [c_void_p]),
    "sem_timedwait": (c_int, [c_void_p, c_void_p]),
    "sem_trywait": (c_int, [c_void_p]),
    "sem_wait": (c_int, [c_void_p]),
    # glibc has it since 2.28, musl since 1.2.5.
    "statx": (c_int, [c_int, c_char_p, c_int, c_uint, c_void_p]),
}


class _Library(ctypes.CDLL):
    def __getattr__(self, name: str) -> Any:
        function: Any = super().__getattr__(name)
        if name in _SIGNATURES:
            function.restype, function.argtypes = _SIGNATURES[name]
        return function


libc = _Library(None, use_errno=True)
