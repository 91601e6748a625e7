"""Facts that several checks use, read once."""

import os
from dataclasses import dataclass
from functools import cached_property

from shmctl.core.inspect.mounts import Mount, mount_of, read_mounts
from shmctl.core.inspect.snapshot import Snapshot, snapshots
from shmctl.core.models import Directory


@dataclass(frozen=True)
class Examination:
    """One look at a /dev/shm. What it reads may raise OSError."""

    directory: Directory

    @property
    def pid(self) -> int | None:
        """The process whose /dev/shm it is, if not our own."""
        return self.directory.pid

    @cached_property
    def snapshot(self) -> Snapshot:
        """The entries of the directory, and their holders."""
        return snapshots([self.directory])[0]

    @property
    def vfs(self) -> os.statvfs_result:
        """statvfs(3) of the directory."""
        return self.snapshot.vfs

    @property
    def capacity(self) -> int:
        """The capacity in bytes; 0 means no limit."""
        return self.vfs.f_blocks * self.vfs.f_frsize

    @cached_property
    def mounts(self) -> list[Mount]:
        """The mounts that the process sees."""
        return read_mounts(self.pid)

    @cached_property
    def mount(self) -> Mount | None:
        """The mount that the directory is on; None where the table does not show it."""
        return mount_of(self.directory, self.mounts)

    def command(self, words: str) -> str:
        """A shell command that has to see the same mounts as the process."""
        return words if self.pid is None else f"nsenter --target {self.pid} --mount {words}"
