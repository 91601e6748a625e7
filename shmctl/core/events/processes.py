"""Commands and users of the processes behind events, most of which end before anybody can look."""

import select
import socket
from typing import NamedTuple

from shmctl.core import proc, procevents
from shmctl.core.procevents import Change

_MOST_KNOWN = 1024
# A process that has ended is remembered for events that were queued before that.
_ROUNDS_AFTER_EXIT = 3


class Process(NamedTuple):
    """A process as it was when it could be looked at; None is what was not seen."""

    pid: int
    uid: int | None = None
    command: str | None = None


class Processes:
    """Knows processes by PID: from a look while a pidfd says that they live, and from the kernel's events."""

    def __init__(self) -> None:
        self._known: dict[int, Process] = {}
        self._parents: dict[int, int] = {}
        self._gone: dict[int, int] = {}
        try:
            self.listener: socket.socket | None = procevents.open_listener()
        except OSError:
            self.listener = None

    def close(self) -> None:
        """End listening."""
        if self.listener is not None:
            self.listener.close()

    def follow(self) -> None:
        """Take in what the kernel has told of processes since the last round, with which this one begins."""
        self._forget_the_gone()
        if self.listener is None:
            self._known.clear()
        else:
            self._listen(self.listener)

    def _listen(self, listener: socket.socket) -> None:
        try:
            for event in procevents.read_events(listener):
                self._take_in(event)
        except OSError:  # some events were lost: nothing known is sure any more
            self._forget_all()

    def _forget_the_gone(self) -> None:
        """Forget the processes that ended some rounds ago: their PIDs may be used again."""
        for pid, rounds in list(self._gone.items()):
            if rounds:
                self._gone[pid] = rounds - 1
            else:
                self._forget(pid)
        if len(self._known) > _MOST_KNOWN or len(self._parents) > _MOST_KNOWN:
            self._forget_all()

    def of(self, pid: int, pidfd: int | None) -> Process | None:
        """The process behind an event; ``pidfd`` is a descriptor of it, if it still lives."""
        if pid == 0:
            return None
        known = self._known.get(pid)
        if known is None and pidfd is not None:
            seen = _look(pid)
            if seen is not None and not _has_ended(pidfd):
                self._known[pid] = known = seen
        if known is None and self.listener is not None and pid in self._parents:
            self._listen(self.listener)  # the exec comes before what the program did
            known = self._known.get(pid) or self._like_parent(pid)
        return known or Process(pid)

    def _take_in(self, event: procevents.ProcessEvent) -> None:
        if event.change is Change.FORK:
            self._forget(event.pid)
            self._parents[event.pid] = event.parent
        elif event.change is Change.EXEC:
            self._parents.pop(event.pid, None)
            self._known.pop(event.pid, None)
            if seen := _look(event.pid):
                self._known[event.pid] = seen
        else:
            self._gone[event.pid] = _ROUNDS_AFTER_EXIT

    def _like_parent(self, pid: int) -> Process | None:
        """A process that ran no program of its own has the command of the one that forked it."""
        parent = self._parents.get(pid)
        if parent is None:
            return None
        known = self._known.get(parent) or _look(parent)
        if known is None:
            return None
        self._known[parent] = known
        return known._replace(pid=pid)

    def _forget(self, pid: int) -> None:
        for table in (self._known, self._parents, self._gone):
            table.pop(pid, None)

    def _forget_all(self) -> None:
        for table in (self._known, self._parents, self._gone):
            table.clear()


def _look(pid: int) -> Process | None:
    try:
        uid = proc.owner(pid)
        command = proc.command_line(pid) or proc.command(pid)
    except OSError:
        return None
    return Process(pid, uid, command.decode("utf-8", "surrogateescape"))


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
