"""The live processes, by their PID in each PID namespace."""

import os
from collections.abc import Iterator

from shmctl.core import proc
from shmctl.core.errors import FileError


class PidTable:
    """The processes as of first use, by each PID that they have in any namespace."""

    def __init__(self) -> None:
        self._start_times: dict[int, float] | None = None
        self._dead: set[int] = set()
        self._blind_spot: str | None = None

    @property
    def blind_spot(self) -> str | None:
        """Return why a live process may be missing from the table, or None."""
        self._load()
        return self._blind_spot

    def started(self, pid: int) -> float | None:
        """When the process with that PID started, in seconds since the epoch; None if none is alive.

        Of several, in different namespaces, the first one. Of one that /proc
        hides (hidepid), 0. A zombie is alive while other threads of it are.
        """
        started = self._load().get(pid)
        unlisted = started is None and pid > 0 and pid not in self._dead
        return 0.0 if unlisted and _is_alive(pid) else started

    def is_alive(self, pid: int) -> bool | None:
        """Whether a process with that PID is alive; None where it may be one that is not visible."""
        if self.started(pid) is not None:
            return True
        return False if self.blind_spot is None else None

    def _load(self) -> dict[int, float]:
        if self._start_times is None:
            self._start_times = {}
            self._blind_spot = _blind_spot()
            try:
                found, uninspected = proc.survey(proc.pids(), self._look_at)
            except FileError:
                return self._start_times
            for pid, started in found:
                self._start_times[pid] = min(started, self._start_times.get(pid, started))
            if uninspected:
                self._blind_spot = "not every process can be inspected"
        return self._start_times

    def _look_at(self, pid: int) -> Iterator[tuple[int, float]]:
        """Each number of a process that lives, and when it started."""
        stat = proc.stat(pid)
        if stat.is_dead:
            self._dead.add(pid)
            return
        started = boot_time() + stat.start
        for number in proc.namespace_pids(pid):
            yield number, started


def life_text(is_alive: bool | None) -> str:
    """``alive``, ``dead`` or ``not visible``."""
    return {True: "alive", False: "dead", None: "not visible"}[is_alive]


def _is_alive(pid: int) -> bool:
    """Signal 0 asks without touching: kill(2). EPERM comes from a process that is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _blind_spot() -> str | None:
    try:
        namespace = proc.namespace(None, "pid")
    except OSError:
        return "/proc is not there"
    if namespace != proc.INITIAL_PID_NAMESPACE:
        return "it may live in a PID namespace that is not visible from here"
    if not proc.exists(1):
        return "/proc hides other users' processes (hidepid)"
    return None


def boot_time() -> float:
    """When the system started, in seconds since the epoch."""
    import time

    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
