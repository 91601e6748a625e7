"""Back-off of a wait: spin, then sleep the longer, the longer nothing has happened."""

import errno
import os
import time
from contextlib import suppress
from types import TracebackType

from shmctl.core import inotify
from shmctl.core.errors import ShmError, failing_as
from shmctl.core.models import Directory
from shmctl.core.names import Name
from shmctl.core.polling import readable_within

_SPIN_SECONDS = 0.0002
_FIRST_SLEEP = 0.00005
_SLEEP_PER_WAIT = 1 / 20
_SECONDS_BETWEEN_LOOKS = 0.01
_BLIND_SLEEP = 0.01
_DEAR_LOOK = 0.0005
_SLEEP_PER_COST = 50
_LONGEST_SLEEP = 1.0


class NameWatch:
    """Watches a name in a directory: inotify(7).

    Without a watch, because there are too many, the name is polled.
    """

    def __init__(self, name: Name, directory: Directory) -> None:
        self._name = name
        self._bare = name[1:]
        self._fd = _open_watch(directory)

    def __enter__(self) -> "NameWatch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._fd is not None:
            with suppress(OSError):  # nothing hangs on it any more
                os.close(self._fd)

    def wait(self, seconds: float | None) -> bool:
        """Sleep until something may have happened to the name, at most ``seconds``; whether it may have."""
        if self._fd is None:
            time.sleep(_BLIND_SLEEP if seconds is None else min(_BLIND_SLEEP, seconds))
            return True
        with failing_as("inotify", self._name):
            if not readable_within(self._fd, seconds):
                return False
            return any(name in (self._bare, b"") for name in list(inotify.read_names(self._fd)))


def _open_watch(directory: Directory) -> int | None:
    mask = inotify.CREATE | inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO
    try:
        return inotify.open_watch(directory.own_path, mask)
    except OSError:
        return None


class Pacer:
    """Passes the time between two looks at an object, or at /dev/shm, which has no name to watch.

    It spins for a moment, then sleeps, each time a twentieth of what it has
    waited so far, at most ``interval`` seconds. With ``spin`` it never sleeps.
    After ``timeout`` seconds it allows one last look, and then raises ShmError
    (ETIMEDOUT).
    """

    def __init__(
        self,
        name: bytes,
        watch: NameWatch | None,
        timeout: float | None,
        interval: float,
        *,
        spin: bool = False,
    ) -> None:
        self._name = name
        self._watch = watch
        self._timeout = timeout
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._interval = interval
        self._spins_forever = spin
        self._expired = False
        self._spent: float | None = None  # the processor's time at the end of the last sleep
        self.restart()

    def restart(self) -> None:
        """Look often again: something has happened, and more may follow soon."""
        self._begun = self._next_look = time.monotonic()
        self._next_check = self._begun + _SPIN_SECONDS
        self._spinning = True

    def until_the_name_changes(self) -> None:
        """Sleep until something happens to the name: nothing else is worth a look, but for the last one."""
        assert self._watch is not None  # noqa: S101 - who asks for a name has a watch
        self._check_expired()
        while not self._watch.wait(self._left()) and not self._is_late():
            pass
        self._is_late()

    def name_may_have_changed(self) -> bool:
        """Whether something may have happened to the name since the last call."""
        return self._watch is None or self._watch.wait(0)

    def pause(self) -> bool:
        """Pass some time; whether the object should be looked at from outside, too: its name and its size."""
        now = time.monotonic()
        if self._spinning:
            if now < self._next_check:
                return False
            self._next_check = now + _SPIN_SECONDS
            self._spinning = self._spins_forever
            self._check_expired()
            if self._is_late() or self._spinning:
                return True
        self._check_expired()
        sleep = min(max(_FIRST_SLEEP, (now - self._begun) * _SLEEP_PER_WAIT), self._interval)
        # A look at much takes long, and is taken the less often.
        cost = 0.0 if self._spent is None else time.thread_time() - self._spent
        if cost > _DEAR_LOOK:
            sleep = max(sleep, min(cost * _SLEEP_PER_COST, _LONGEST_SLEEP))
        left = self._left()
        time.sleep(sleep if left is None else min(sleep, left))
        self._spent = time.thread_time()
        now = time.monotonic()
        if not self._is_late() and now < self._next_look:
            return False
        self._next_look = now + _SECONDS_BETWEEN_LOOKS
        return True

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _is_late(self) -> bool:
        self._expired = self._deadline is not None and time.monotonic() >= self._deadline
        return self._expired

    def _check_expired(self) -> None:
        if self._expired:
            detail = f"timed out after {self._timeout:g} s"
            raise ShmError("wait", self._name, errno.ETIMEDOUT, detail=detail)
