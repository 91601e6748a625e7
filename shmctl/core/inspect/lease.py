"""Is anybody using this object? The kernel's write lease knows; where it cannot be had, /proc in part."""

import errno
import os
from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from shmctl.core import locking, posix
from shmctl.core.errors import ShmError
from shmctl.core.inspect.holders import Identity, Scan
from shmctl.core.inspect.locks import Locks
from shmctl.core.models import DEV_SHM, Directory, ObjectInfo
from shmctl.core.names import escape
from shmctl.core.proc import uninspected_text


class State(StrEnum):
    """The three answers."""

    HELD = "held"
    FREE = "free"
    UNKNOWN = "unknown"


class Usage(NamedTuple):
    """An answer, and what it rests on, in words."""

    state: State
    evidence: str


GRANTED = "no process has it open or mapped (kernel lease granted)"
REFUSED = "a process has it open or mapped (kernel lease refused)"


class UsageTest:
    """Answers for the objects of one directory; made anew for each run, for what it finds out grows stale.

    ``scan`` looks for holders in /proc, where the lease cannot answer; it is
    called once at most.
    """

    def __init__(self, directory: Directory, scan: Callable[[], Scan]) -> None:
        self._scan_function = scan
        self.lease_problem = lease_problem(directory)
        """Why the kernel's lease cannot be trusted here; None if it can."""

    def ask(self, info: ObjectInfo) -> Usage:
        """Whether anybody else than this process uses the object that ``info`` describes."""
        problem = self.lease_problem
        if problem is None:
            answer = ask_lease(info)
            if isinstance(answer, Usage):
                return answer
            problem = answer
        return self._ask_proc(info, problem)

    def _ask_proc(self, info: ObjectInfo, problem: str) -> Usage:
        """Locks and holders that show are proof; none to be seen is not."""
        identity = (info.st.st_dev, info.st.st_ino)
        if identity in self._locks.owners:
            return Usage(State.HELD, f"it is locked ({self._locks.owners[identity]})")
        if pids := self._pids.get(identity):
            shown = ", ".join(map(str, pids[:3])) + (" ..." if len(pids) > 3 else "")
            return Usage(State.HELD, f"PID {shown} has it open or mapped")
        reason = f"no holder is to be seen, but the kernel cannot be asked: {problem}"
        if self._scan.uninspected:
            reason += f"; {uninspected_text(self._scan.uninspected)}"
        return Usage(State.UNKNOWN, reason)

    @cached_property
    def _locks(self) -> Locks:
        return Locks.read()

    @cached_property
    def _scan(self) -> Scan:
        return self._scan_function()

    @cached_property
    def _pids(self) -> dict[Identity, list[int]]:
        """Who holds what, by PID."""
        pids: dict[Identity, list[int]] = {}
        for holder in sorted(self._scan.holders, key=lambda holder: holder.pid):
            pids.setdefault(holder.identity, []).append(holder.pid)
        return pids


def ask_lease(info: ObjectInfo) -> Usage | str:
    """The kernel's answer for an object, or in words why it gives none."""
    try:
        fd = posix.shm_open(info.name, os.O_RDONLY | os.O_NONBLOCK, 0, info.directory)
    except ShmError as error:
        if error.errno == errno.EAGAIN:
            return Usage(State.HELD, "another process holds a lease on it")
        return f"it cannot be opened ({error.symbol})"
    with posix.closing(fd, info.name):
        st = posix.fstat(fd, info.name)
        if (st.st_dev, st.st_ino) != (info.st.st_dev, info.st.st_ino):
            return "another object bears its name by now"
        try:
            if not locking.take_lease(fd, info.name):
                return Usage(State.HELD, REFUSED)
        except ShmError as error:
            owner = "neither its owner nor CAP_LEASE" if error.errno == errno.EACCES else "no lease to be had"
            return f"{owner} ({error.symbol})"
        locking.release_lease(fd, info.name)
        return Usage(State.FREE, GRANTED)


def lease_problem(directory: Directory = DEV_SHM) -> str | None:
    """What is wrong with the lease on this kernel and file system, in words, or None: see `try_lease`."""
    try:
        return try_lease(directory)
    except ShmError as error:
        if error.call == "open":
            return f"leases cannot be tried: {escape(error.name or b'')}: {error.strerror} ({error.symbol})"
        return f"leases do not work here ({error.symbol})"


def try_lease(directory: Directory = DEV_SHM) -> str | None:
    """Prove the lease; returns in words what is wrong with its answers, or None.

    An unnamed object with a second, read-only descriptor must be refused,
    and granted once that is closed. Raises ShmError: of open(2) where it
    cannot be tried, of fcntl(2) where there are no leases.
    """
    name = directory.path
    with posix.closing(posix.open_unnamed(directory), name) as fd:
        with posix.closing(posix.open_again(fd, b"/proc/self/fd"), name):
            if locking.take_lease(fd, name):
                return "this kernel grants leases on objects in use"
        if not locking.take_lease(fd, name):
            return "this kernel refuses leases on objects that nobody uses"
        locking.release_lease(fd, name)
    return None
