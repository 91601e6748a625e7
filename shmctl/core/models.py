"""The records that the library hands out."""

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from shmctl.core.errors import failing_as
from shmctl.core.names import Name, is_semaphore


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the objects live.

    ``fd``, when given, is an open descriptor of it, and every name is looked
    up from there; otherwise ``path`` is, as shm_open(3) does. ``pid`` is the
    process that it was reached through, if any.
    """

    path: bytes = b"/dev/shm"
    fd: int | None = None
    pid: int | None = None

    def path_of(self, name: Name) -> bytes:
        """The path of an object's file, for messages and for calls without ``fd``."""
        return self.path + name

    def device(self) -> int:
        """The number of the file system that it is on (st_dev)."""
        with failing_as("stat", self.path):
            return os.stat(self.path if self.fd is None else self.fd).st_dev


DEV_SHM = Directory()


class Kind(StrEnum):
    """What stands in the directory: an object (the first two) or something else."""

    SHM = "shm"
    SEMAPHORE = "semaphore"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    SOCKET = "socket"
    OTHER = "other"

    @property
    def is_object(self) -> bool:
        """Whether shm_open(3) or sem_open(3) could have made it."""
        return self in (Kind.SHM, Kind.SEMAPHORE)


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
    """What a file is, in words: ``a FIFO``."""
    return _TYPE_NAMES.get(stat.S_IFMT(st_mode), "a regular file")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One entry of the directory, as fstat(2) describes it."""

    name: Name
    directory: Directory
    st: os.stat_result

    @property
    def path(self) -> bytes:
        """The path of its file."""
        return self.directory.path_of(self.name)

    @property
    def kind(self) -> Kind:
        """What it is."""
        if stat.S_ISREG(self.st.st_mode):
            return Kind.SEMAPHORE if is_semaphore(self.name) else Kind.SHM
        return _KINDS.get(stat.S_IFMT(self.st.st_mode), Kind.OTHER)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.st.st_size

    @property
    def allocated(self) -> int:
        """The bytes of memory that it takes: st_blocks blocks of 512."""
        return self.st.st_blocks * 512

    @property
    def permissions(self) -> int:
        """Its permission bits, without the file type."""
        return stat.S_IMODE(self.st.st_mode)

    @property
    def owner(self) -> str:
        """Its owner's login name, or the number where the user database has none."""
        return user_name(self.st.st_uid)

    @property
    def group(self) -> str:
        """Its group's name, or the number where the group database has none."""
        return group_name(self.st.st_gid)


@dataclass(frozen=True, slots=True)
class Store:
    """``data`` to be stored ``offset`` bytes from where the caller counts."""

    offset: int
    data: bytes


@cache
def login_name(uid: int) -> str | None:
    """The login name of ``uid`` (getpwuid(3)); None where the user database has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def user_name(uid: int) -> str:
    """The login name of ``uid``, or the number as text."""
    return login_name(uid) or str(uid)


@cache
def group_entry(gid: int) -> str | None:
    """The name of group ``gid`` (getgrgid(3)); None where the group database has none."""
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def group_name(gid: int) -> str:
    """The name of group ``gid``, or the number as text."""
    return group_entry(gid) or str(gid)
