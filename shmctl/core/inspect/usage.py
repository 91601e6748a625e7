"""What fills a /dev/shm, to the byte."""

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shmctl.core import posix
from shmctl.core.errors import failing_as
from shmctl.core.inspect.holders import Unlinked
from shmctl.core.inspect.mounts import is_file_system_root, mount_of, read_mounts
from shmctl.core.models import DEV_SHM, Directory, Kind, ObjectInfo, user_name
from shmctl.core.target import is_mount_point, open_directory_of

INSIDE_DIRECTORIES = "in directories"
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Usage:
    """Capacity and use of one tmpfs in bytes, its inodes, and what the use consists of.

    ``by_kind`` and ``unlinked`` add up to ``used`` together with
    ``unexplained``, which may be negative where memory was given back
    meanwhile. ``by_kind`` has every `Kind` and `INSIDE_DIRECTORIES`, with 0
    where there is none. ``by_owner`` divides the same bytes.
    ``uninspected`` processes may hold what is unexplained; so may other
    directories of the file system if this is not the ``whole`` of it.
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
    whole: bool


def measure(
    directory: Directory,
    vfs: os.statvfs_result,
    *,
    named: Sequence[ObjectInfo],
    below: Sequence[os.stat_result],
    unlinked: Sequence[Unlinked],
    uninspected: int,
) -> Usage:
    """Add up what the tmpfs of ``directory`` holds.

    ``named`` are its entries, each inode once, and ``below`` is what stands
    in its directories.
    """
    by_kind = Counter(dict.fromkeys((*map(str, Kind), INSIDE_DIRECTORIES), 0))
    by_owner: Counter[str] = Counter()
    for info in named:
        by_kind[info.kind.value] += info.allocated
        by_owner[info.owner] += info.allocated
    seen = {info.st.st_ino for info in named}
    for st in below:
        if st.st_ino not in seen:
            seen.add(st.st_ino)
            by_kind[INSIDE_DIRECTORIES] += st.st_blocks * 512
            by_owner[user_name(st.st_uid)] += st.st_blocks * 512
    explained = sum(by_kind.values()) + sum(each.allocated or 0 for each in unlinked)
    # A tmpfs without a limit does not say how much of it is used.
    used = (vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize if vfs.f_blocks else explained
    return Usage(
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
        whole=_is_whole(directory),
    )


def _is_whole(directory: Directory) -> bool:
    """Whether nothing else is on its file system, as far as the mount table shows that."""
    try:
        mount = mount_of(directory, read_mounts())
    except OSError:
        return True
    return mount is None or is_file_system_root(directory, mount)


def inside_directories(
    directory: Directory, entries: Iterable[ObjectInfo], device: int
) -> Iterator[os.stat_result]:
    """What stands below the directories among ``entries``, on the same file system: libraries make some.

    Nothing is followed and nothing but a directory is opened, which os.fwalk
    does not promise; and it stops 100 levels down, for anybody can dig deeper.
    """
    folders = [each for each in entries if each.kind is Kind.DIRECTORY and each.st.st_dev == device]
    if not folders:
        return
    with (
        posix.closing(posix.open_directory(directory), directory.path) as fd,
        failing_as("readdir", directory.path),
    ):
        for folder in folders:
            yield from _below(fd, os.fsdecode(folder.name[1:]), folder.st, device, _DEEPEST)


def _below(fd: int, name: str, st: os.stat_result, device: int, levels: int) -> Iterator[os.stat_result]:
    if not stat.S_ISDIR(st.st_mode) or not levels:
        return
    try:
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    except OSError:
        return  # it is gone, or not for us to look into
    try:
        for entry, inside in _entries(inner, device):
            yield inside
            yield from _below(inner, entry, inside, device, levels - 1)
    finally:
        os.close(inner)


def _entries(fd: int, device: int) -> Iterator[tuple[str, os.stat_result]]:
    for name in os.listdir(fd):
        try:
            st = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue
        if st.st_dev == device:
            yield name, st


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
    own = _own_root()
    with failing_as("readdir", b"/proc"):
        pids = sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    for pid in pids:
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
            root = os.readlink(f"/proc/{pid}/root")
            if f"{namespace} {root}" in roots:
                continue
            roots.add(f"{namespace} {root}")
            directory = _own_directory() if (namespace, root) == own else open_directory_of(pid)
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


def _own_root() -> tuple[str, str] | None:
    try:
        return os.readlink("/proc/self/ns/mnt"), os.readlink("/proc/self/root")
    except OSError:
        return None


def _own_directory() -> Directory:
    """The one that shmctl works in without --target: a link in its place is followed."""
    oflag = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    return Directory(DEV_SHM.path, os.open(DEV_SHM.path, oflag))


def _container(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii", errors="replace") as file:
            match = _CONTAINER_ID.search(file.read())
    except OSError:
        return None
    return match[0] if match else None
