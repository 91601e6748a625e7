"""How much memory a process's control group may take (cgroups(7)), objects in /dev/shm included."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shmctl.core import proc
from shmctl.core.inspect.mounts import Mount, read_mounts
from shmctl.core.names import escape

# The older interface writes "no limit" as the largest multiple of a page.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The smallest limit in bytes, and the group that has it."""

    size: int
    cgroup: str


def memory_limit(pid: int | None = None) -> MemoryLimit | None:
    """The limit on the memory of a process, or of this one; None without any. Raises OSError."""
    mounts = read_mounts()
    limits: list[MemoryLimit] = []
    for line in proc.cgroups(pid):
        hierarchy, controllers, cgroup = line.split(b":", 2)
        if hierarchy == b"0":
            mount = _last(mount for mount in mounts if mount.fstype == "cgroup2")
            limits += _limits(mount, cgroup, "memory.max")
        elif b"memory" in controllers.split(b","):
            mount = _last(m for m in mounts if m.fstype == "cgroup" and "memory" in m.options)
            limits += _limits(mount, cgroup, "memory.limit_in_bytes")
    return min(limits, key=lambda limit: limit.size, default=None)


def _last(mounts: Iterable[Mount]) -> Mount | None:
    return next(reversed(list(mounts)), None)


def _limits(mount: Mount | None, cgroup: bytes, file_name: str) -> Iterator[MemoryLimit]:
    """The limits of a group and of all above it, as far as the mount shows them."""
    if mount is None:
        return
    below = mount.root.rstrip(b"/")
    inside = cgroup.removeprefix(below) if (cgroup + b"/").startswith(below + b"/") else b""
    while True:
        try:
            with open(os.fsdecode(mount.point + inside) + "/" + file_name, encoding="ascii") as file:
                text = file.read().strip()
        except FileNotFoundError:
            # The root group has no such file.
            text = "max"
        if text != "max" and int(text) < _NO_LIMIT:
            yield MemoryLimit(int(text), escape(below + inside or b"/"))
        if inside in (b"", b"/"):
            return
        inside = inside.rpartition(b"/")[0]
