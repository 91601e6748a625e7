"""What fills a /dev/shm, to the byte."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shmctl.core import posix
from shmctl.core.errors import failing_as
from shmctl.core.inspect.processes import Unlinked, find_unlinked
from shmctl.core.models import Directory, ObjectInfo, user_name
from shmctl.core.target import is_mount_point, open_directory_of

INSIDE_DIRECTORIES = "in directories"


@dataclass(frozen=True, slots=True)
class Filling:
    """Capacity and use of one tmpfs in bytes, its inodes, and what the use consists of.

    ``by_kind`` and ``unlinked`` add up to ``used`` together with
    ``unexplained``, which may be negative where memory was given back
    meanwhile. ``by_owner`` divides the same bytes as ``by_kind``.
    ``uninspected`` processes may hold what is unexplained.
    """

    path: bytes
    capacity: int
    used: int
    free: int
    inodes: int
    inodes_used: int
    by_kind: Mapping[str, int]
    by_owner: Mapping[str, int]
    unlinked: tuple[Unlinked, ...]
    unexplained: int
    uninspected: int


def measure(directory: Directory, infos: Iterable[ObjectInfo]) -> Filling:
    """Measure the tmpfs of ``directory``, whose entries are ``infos``."""
    by_kind: Counter[str] = Counter()
    by_owner: Counter[str] = Counter()
    device = directory.device()
    seen: set[int] = set()
    for info in infos:
        if info.st.st_ino not in seen and info.st.st_dev == device:
            seen.add(info.st.st_ino)
            by_kind[info.kind.value] += info.allocated
            by_owner[info.owner] += info.allocated
    with failing_as("readdir", directory.path):
        deeper = list(_inside_directories(directory, device))
    for st in deeper:
        if st.st_ino not in seen:
            seen.add(st.st_ino)
            by_kind[INSIDE_DIRECTORIES] += st.st_blocks * 512
            by_owner[user_name(st.st_uid)] += st.st_blocks * 512
    unlinked, uninspected = find_unlinked(device, seen)
    vfs = posix.statvfs(directory)
    explained = sum(by_kind.values()) + sum(each.allocated or 0 for each in unlinked)
    # A tmpfs without a limit does not say how much of it is used.
    used = (vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize if vfs.f_blocks else explained
    return Filling(
        path=directory.path,
        capacity=vfs.f_blocks * vfs.f_frsize,
        used=used,
        free=vfs.f_bfree * vfs.f_frsize,
        inodes=vfs.f_files,
        inodes_used=vfs.f_files - vfs.f_ffree,
        by_kind=by_kind,
        by_owner=by_owner,
        unlinked=tuple(unlinked),
        unexplained=used - explained,
        uninspected=uninspected,
    )


def _inside_directories(directory: Directory, device: int) -> Iterator[os.stat_result]:
    """What stands deeper, on the same file system: libraries make directories here, too."""
    top: bytes | str = directory.path if directory.fd is None else "."
    for path, folders, files, fd in os.fwalk(top, dir_fd=directory.fd, follow_symlinks=False):
        if path == top:
            continue
        for name in (*folders, *files):
            try:
                st = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if st.st_dev == device:
                yield st


@dataclass(frozen=True, slots=True)
class Mounted:
    """A /dev/shm, the PID of a process that sees it, and the container's ID where its cgroup shows one."""

    directory: Directory
    pid: int | None
    container: str | None


_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


def all_mounted() -> tuple[list[Mounted], int]:
    """Every distinct /dev/shm on the host, through its processes' roots; and how many processes kept shut.

    The caller closes the directories' descriptors.
    """
    found: dict[int, Mounted] = {}
    roots: set[str] = set()
    uninspected = 0
    with failing_as("readdir", b"/proc"):
        pids = sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    for pid in pids:
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            root = os.readlink(f"/proc/{pid}/root")
            if f"{namespace} {root}" in roots:
                continue
            roots.add(f"{namespace} {root}")
            directory = open_directory_of(pid)
            device = os.stat(directory.fd or 0).st_dev
            if device in found or not is_mount_point(directory):
                os.close(directory.fd or 0)
            else:
                found[device] = Mounted(directory, pid, _container(pid))
        except PermissionError:
            uninspected += 1
        except OSError:
            continue
    return list(found.values()), uninspected


def _container(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii", errors="replace") as file:
            match = _CONTAINER_ID.search(file.read())
    except OSError:
        return None
    return match[0] if match else None
