"""What several checks look at, read once."""

import os
from dataclasses import dataclass
from functools import cached_property

from shmctl.core import posix
from shmctl.core.inspect.listing import scan
from shmctl.core.inspect.mounts import Mount, mount_of, read_mounts
from shmctl.core.inspect.usage import Usage, measure
from shmctl.core.models import Directory, ObjectInfo


@dataclass(frozen=True)
class Examination:
    """One look at a /dev/shm. What it reads may raise OSError."""

    directory: Directory

    @property
    def pid(self) -> int | None:
        """The process whose /dev/shm it is, if not our own."""
        return self.directory.pid

    @cached_property
    def vfs(self) -> os.statvfs_result:
        """statvfs(3) of the directory."""
        return posix.statvfs(self.directory)

    @property
    def capacity(self) -> int:
        """How much it may hold in bytes; 0 means without limit."""
        return self.vfs.f_blocks * self.vfs.f_frsize

    @cached_property
    def mounts(self) -> list[Mount]:
        """What the process sees mounted."""
        return read_mounts(self.pid)

    @cached_property
    def mount(self) -> Mount | None:
        """The mount that the directory is on; None where the table does not show it."""
        return mount_of(self.directory, self.mounts)

    @cached_property
    def infos(self) -> list[ObjectInfo]:
        """What stands in the directory, by name."""
        return sorted(scan(self.directory), key=lambda info: info.name)

    @cached_property
    def objects(self) -> list[ObjectInfo]:
        """The objects among that."""
        return [info for info in self.infos if info.kind.is_object]

    @cached_property
    def filling(self) -> Usage:
        """What takes the memory."""
        return measure(self.directory, self.infos)

    def command(self, words: str) -> str:
        """A shell command that has to see the same mounts as the process."""
        return words if self.pid is None else f"nsenter --target {self.pid} --mount {words}"
