"""The use of a /dev/shm, exact to the byte."""

import errno
import os
import resource
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from shmctl.core import proc
from shmctl.core.errors import FileError
from shmctl.core.inspect.containers import Place, place_in, place_of
from shmctl.core.inspect.folders import Folder
from shmctl.core.inspect.holders import Unlinked
from shmctl.core.inspect.location import Locator
from shmctl.core.inspect.mounts import read_mounts
from shmctl.core.models import DEV_SHM, Directory, Kind, ObjectInfo
from shmctl.core.target import is_mount_point, open_directory_of

INSIDE_DIRECTORIES = "in directories"
_LEFT_FREE = 20  # descriptors for looking at one directory, and for the output


@dataclass(frozen=True, slots=True)
class Usage:
    """Capacity and use of one tmpfs in bytes, its inodes, and the parts of the use.

    ``by_kind`` and ``unlinked`` add up to ``used`` together with
    ``unexplained``, less what was ``given_back`` between the moments at which
    the parts and the whole were counted. ``by_kind`` has every `Kind` and `INSIDE_DIRECTORIES`, with 0
    where there is none. ``by_owner`` divides the same bytes.
    ``by_folder`` divides what is `INSIDE_DIRECTORIES`, and has no memory of
    directories themselves. ``uninspected`` processes may hold what is unexplained; so may other
    directories of the file system if this is not the ``whole`` of it.
    Of ``elsewhere`` objects without a name nothing shows in which they were.
    """

    path: bytes
    capacity: int
    used: int
    free: int
    inodes: int
    inodes_used: int
    by_kind: Mapping[str, int]
    by_owner: Mapping[str, int]
    by_folder: Sequence[tuple[Folder, int]]
    unlinked: tuple[Unlinked, ...]
    unexplained: int
    given_back: int
    uninspected: Sequence[proc.Uninspected]
    whole: bool
    elsewhere: int


def measure(
    directory: Directory,
    vfs: os.statvfs_result,
    *,
    named: Sequence[ObjectInfo],
    folders: Sequence[Folder],
    unlinked: Sequence[Unlinked],
    uninspected: Sequence[proc.Uninspected],
    locator: Locator,
) -> Usage:
    """Measure the tmpfs of ``directory``.

    ``named`` are its entries, each inode once, and ``folders`` its
    directories with what is in them.
    """
    by_kind = Counter(dict.fromkeys((*map(str, Kind), INSIDE_DIRECTORIES), 0))
    by_owner: Counter[str] = Counter()
    for info in named:
        by_kind[info.kind.value] += info.allocated
        by_owner[info.owner] += info.allocated
    seen = {info.st.st_ino for info in named}
    by_folder = []
    for folder in folders:
        before = by_kind[INSIDE_DIRECTORIES]
        for info in folder.inside:
            if info.st.st_ino not in seen:
                seen.add(info.st.st_ino)
                by_kind[INSIDE_DIRECTORIES] += info.allocated
                by_owner[info.owner] += info.allocated
        by_folder.append((folder, by_kind[INSIDE_DIRECTORIES] - before))
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
        by_folder=by_folder,
        unlinked=tuple(unlinked),
        unexplained=max(0, used - explained),
        given_back=max(0, explained - used),
        uninspected=uninspected,
        whole=locator.whole,
        elsewhere=locator.unknown,
    )


@dataclass(frozen=True, slots=True)
class Mounted:
    """A /dev/shm, the PID of a process that sees it, and where that runs; `is_left` if none does any more."""

    directory: Directory
    pid: int | None = None
    place: Place = Place()  # noqa: RUF009 - it cannot change
    is_left: bool = False


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

    Those that no process has there any more come last, out of mount tables. The caller closes the
    directories' descriptors.
    """
    roots: dict[tuple[bytes, bytes], int] = {}
    devices: set[int] = set()
    own = _own_root()
    with ExitStack() as opened, _descriptors_left():

        def look_at(pid: int) -> list[Mounted]:
            root = proc.namespace(pid, "mnt"), proc.root(pid)
            mounted = None if root in roots else _mounted(pid, devices, opened, is_own=root == own)
            roots.setdefault(root, pid)
            return [mounted] if mounted else []

        found, uninspected = proc.survey(proc.pids(), look_at)
        left_over, refused = proc.survey(
            roots.values(), lambda pid: _left_over(pid, pid == roots.get(own), devices, opened)
        )
        opened.pop_all()
    return found + left_over, uninspected + refused


@contextmanager
def _descriptors_left() -> Iterator[None]:
    """Take as many descriptors as this process may have, and leave some for what comes after."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as taken:
        with suppress(OSError):
            for _ in range(_LEFT_FREE):
                taken.callback(os.close, os.open("/", os.O_PATH | os.O_CLOEXEC))
        yield


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
    if _is_kept(path, fd, devices, opened):
        return Mounted(Directory(path, fd, None if is_own else pid), pid, place_of(pid))
    return None


def _left_over(pid: int, is_own: bool, devices: set[int], opened: ExitStack) -> Iterator[Mounted]:
    """The same of tmpfs that a process's mount table shows at the place of some container's /dev/shm."""
    above = b"" if is_own else proc.root_path(pid)
    for mount in read_mounts(pid):
        place = place_in(mount.point)
        is_place = mount.point.endswith(b"/dev/shm" if place.container is None else b"/shm")
        if is_place and (mount.fstype, mount.root) == ("tmpfs", b"/"):
            path = above + mount.point
            with suppress(PermissionError, FileNotFoundError, NotADirectoryError):
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
                # Behind what covers it, and behind a planted link, the device is another.
                if _is_kept(path, fd, devices, opened, mount.device):
                    yield Mounted(Directory(path, fd, pid), None, place, is_left=True)


def _is_kept(path: bytes, fd: int, devices: set[int], opened: ExitStack, device: int | None = None) -> bool:
    """Whether ``fd`` is the root of a new device (that ``device``, if given); if not, it is closed."""
    with ExitStack() as closing:
        closing.callback(os.close, fd)
        found = os.fstat(fd).st_dev
        if found in devices or found != (device or found) or not is_mount_point(path, fd):
            return False
        devices.add(found)
        opened.push(closing.pop_all())
    return True


def _own_root() -> tuple[bytes, bytes]:
    try:
        return proc.namespace(None, "mnt"), proc.root(None)
    except OSError:
        return b"", b""


def _own_directory() -> tuple[bytes, int]:
    """The one that shmctl works in without --target: a link in its place is followed."""
    return DEV_SHM.path, os.open(DEV_SHM.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
