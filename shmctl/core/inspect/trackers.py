"""Processes that may need an object although no process has it open: the ``tracker`` of a family."""

import errno
import re
from collections.abc import Iterator
from typing import NamedTuple

from shmctl.core import posix, proc
from shmctl.core.errors import ShmError
from shmctl.core.inspect.pids import boot_time
from shmctl.core.models import Directory, ObjectInfo
from shmctl.core.objects.describe import is_same
from shmctl.core.target import directory_of

GRACE = 10.0
"""Seconds that a tracker may start after the first object of the process that started it."""


class Tracker(NamedTuple):
    """A live tracker, and the time (seconds since the epoch) from which on it may have objects."""

    pid: int
    since: float


class Trackers:
    """The live trackers of each user that see a directory, as of first use."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._found: dict[tuple[re.Pattern[str], int], list[Tracker]] = {}
        self._closed: set[int] = set()

    def find(self, command: re.Pattern[str], info: ObjectInfo, changed: float) -> int | None:
        """Return the PID of a tracker that may have the object ``info``, last changed at ``changed``.

        It is a process of the object's owner whose command line matches
        ``command`` and that sees this directory. The process that started it
        is older than the object; where that one has ended, the tracker itself
        is, but for `GRACE`. ``changed`` is in seconds since the epoch.
        """
        key = (command, info.st.st_uid)
        if key not in self._found:
            self._found[key] = list(self._search(*key))
        return next((each.pid for each in self._found[key] if each.since <= changed + 2), None)

    def blind_spot(self, info: ObjectInfo) -> str | None:
        """Return why a live tracker that `find` did not find may exist, or None."""
        try:
            if proc.namespace(None, "pid") != proc.INITIAL_PID_NAMESPACE:
                return "it may live in a PID namespace that is not visible from here"
        except OSError:
            return "there is no /proc"
        if info.st.st_uid in self._closed:
            return "not every process of its owner can be inspected"
        return None

    def _search(self, command: re.Pattern[str], uid: int) -> Iterator[Tracker]:
        def look(pid: int) -> Iterator[Tracker]:
            if proc.owner(pid) != uid:
                return
            line = proc.command_line(pid).decode("utf-8", "replace")
            if command.search(line) and self._sees_directory(pid):
                yield Tracker(pid, _since(pid))

        found, uninspected = proc.survey(proc.other_pids(), look)
        if uninspected:
            self._closed.add(uid)
        yield from found

    def _sees_directory(self, pid: int) -> bool:
        """Whether a process has this directory as its /dev/shm; in doubt it has."""
        try:
            with directory_of(pid) as theirs:
                return is_same(posix.stat_directory(theirs), posix.stat_directory(self._directory))
        except ShmError as error:
            # It has none, or it has ended.
            return error.errno not in (errno.ENOENT, errno.ESRCH)


def _since(pid: int) -> float:
    """Return when the process that started ``pid`` started; where it has ended, `GRACE` before ``pid``.

    Then the parent is another program: init(1), or what reaps for a container.
    """
    own = proc.stat(pid)
    start = own.start - GRACE
    try:
        if proc.program(own.parent)[1] == proc.program(pid)[1]:
            start = min(start, proc.stat(own.parent).start)
    except OSError:
        pass
    return boot_time() + start
