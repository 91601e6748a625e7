"""Locks and leases on open objects: flock(2), and F_SETLEASE of fcntl(2)."""

import errno
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shmctl.core.errors import ShmError
from shmctl.core.models import FileStat
from shmctl.core.names import Name
from shmctl.core.tracing import call

_LOCK_NAMES = {fcntl.LOCK_SH: "LOCK_SH", fcntl.LOCK_EX: "LOCK_EX"}


def flock(fd: int, name: Name, *, exclusive: bool) -> None:
    """Wait for the lock that flock(1) takes: flock(2). It goes with the descriptor."""
    operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    call("flock", name, lambda: fcntl.flock(fd, operation), lambda _: f"{fd}, {_LOCK_NAMES[operation]}")


def try_flock(fd: int, name: Name, *, exclusive: bool) -> bool:
    """Take the lock of `flock` if it is free; whether it was."""
    operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        call(
            "flock",
            name,
            lambda: fcntl.flock(fd, operation | fcntl.LOCK_NB),
            lambda _: f"{fd}, {_LOCK_NAMES[operation]}|LOCK_NB",
        )
    except ShmError as error:
        if error.errno == errno.EAGAIN:
            return False
        raise
    return True


def flock_until(fd: int, name: Name, deadline: float, *, exclusive: bool) -> bool:
    """Try for the lock of `flock` until ``deadline``, a time of time.monotonic(); whether it was had."""
    pause = 0.0005
    while not try_flock(fd, name, exclusive=exclusive):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 2, 0.01)
    return True


def inherited_lock(st: FileStat) -> int | None:
    """A descriptor that this process was started with and that has the lock of the object ``st`` is of.

    'shmctl lock' and flock(1) leave one to their CMD. Other threads' descriptors are close-on-exec.
    """
    from shmctl.core import proc

    with suppress(FileNotFoundError):  # without /proc
        for fd in map(int, proc.descriptors(None)):
            with suppress(OSError):  # the one that reads the directory is closed by now
                is_its = FileStat.of(os.fstat(fd)).identity == st.identity
                if is_its and os.get_inheritable(fd) and proc.has_flock(fd):
                    return fd
    return None


def take_lease(fd: int, name: Name | bytes) -> bool:
    """Ask the kernel for the write lease on an open object: F_SETLEASE in fcntl(2).

    True: granted, so that nobody else has it open or mapped, and nobody can
    open it before `release_lease`. False: somebody has. Where the kernel may
    not or cannot answer, raises ShmError (EACCES: neither owner nor CAP_LEASE).
    """
    # An opener's wish would come as SIGIO, which kills; SIGURG is ignored unless somebody handles it.
    call(
        "fcntl",
        name,
        lambda: fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG),
        lambda _: f"{fd}, F_SETSIG, SIGURG",
    )
    try:
        _set_lease(fd, fcntl.F_WRLCK, "F_WRLCK", name)
    except ShmError as error:
        if error.errno == errno.EAGAIN:
            return False
        raise
    return True


def lease_stands(fd: int, name: Name | bytes) -> bool:
    """Whether nobody has begun to open the object since `take_lease`: F_GETLEASE in fcntl(2)."""
    lease = call("fcntl", name, lambda: fcntl.fcntl(fd, fcntl.F_GETLEASE), lambda _: f"{fd}, F_GETLEASE")
    return lease == fcntl.F_WRLCK


def release_lease(fd: int, name: Name | bytes) -> None:
    """Let waiting openers go on: F_SETLEASE, F_UNLCK in fcntl(2)."""
    _set_lease(fd, fcntl.F_UNLCK, "F_UNLCK", name)


@contextmanager
def alone_with(fd: int, name: Name) -> Iterator[bool]:
    """Whether nobody else has the object open or mapped; if so, nobody can open it until the body ends.

    Where the kernel cannot say (not the owner's process, leases switched off), the answer is no.
    """
    try:
        granted = take_lease(fd, name)
    except ShmError:
        granted = False
    try:
        yield granted
    finally:
        if granted:
            with suppress(ShmError):  # what was done under it is done, and it goes with the descriptor
                release_lease(fd, name)


def _set_lease(fd: int, lease: int, lease_name: str, name: Name | bytes) -> None:
    call(
        "fcntl",
        name,
        lambda: fcntl.fcntl(fd, fcntl.F_SETLEASE, lease),
        lambda _: f"{fd}, F_SETLEASE, {lease_name}",
    )
