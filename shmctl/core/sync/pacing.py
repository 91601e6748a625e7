"""How a wait passes its time: it spins, or sleeps ever longer; it wakes for the name, and ends in time."""

import errno
import os
import select
import time
from types import TracebackType
from typing import TYPE_CHECKING

from shmctl.core.errors import ShmError
from shmctl.core.models import Directory
from shmctl.core.names import Name

if TYPE_CHECKING:
    from inotify_simple import INotify

_SPIN_SECONDS = 0.0002
_FIRST_SLEEP = 0.00005
_SPINS_BETWEEN_CHECKS = 64
_SECONDS_BETWEEN_LOOKS = 0.01
_SLEEP_PER_COST = 50
_LONGEST_SLEEP = 1.0


class NameWatch:
    """Tells when something happens to a name in a directory: inotify(7).

    Where the kernel gives no watch, because there are too many, it tells
    nothing, and `useful` is False: the name has to be looked at now and then.
    """

    def __init__(self, name: Name, directory: Directory) -> None:
        self._bare = os.fsdecode(name[1:])
        self._inotify = _watch(directory)
        self.useful = self._inotify is not None

    def __enter__(self) -> "NameWatch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._inotify is not None:
            self._inotify.close()

    def wait(self, seconds: float | None) -> bool:
        """Sleep until something happens to the name, but not longer than ``seconds``; whether it did."""
        if self._inotify is None:
            time.sleep(0.01 if seconds is None else seconds)
            return True
        if not select.select([self._inotify], [], [], seconds)[0]:
            return False
        return any(event.name in (self._bare, "") for event in self._inotify.read(timeout=0))


def _watch(directory: Directory) -> "INotify | None":
    from inotify_simple import INotify, flags

    mask = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
    path = directory.path if directory.fd is None else f"/proc/self/fd/{directory.fd}".encode()
    try:
        inotify = INotify()
    except OSError:
        return None
    try:
        inotify.add_watch(path, mask)
    except OSError:
        inotify.close()
        return None
    return inotify


class Pacer:
    """Passes the time between two looks at an object.

    For a moment it spins; then it sleeps, twice as long each time, up to
    ``interval`` seconds. With ``spin`` it never sleeps. After ``timeout``
    seconds it raises ShmError with ETIMEDOUT.
    """

    def __init__(
        self,
        name: Name,
        watch: NameWatch,
        timeout: float | None = None,
        interval: float = 0.001,
        *,
        spin: bool = False,
    ) -> None:
        now = time.monotonic()
        self._name = name
        self._watch = watch
        self._timeout = timeout
        self._deadline = None if timeout is None else now + timeout
        self._interval = interval
        self._spin_until = float("inf") if spin else now + _SPIN_SECONDS
        self._sleep = min(_FIRST_SLEEP, interval)
        self._spins = 0
        self._next_look = self._woke = now

    def until_the_name_changes(self) -> None:
        """Sleep until something happens to the name: nothing else is worth a look."""
        while not self._watch.wait(self._left()):
            self._check_deadline()
        self._check_deadline()

    def pause(self) -> bool:
        """Pass some time; whether the object should be looked at from outside, too: its name and its size."""
        self._spins += 1
        if self._spin_until:
            if self._spins % _SPINS_BETWEEN_CHECKS:
                return False
            self._check_deadline()
            if time.monotonic() < self._spin_until:
                return True
            self._spin_until = 0.0
        # A look at much takes long, and is taken the less often.
        cost = time.monotonic() - self._woke
        self._sleep = max(self._sleep, min(cost * _SLEEP_PER_COST, _LONGEST_SLEEP))
        left = self._left()
        time.sleep(self._sleep if left is None else min(self._sleep, left))
        self._sleep = min(self._sleep * 2, self._interval)
        self._check_deadline()
        now = self._woke = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _SECONDS_BETWEEN_LOOKS
        return True

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline:
            detail = f"timed out after {self._timeout:g} s"
            raise ShmError("wait", self._name, errno.ETIMEDOUT, detail=detail)
