"""The records of the library.

Named tuples, because every command loads them: defining a frozen dataclass takes
a quarter of a millisecond at start-up, importing dataclasses more than one.
"""

import os
import stat
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import NamedTuple

from shmctl.core.names import Name, is_semaphore


class Directory(NamedTuple):
    """The directory of the objects.

    Names are resolved relative to the open descriptor ``fd``, if given, else
    below ``path``, as shm_open(3) does. ``pid`` is the process whose /dev/shm
    it is, if --target chose one.
    """

    path: bytes = b"/dev/shm"
    fd: int | None = None
    pid: int | None = None

    def path_of(self, name: Name) -> bytes:
        """Return the path of an object's file."""
        return self.path + name

    @property
    def own_path(self) -> bytes:
        """A path by which this process reaches the directory, in whatever namespace it is."""
        return self.path if self.fd is None else b"/proc/self/fd/%d" % self.fd


DEV_SHM = Directory()


class Kind(StrEnum):
    """The kind of a directory entry: an object (the first two) or something else."""

    SHM = "shm"
    SEMAPHORE = "semaphore"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SOCKET = "socket"
    OTHER = "other"

    __hash__ = str.__hash__  # an Enum's own is written in Python, and a listing asks it for each object


_KINDS = {stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFSOCK: Kind.SOCKET}
_TYPE_NAMES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def type_name(st_mode: int) -> str:
    """Return the file type in words: ``a FIFO``."""
    return _TYPE_NAMES.get(stat.S_IFMT(st_mode), "a regular file")


Identity = tuple[int, int]
"""(st_dev, st_ino)."""

# Files share most of these numbers with others, and a number takes four times the memory of a reference.
_shared: dict[int, int] = {}
_behind_them = attrgetter("st_blocks", "st_blksize", "st_rdev", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")


class FileStat(NamedTuple):
    """What fstat(2) tells about a file, in less than half the memory of an os.stat_result."""

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_blocks: int
    st_blksize: int
    st_rdev: int
    st_atime_ns: int
    st_mtime_ns: int
    st_ctime_ns: int

    @classmethod
    def of(cls, st: os.stat_result) -> "FileStat":
        """The same in this form."""
        share = _shared.setdefault
        mode, ino, dev, nlink, uid, gid, size = st[:7]
        blocks, blksize, rdev, atime, mtime, ctime = _behind_them(st)
        mode, dev, uid, gid = share(mode, mode), share(dev, dev), share(uid, uid), share(gid, gid)
        size, blocks, blksize = share(size, size), share(blocks, blocks), share(blksize, blksize)
        atime, ctime = mtime if atime == mtime else atime, mtime if ctime == mtime else ctime
        fields = (mode, ino, dev, nlink, uid, gid, size, blocks, blksize, rdev, atime, mtime, ctime)
        return tuple.__new__(cls, fields)  # half the time that its own constructor takes

    @property
    def identity(self) -> Identity:
        """Its device and inode, which no other file has while there is this one."""
        return self.st_dev, self.st_ino


class ObjectInfo(NamedTuple):
    """A directory entry and its metadata (fstat(2)).

    ``btime_ns`` is the creation time in nanoseconds since the epoch (statx(2)); None if nobody asked for
    it, or if the file system does not record it.
    """

    name: Name
    directory: Directory
    st: FileStat
    btime_ns: int | None = None

    @property
    def identity(self) -> Identity:
        """The device and inode of its file."""
        return self.st.identity

    @property
    def path(self) -> bytes:
        """The path of its file."""
        return self.directory.path_of(self.name)

    @property
    def is_object(self) -> bool:
        """Whether shm_open(3) or sem_open(3) could have created it."""
        return stat.S_ISREG(self.st.st_mode)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.st.st_mode)

    @property
    def kind(self) -> Kind:
        """The kind of the entry."""
        if stat.S_ISREG(self.st.st_mode):
            return Kind.SEMAPHORE if is_semaphore(self.name) else Kind.SHM
        return _KINDS.get(stat.S_IFMT(self.st.st_mode), Kind.OTHER)

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.st.st_size

    @property
    def allocated(self) -> int:
        """The allocated memory in bytes: st_blocks times 512."""
        return self.st.st_blocks * 512

    @property
    def permissions(self) -> int:
        """The permission bits, without the file type."""
        return stat.S_IMODE(self.st.st_mode)

    @property
    def owner(self) -> str:
        """The owner's login name, or the number if the user database has none."""
        return user_name(self.st.st_uid)

    @property
    def group(self) -> str:
        """The group's name, or the number if the group database has none."""
        return group_name(self.st.st_gid)


class Store(NamedTuple):
    """``data`` to store at ``offset``, relative to the caller's base."""

    offset: int
    data: bytes


@cache
def login_name(uid: int) -> str | None:
    """Return the login name of ``uid`` (getpwuid(3)), or None."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def user_name(uid: int) -> str:
    """Return the login name of ``uid``, or the number as text."""
    return login_name(uid) or str(uid)


@cache
def group_entry(gid: int) -> str | None:
    """Return the name of group ``gid`` (getgrgid(3)), or None."""
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def group_name(gid: int) -> str:
    """Return the name of group ``gid``, or the number as text."""
    return group_entry(gid) or str(gid)
