"""Watch a directory: the events of its objects in their order, each with the process behind it."""

import errno
import os
import select
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import NamedTuple

from shmctl.core import fanotify, inotify
from shmctl.core.errors import ShmError, failing_as
from shmctl.core.events.causes import Causes
from shmctl.core.events.changes import MASKS, NAMES, Changes, EventKind, known
from shmctl.core.events.processes import Process, Processes
from shmctl.core.inspect.listing import scan
from shmctl.core.models import DEV_SHM, Directory, FileStat
from shmctl.core.polling import readable_within, ready_within

_SECONDS_FOR_CAUSES = 0.02
_SECONDS_FOR_NEW_NAME = 0.02
_LIMITS = {
    errno.EMFILE: "fs.inotify.max_user_instances limits how many watch; sysctl(8) raises it",
    errno.ENOSPC: "fs.inotify.max_user_watches limits what is watched; sysctl(8) raises it",
}


class Event(NamedTuple):
    """Something that happened to the object ``name``; ``time`` in ns since the epoch, ``size`` as seen then.

    A rename has the ``new_name`` too. ``process`` is None where it is not known.
    """

    time: int
    kind: EventKind
    name: bytes = b""
    new_name: bytes | None = None
    size: int | None = None
    process: Process | None = None


class Watch:
    """The events of a directory's objects, from now on.

    ``blind`` says why no event has a process, if so: without root the kernel
    does not tell. Raises ShmError.
    """

    def __init__(
        self, directory: Directory = DEV_SHM, kinds: Collection[EventKind] = frozenset(EventKind)
    ) -> None:
        self._directory = directory
        mask = NAMES
        for kind in kinds:
            mask |= MASKS.get(kind, 0)
        path = directory.own_path
        self._poll = select.poll()
        self._looks: dict[bytes, FileStat | None] = {}  # of one round, whose events are over
        self._moving: tuple[int, bytes, Process | None] | None = None
        with ExitStack() as stack:
            self._queue = self._open_queue(path, mask | inotify.EXCLUDE_UNLINKED)
            stack.callback(os.close, self._queue)
            self._group, self.blind = _open_group(path, mask)
            self._causes, self._processes = Causes(), None
            if self._group is not None:
                stack.callback(os.close, self._group)
                self._processes = Processes()
                stack.callback(self._processes.close)
                if self._processes.listener is not None:
                    self._poll.register(self._processes.listener, select.POLLIN)
            self._changes = self._look_at_all()
            self._stack = stack.pop_all()
        self._poll.register(self._queue, select.POLLIN)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def events(self, seconds: float | None = None) -> list[Event]:
        """The events since the last call; waits for some, at most ``seconds``. Raises ShmError."""
        if self._moving and not readable_within(self._queue, _SECONDS_FOR_NEW_NAME):
            return [self._moved_away(time.time_ns())]
        ready = ready_within(self._poll, seconds)
        if self._processes is not None:
            # First, because processes end while events wait.
            self._processes.follow()
        if all(fd != self._queue for fd, _ in ready):
            return []
        now = time.time_ns()
        with failing_as("inotify", self._directory.path, ShmError):
            told = list(inotify.read_events(self._queue))
        if any(mask & inotify.OVERFLOW for mask, _, _ in told):
            return [self._start_again(now)]
        if any(mask & (inotify.UNMOUNTED | inotify.IGNORED) for mask, _, _ in told):
            raise ShmError(
                "inotify", self._directory.path, errno.ENODEV, detail="it was unmounted or removed"
            )
        self._looks.clear()
        told = [each for each in told if each[2] and not each[0] & inotify.IS_DIRECTORY]
        if self._group is not None:
            self._find_causes([(name, mask) for mask, _, name in told])
        return [event for mask, cookie, name in told for event in self._made_of(now, mask, cookie, name)]

    def _open_queue(self, path: bytes, mask: int) -> int:
        try:
            return inotify.open_watch(path, mask)
        except OSError as error:
            number = error.errno or errno.EIO
            call = error.strerror or "inotify_init1"
            raise ShmError(call, self._directory.path, number, hint=_LIMITS.get(number)) from None

    def _look_at_all(self) -> Changes:
        objects = {info.name[1:]: known(info.st) for info in scan(self._directory) if info.is_object}
        return Changes(self._look, objects)

    def _look(self, name: bytes) -> FileStat | None:
        if name not in self._looks:
            self._looks[name] = self._stat(name)
        return self._looks[name]

    def _stat(self, name: bytes) -> FileStat | None:
        try:
            if self._directory.fd is None:
                return FileStat.of(os.stat(self._directory.path + b"/" + name, follow_symlinks=False))
            return FileStat.of(os.stat(name, dir_fd=self._directory.fd, follow_symlinks=False))
        except OSError:
            return None

    def _start_again(self, now: int) -> Event:
        """Take what is there for what has come of the lost events."""
        for _ in inotify.read_events(self._queue):
            pass
        if self._group is not None:
            self._read_causes()
            self._causes.forget()
        self._changes, self._moving = self._look_at_all(), None
        return Event(now, EventKind.LOST)

    def _find_causes(self, expected: list[tuple[bytes, int]]) -> None:
        self._causes.begin_round(expected)
        deadline = time.monotonic() + _SECONDS_FOR_CAUSES
        complete = self._read_causes()
        while complete and self._causes.lacks() and time.monotonic() < deadline:
            time.sleep(0.0005)
            complete = self._read_causes()
        if not complete:
            self._causes.forget()

    def _read_causes(self) -> bool:
        """Read all that fanotify has; whether that is complete."""
        complete = True
        if self._group is None or self._processes is None:
            return complete
        while caused := fanotify.read_events(self._group):
            for mask, pid, pidfd, name in caused:
                process = self._processes.of(pid, pidfd)
                if pidfd is not None:
                    os.close(pidfd)
                complete = complete and not mask & inotify.OVERFLOW
                self._causes.add(name, mask, process)
        return complete

    def _made_of(self, now: int, mask: int, cookie: int, name: bytes) -> Iterator[Event]:
        process = self._process_behind(name, mask)
        if self._moving and not (mask & inotify.MOVED_TO and cookie == self._moving[0]):
            yield self._moved_away(now)
        if mask & inotify.MOVED_FROM:
            self._moving = (cookie, name, process)
            return
        if mask & inotify.MOVED_TO and self._moving:
            _, old, process = self._moving
            self._moving = None
            size = self._changes.rename(old, name)
            yield Event(now, EventKind.RENAME, b"/" + old, b"/" + name, size, process)
            return
        kinds, size = self._changes.kinds(mask, name)
        for kind in kinds:
            yield Event(now, kind, b"/" + name, None, size, process)

    def _moved_away(self, now: int) -> Event:
        """The object was renamed to where this does not look: its name is gone from here."""
        assert self._moving  # noqa: S101 - tells the type checker
        _, name, process = self._moving
        self._moving = None
        _, size = self._changes.kinds(inotify.DELETE, name)
        return Event(now, EventKind.REMOVE, b"/" + name, None, size, process)

    def _process_behind(self, name: bytes, bit: int) -> Process | None:
        return None if self._group is None else self._causes.of(name, bit)


def _open_group(path: bytes, mask: int) -> tuple[int | None, str | None]:
    try:
        return fanotify.open_group(path, mask), None
    except OSError as error:
        number = error.errno or errno.EIO
        return None, f"{error.strerror}: {os.strerror(number)} ({errno.errorcode.get(number, number)})"
