"""Which PIDs are alive, in whatever PID namespace they are counted."""

import os

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"


class PidTable:
    """The processes of the host as they are at first use, by each PID that any namespace knows them by."""

    def __init__(self) -> None:
        self._start_times: dict[int, float] | None = None
        self._blind_spot: str | None = None

    @property
    def blind_spot(self) -> str | None:
        """Why a process may live without being in the table; None if none can."""
        self._load()
        return self._blind_spot

    def started(self, pid: int) -> float | None:
        """When the process with that PID started, in seconds since the epoch; None if there is none.

        Of several, in different namespaces, the first one. Of one that /proc
        hides (hidepid), 0.
        """
        started = self._load().get(pid)
        return 0.0 if started is None and pid > 0 and _is_alive(pid) else started

    def _load(self) -> dict[int, float]:
        if self._start_times is None:
            self._start_times = {}
            self._blind_spot = _blind_spot()
            for entry in _process_directories():
                try:
                    self._add(entry)
                except (FileNotFoundError, ProcessLookupError):
                    continue
                except OSError:
                    self._blind_spot = "not every process can be inspected"
        return self._start_times

    def _add(self, entry: str) -> None:
        assert self._start_times is not None  # noqa: S101 - for the type checker
        started = _start_time(entry)
        for pid in _pids_in_all_namespaces(entry):
            self._start_times[pid] = min(started, self._start_times.get(pid, started))


def _process_directories() -> list[str]:
    try:
        return [entry for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError:
        return []


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
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return "/proc is not there"
    if namespace != _INITIAL_PID_NAMESPACE:
        return "it may live in a PID namespace that is not visible from here"
    if not os.path.exists("/proc/1"):
        return "/proc hides other users' processes (hidepid)"
    return None


def _pids_in_all_namespaces(entry: str) -> list[int]:
    with open(f"/proc/{entry}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("NSpid:"):
                return [int(pid) for pid in line.split()[1:]]
    return [int(entry)]


def _start_time(entry: str) -> float:
    """Field 22 of /proc/PID/stat, ticks after boot (proc_pid_stat(5)), as seconds since the epoch."""
    with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
        after_command = file.read().rpartition(")")[2].split()
    return _boot_time() + int(after_command[19]) / os.sysconf("SC_CLK_TCK")


def _boot_time() -> float:
    import time

    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
