"""Survive SIGBUS, which a load or store raises if its page was truncated or cannot be allocated.

Another process may shrink an object at any moment, and /dev/shm may be full:
no check can rule that out. While a `BusGuard` is active, a fault in its range
maps a page of zeros there, so that the access completes, and is recorded. A
fault elsewhere goes to the previous handler of SIGBUS.
"""

import ctypes
import os
import signal
import threading
from types import TracebackType

from shmctl.core.libc import libc
from shmctl.core.posix import PAGE_SIZE, PROT_READ, PROT_WRITE

_Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_MAP_PRIVATE, _MAP_FIXED, _MAP_ANONYMOUS = 0x02, 0x10, 0x20
_SA_SIGINFO = 4
_SI_ADDR_OFFSET = 16  # of si_addr in siginfo_t, on 64-bit Linux


class _SigAction(ctypes.Structure):
    """struct sigaction of the C library (sigaction(2)); sigset_t has 1024 bits."""

    _fields_ = (
        ("sa_sigaction", _Handler),
        ("sa_mask", ctypes.c_ulong * (1024 // (8 * ctypes.sizeof(ctypes.c_ulong)))),
        ("sa_flags", ctypes.c_int),
        ("sa_restorer", ctypes.c_void_p),
    )


class BusGuard:
    """While entered, survives faults in ``length`` bytes at ``address``.

    ``pages`` are the addresses of the pages of zeros that replaced lost ones.
    """

    def __init__(self, address: int, length: int) -> None:
        self.pages: list[int] = []
        self._start = address
        self._end = address + length

    def __enter__(self) -> "BusGuard":
        with _lock:
            _standing.append(self)
            if len(_standing) == 1:
                libc.sigaction(signal.SIGBUS, ctypes.byref(_ours), ctypes.byref(_previous))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _lock:
            if len(_standing) == 1:
                libc.sigaction(signal.SIGBUS, ctypes.byref(_previous), None)
            _standing.remove(self)

    def tripped(self) -> bool:
        """Whether a fault occurred: loaded data is invalid, and stored data is lost."""
        return bool(self.pages)

    def covers(self, address: int) -> bool:
        """Whether ``address`` is in the range, extended to the end of its last page."""
        return self._start <= address < -(-self._end // PAGE_SIZE) * PAGE_SIZE


# Reentrant: a signal handler may use objects while this lock is held.
_lock = threading.RLock()
# A forked child has no other threads: a lock that one of them held would never be released.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_standing: list[BusGuard] = []
_previous = _SigAction()


def _on_fault(signal_number: int, info: int, context: int) -> None:
    """Handle SIGBUS. The faulting instruction raises it synchronously, so Python code may run here."""
    address: int = ctypes.c_size_t.from_address(info + _SI_ADDR_OFFSET).value
    for guard in _standing:
        if guard.covers(address):
            page = address - address % PAGE_SIZE
            guard.pages.append(page)
            flags = _MAP_PRIVATE | _MAP_FIXED | _MAP_ANONYMOUS
            libc.mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0)
            return
    # Not in a guarded range: the instruction faults again, with the previous handler.
    libc.sigaction(signal.SIGBUS, ctypes.byref(_previous), None)


_ours = _SigAction(_Handler(_on_fault), (), _SA_SIGINFO)
