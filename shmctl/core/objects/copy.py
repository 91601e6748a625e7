"""Copy objects: what appears is whole, with holes, mode and, as root, owner."""

import os
import stat
from collections.abc import Callable

from shmctl.core import posix, transfer
from shmctl.core.errors import shrunk
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.objects.publish import created_atomically
from shmctl.core.objects.resize import room
from shmctl.core.transfer import SENDFILE_COUNT


def copy_object(old: Name, new: Name, directory: Directory = DEV_SHM, *, replace: bool = False) -> int:
    """Copy an object: data, holes and mode, as root the owner too. Returns its size in bytes.

    The copy appears at once and whole: O_TMPFILE, linkat(2), rename(2). EEXIST
    where ``new`` exists, unless it is to ``replace`` that.
    """
    with opened(old, os.O_RDONLY, directory) as source:
        return copy_open(source, new, directory, replace=replace)


def copy_open(source: OpenObject, new: Name, directory: Directory, *, replace: bool = False) -> int:
    """Copy an object that is open to read, wherever it is and whether or not it has a name."""
    st = source.stat()
    owner = st.st_uid, st.st_gid
    create_like(
        new, directory, st.st_mode, owner, lambda target: _fill(target, source, st.st_size), replace=replace
    )
    return st.st_size


def _fill(target: OpenObject, source: OpenObject, size: int) -> None:
    """Copy the data of ``source``, and none of its holes, inside the kernel."""
    data = [each[:2] for each in transfer.extents(source.fd, 0, size, source.name) if each.is_data]
    with room(target, 0, size, exact=True, only=data):
        for offset, length in data:
            at = offset
            while at < offset + length:
                count = min(SENDFILE_COUNT, offset + length - at)
                copied = transfer.copy_file_range(source.fd, target.fd, at, count, source.name)
                if not copied:
                    raise shrunk("copy_file_range", source.name)
                at += copied


def create_like(
    new: Name,
    directory: Directory,
    mode: int,
    owner: tuple[int, int],
    fill: Callable[[OpenObject], None],
    *,
    replace: bool = False,
) -> None:
    """Let an object appear once ``fill`` has filled it, with a mode, and as root with a user and a group."""
    with created_atomically(new, 0o600, directory, replace=replace) as target:
        fill(target)
        if os.geteuid() == 0:
            posix.fchown(target.fd, *owner, new)
        posix.fchmod(target.fd, stat.S_IMODE(mode), new)
