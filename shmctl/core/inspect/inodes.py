"""The names that have used up the inodes of /dev/shm."""

from collections import Counter
from typing import NamedTuple

from shmctl.core import posix
from shmctl.core.inspect.listing import scan
from shmctl.core.models import Directory, Kind
from shmctl.core.names import Name


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
