"""Who locks files, from /proc/locks (proc_locks(5))."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks of the host: by (device, inode), a word for one of them: ``FLOCK by PID 4711``."""

    owners: Mapping[tuple[int, int], str]

    @classmethod
    def read(cls) -> "Locks":
        """The locks as they are now; none where /proc/locks cannot be read."""
        try:
            with open("/proc/locks", encoding="ascii", errors="replace") as file:
                return cls(dict(_parse(line) for line in file if " -> " not in line))
        except OSError:
            return cls({})


def _parse(line: str) -> tuple[tuple[int, int], str]:
    """``1: FLOCK  ADVISORY  WRITE 708 00:1b:12345 0 EOF``."""
    _, kind, _, _, pid, where, *_ = line.split()
    major, minor, inode = where.split(":")
    return (os.makedev(int(major, 16), int(minor, 16)), int(inode)), f"{kind} by PID {pid}"
