"""The inodes of /dev/shm: whether each has a name, and which names have used them up."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from shmctl.core import posix
from shmctl.core.errors import failing_as
from shmctl.core.inspect.listing import scan
from shmctl.core.models import Directory, Kind, ObjectInfo
from shmctl.core.names import Name


def all_have_names(directory: Directory, entries: Iterable[ObjectInfo]) -> bool:
    """Whether no inode of the file system can be without a name: it has those of ``entries`` alone.

    Then no process holds an object without a name, inspected or not. True is sure: the file system
    counts no more inodes than that, and each entry, listed before it counted, has a name after it.
    False where there are directories or hard links, or where a tmpfs has no limit of inodes and
    counts none: then it may have others.
    """
    inodes = {info.st.st_ino for info in entries if not info.is_directory}
    vfs = posix.statvfs(directory)
    if vfs.f_files - vfs.f_ffree != 1 + len(inodes):  # with the directory's own
        return False
    with (
        posix.closing(posix.open_directory(directory), directory.path) as fd,
        failing_as("readdir", directory.path),
        os.scandir(fd) as found,
    ):
        for entry in found:
            inodes.discard(entry.inode())
    return not inodes


class Shortage(NamedTuple):
    """A file system without a free inode: ``taken`` of its ``total`` are one owner's, of one ``kind``.

    ``example`` is one of their names. All three are None where the directory has no entry.
    """

    total: int
    taken: int
    owner: str | None
    kind: Kind | None
    example: Name | None


def find_shortage(directory: Directory) -> Shortage | None:
    """Return what takes most inodes where none is free; None otherwise. Raises ShmError."""
    vfs = posix.statvfs(directory)
    if not vfs.f_files or vfs.f_ffree:
        return None
    entries = sorted(scan(directory), key=lambda info: info.name)
    groups = Counter((info.st.st_uid, info.kind) for info in entries)
    if not groups:
        return Shortage(vfs.f_files, 0, None, None, None)
    group, taken = groups.most_common(1)[0]
    example = next(info for info in entries if (info.st.st_uid, info.kind) == group)
    return Shortage(vfs.f_files, taken, example.owner, example.kind, example.name)
