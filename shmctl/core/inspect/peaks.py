"""The highest use of a /dev/shm so far: what was full for a second shows afterwards."""

import time
from typing import NamedTuple

from shmctl.core import posix
from shmctl.core.models import Directory


class Peak(NamedTuple):
    """The most bytes that were used, and when that was first seen, in nanoseconds since the epoch."""

    used: int
    time_ns: int


class Peaks:
    """The highest use of each file system, by st_dev, since the first look at it."""

    def __init__(self) -> None:
        self._highest: dict[int, Peak] = {}

    def note(self, device: int, used: int) -> Peak:
        """The highest use, ``used`` bytes just now included."""
        before = self._highest.get(device)
        if before is None or used > before.used:
            self._highest[device] = Peak(used, time.time_ns())
        return self._highest[device]

    def sample(self, directory: Directory) -> None:
        """Look at a file system that was noted before: statvfs(3) and no more."""
        vfs = posix.statvfs(directory)
        # Without a limit a tmpfs does not report its use.
        if vfs.f_blocks:
            device = posix.stat_directory(directory).st_dev
            self.note(device, (vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize)
