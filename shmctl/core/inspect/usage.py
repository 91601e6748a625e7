"""The use of a /dev/shm, exact to the byte."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from shmctl.core import posix, proc
from shmctl.core.errors import FileError, failing_as
from shmctl.core.inspect.containers import Place, place_of
from shmctl.core.inspect.holders import Unlinked
from shmctl.core.inspect.mounts import is_file_system_root, mount_of, read_mounts
from shmctl.core.models import DEV_SHM, Directory, Kind, ObjectInfo, user_name
from shmctl.core.target import is_mount_point, open_directory_of

INSIDE_DIRECTORIES = "in directories"
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Usage:
    """Capacity and use of one tmpfs in bytes, its inodes, and the parts of the use.

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
    uninspected: Sequence[proc.Uninspected]
    whole: bool


def measure(
    directory: Directory,
    vfs: os.statvfs_result,
    *,
    named: Sequence[ObjectInfo],
    below: Sequence[os.stat_result],
    unlinked: Sequence[Unlinked],
    uninspected: Sequence[proc.Uninspected],
) -> Usage:
    """Measure the tmpfs of ``directory``.

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
    # A tmpfs without a limit does not report its use.
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
    """Whether the file system has nothing outside the directory, as far as the mount table shows."""
    try:
        mount = mount_of(directory, read_mounts())
    except OSError:
        return True
    return mount is None or is_file_system_root(directory, mount)


def inside_directories(
    directory: Directory, entries: Iterable[ObjectInfo], device: int
) -> Iterator[os.stat_result]:
    """Yield the files below the directories among ``entries``, on the same file system.

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
        return  # it is gone, or may not be read
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
    """A /dev/shm, the PID of a process that sees it, and where that runs."""

    directory: Directory
    pid: int | None = None
    place: Place = Place()  # noqa: RUF009 - it cannot change


@contextmanager
def mounted_everywhere() -> Iterator[tuple[list[Mounted], list[proc.Uninspected]]]:
    """`all_mounted`, the descriptors closed at the end."""
    mounted, uninspected = all_mounted()
    try:
        yield mounted, uninspected
    finally:
        for where in mounted:
            if where.directory.fd is not None:
                os.close(where.directory.fd)


def all_mounted() -> tuple[list[Mounted], list[proc.Uninspected]]:
    """Every distinct /dev/shm on the host, through its processes' roots; and who could not be inspected.

    The caller closes the directories' descriptors.
    """
    roots: set[tuple[bytes, bytes]] = set()
    devices: set[int] = set()
    own = _own_root()
    with ExitStack() as opened:

        def look_at(pid: int) -> list[Mounted]:
            root = proc.namespace(pid, "mnt"), proc.root(pid)
            mounted = None if root in roots else _mounted(pid, devices, opened, is_own=root == own)
            roots.add(root)
            return [mounted] if mounted else []

        found = proc.survey(proc.pids(), look_at)
        opened.pop_all()
    return found


def _mounted(pid: int, devices: set[int], opened: ExitStack, *, is_own: bool) -> Mounted | None:
    """The /dev/shm that a process sees, its descriptor in ``opened`` and its device in ``devices``.

    None for one whose device is there already, and for what is not mounted there.
    """
    try:
        path, fd = _own_directory() if is_own else open_directory_of(pid)
    except FileError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return None
        raise
    with ExitStack() as closing:
        closing.callback(os.close, fd)
        device = os.fstat(fd).st_dev
        if device in devices or not is_mount_point(path, fd):
            return None
        devices.add(device)
        mounted = Mounted(Directory(path, fd, None if is_own else pid), pid, place_of(pid))
        opened.push(closing.pop_all())
    return mounted


def _own_root() -> tuple[bytes, bytes] | None:
    try:
        return proc.namespace(None, "mnt"), proc.root(None)
    except OSError:
        return None


def _own_directory() -> tuple[bytes, int]:
    """The one that shmctl works in without --target: a link in its place is followed."""
    return DEV_SHM.path, os.open(DEV_SHM.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
