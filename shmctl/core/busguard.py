"""Survive SIGBUS: the signal that a load or store gets where a mapped page has gone, or cannot be had.

Another process may shrink an object at any moment, and /dev/shm may be full:
no check beforehand can rule that out. While a `BusGuard` stands, a fault in
its range is answered by mapping a page of zeros there, so that the access
ends, and by noting that it happened. A fault anywhere else goes to whatever
handled SIGBUS before.
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
    """While entered, faults in ``length`` bytes at ``address`` are survived.

    ``pages`` are the addresses where pages of zeros stand in for lost ones.
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
        """Whether a fault has been survived: what was loaded is void, and what was stored is lost."""
        return bool(self.pages)

    def covers(self, address: int) -> bool:
        """Whether ``address`` is in its range, which reaches to the end of the last page."""
        return self._start <= address < -(-self._end // PAGE_SIZE) * PAGE_SIZE


# A signal handler may use objects in between; it must not take our handler for the previous one.
_lock = threading.RLock()
# A forked child has none of the other threads, so that nobody would ever release what one of them holds.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_standing: list[BusGuard] = []
_previous = _SigAction()


def _on_fault(signal_number: int, info: int, context: int) -> None:
    """The signal comes from the very instruction that touches memory: Python runs here as in any callback."""
    address: int = ctypes.c_size_t.from_address(info + _SI_ADDR_OFFSET).value
    for guard in _standing:
        if guard.covers(address):
            page = address - address % PAGE_SIZE
            guard.pages.append(page)
            flags = _MAP_PRIVATE | _MAP_FIXED | _MAP_ANONYMOUS
            libc.mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0)
            return
    # Not ours: the instruction faults again, and gets what it would have got without us.
    libc.sigaction(signal.SIGBUS, ctypes.byref(_previous), None)


_ours = _SigAction(_Handler(_on_fault), (), _SA_SIGINFO)
