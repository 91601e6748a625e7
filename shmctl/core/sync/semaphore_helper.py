"""One call of the C library on a semaphore's file that others may change, in a process of its own.

`ForeignSemaphore` runs this text with ``python -c``: what the C library makes of hostile bytes, an abort, a
hang or SIGBUS, ends this process alone. It imports nothing of shmctl.

Arguments: the function, the file's descriptor, the PID of the process that waits for the answer, and for
sem_timedwait(3) its deadline. The errno, 0 for success, goes to standard output; nothing does if this dies.
"""

import ctypes
import mmap
import os
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


class _TimeSpec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


def main(function: str, fd: str, parent: str, deadline: str = "0") -> None:
    """Call ``function`` on the semaphore in the file; write down how it went."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Who would take a semaphore for a process that is gone?
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        return
    libc.prctl(_PR_SET_DUMPABLE, 0)  # an abort leaves no core dump
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    memory = mmap.mmap(int(fd), 0)
    arguments: list[object] = [ctypes.byref(ctypes.c_char.from_buffer(memory))]
    if function == "sem_timedwait":
        seconds = float(deadline)
        arguments.append(ctypes.byref(_TimeSpec(min(int(seconds), sys.maxsize), int(seconds % 1 * 1e9))))
    result = getattr(libc, function)(*arguments)
    os.write(1, b"%d" % (ctypes.get_errno() if result else 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
