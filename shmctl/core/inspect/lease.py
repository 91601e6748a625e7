"""Is a process using this object? The kernel's write lease answers exactly; /proc answers in part."""

import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from shmctl.core import locking, posix
from shmctl.core.errors import ShmError
from shmctl.core.inspect.holders import Scan
from shmctl.core.inspect.locks import Locks
from shmctl.core.models import Directory, Identity, ObjectInfo
from shmctl.core.names import Name
from shmctl.core.objects.describe import is_same
from shmctl.core.proc import uninspected_text


class State(StrEnum):
    """Whether a process uses an object."""

    HELD = "held"
    FREE = "free"
    UNKNOWN = "unknown"


class Usage(NamedTuple):
    """An answer, and its evidence in words."""

    state: State
    evidence: str


GRANTED = "no process has it open or mapped (kernel lease granted)"
REFUSED = "a process has it open or mapped (kernel lease refused)"
LEASED = "another process holds a lease on it"
_FREE = Usage(State.FREE, GRANTED)
PAUSES = (0.001, 0.005, 0.025)
"""Seconds before each further look at what is in use.

Another shmctl has an object open for microseconds, or for as long as the
scheduler stops it there.
"""


class UsageTest:
    """Answers whether objects are in use. Make a new one for each run: its findings grow stale.

    ``scan`` finds holders in /proc; it runs at most once, and only where the
    lease gives no answer. Nothing is created: there may be no inode left.
    """

    def __init__(self, scan: Callable[[], Scan]) -> None:
        self._scan_function = scan
        self.lease_problem: str | None = None
        """Why the kernel's lease cannot be trusted here; None while no answer shows that."""
        self._proved: set[int] = set()

    def ask(self, info: ObjectInfo) -> Usage:
        """Return whether another process uses an object at this moment, if only to look at it."""
        return self._answer(info, self._ask_lease(info))

    def ask_each(self, infos: Sequence[ObjectInfo]) -> list[Usage]:
        """Return whether another process uses each object; one that only looks at it does not count.

        So what is in use is asked again after a pause.
        """
        answers = list(map(self._ask_lease, infos))
        for pause in PAUSES:
            held = [number for number, answer in enumerate(answers) if _is_held(answer)]
            if not held:
                break
            time.sleep(pause)
            for number in held:
                answers[number] = self._ask_lease(infos[number])
        return [self._answer(info, answer) for info, answer in zip(infos, answers, strict=True)]

    def _answer(self, info: ObjectInfo, answer: Usage | str) -> Usage:
        return answer if isinstance(answer, Usage) else self._ask_proc(info, answer)

    def _ask_lease(self, info: ObjectInfo) -> Usage | str:
        """Return the kernel's answer, or in words why it gives none."""
        if self.lease_problem is not None:
            return self.lease_problem
        if b"/" in info.name[1:]:
            return self._ask_lease_below(info)
        try:
            fd = posix.shm_open(info.name, os.O_RDONLY | os.O_NONBLOCK, 0, info.directory)
        except ShmError as error:
            return _not_opened(error)
        try:  # posix.closing takes a twentieth of the time of very many objects
            if not is_same(posix.fstat(fd, info.name), info.st):
                return "another object has taken its name"
            try:
                return self._ask_open(fd, info)
            except ShmError as error:
                return self._no_answer(info, error)
        finally:
            posix.close(fd, info.name)

    def _no_answer(self, info: ObjectInfo, error: ShmError) -> str:
        if error.errno == errno.EACCES and info.st.st_uid != os.geteuid():
            return f"neither its owner nor CAP_LEASE ({error.symbol})"
        self.lease_problem = f"leases do not work here ({error.symbol})"
        return self.lease_problem

    def _ask_lease_below(self, info: ObjectInfo) -> Usage | str:
        """The same of a file in a directory."""
        with ExitStack() as directories:
            try:
                info = _in_its_directory(info, directories)
            except OSError as error:
                return f"its directory cannot be opened ({errno.errorcode.get(error.errno or 0)})"
            return self._ask_lease(info)

    def _ask_open(self, fd: int, info: ObjectInfo) -> Usage | str:
        if not locking.take_lease(fd, info.name):
            return Usage(State.HELD, REFUSED)
        locking.release_lease(fd, info.name)
        if info.st.st_dev not in self._proved:
            problem = self._prove(fd, info)
            if problem is not None:
                return problem
            self._proved.add(info.st.st_dev)
        return _FREE

    def _prove(self, fd: int, info: ObjectInfo) -> Usage | str | None:
        """Check on a free object that a second descriptor makes the kernel refuse; None if it does."""
        try:
            second = posix.shm_open(info.name, os.O_RDONLY | os.O_NONBLOCK, 0, info.directory)
        except ShmError as error:
            return _not_opened(error)
        with posix.closing(second, info.name):
            if not is_same(posix.fstat(second, info.name), info.st):
                return "another object has taken its name"
            if locking.take_lease(fd, info.name):
                self.lease_problem = "this kernel grants leases on objects in use"
            return self.lease_problem

    def _ask_proc(self, info: ObjectInfo, problem: str) -> Usage:
        """Return HELD for a lock or a holder that /proc shows; without one the answer is UNKNOWN."""
        identity = (info.st.st_dev, info.st.st_ino)
        if identity in self._locks.owners:
            return Usage(State.HELD, f"it is locked ({self._locks.owners[identity]})")
        if pids := self._pids.get(identity):
            shown = ", ".join(map(str, pids[:3])) + (" ..." if len(pids) > 3 else "")
            return Usage(State.HELD, f"PID {shown} has it open or mapped")
        reason = f"no holder is visible, but the kernel cannot be asked: {problem}"
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
        """The PIDs of the holders of each object."""
        pids: dict[Identity, list[int]] = {}
        for holder in sorted(self._scan.holders, key=lambda holder: holder.pid):
            pids.setdefault(holder.identity, []).append(holder.pid)
        return pids


def _in_its_directory(info: ObjectInfo, opened: ExitStack) -> ObjectInfo:
    """A file in a directory, relative to that; no step to it follows a link. Raises OSError."""
    *folders, name = info.name[1:].split(b"/")
    fd = info.directory.fd
    for folder in (info.directory.path if fd is None else b".", *folders):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        opened.callback(os.close, fd)
    within = Directory(b"/".join((info.directory.path, *folders)), fd, info.directory.pid)
    return info._replace(name=Name(b"/" + name), directory=within)


def _is_held(answer: Usage | str) -> bool:
    return isinstance(answer, Usage) and answer.state is State.HELD


def _not_opened(error: ShmError) -> Usage | str:
    if error.errno == errno.EAGAIN:
        return Usage(State.HELD, LEASED)
    return f"it cannot be opened ({error.symbol})"
