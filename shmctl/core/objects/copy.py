"""Copy objects: what appears is whole, with holes, mode and, as root, owner."""

import errno
import os
import stat
from collections.abc import Callable

from shmctl.core import posix, transfer
from shmctl.core.errors import ShmError, failing_as, shrunk
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.objects.publish import created_atomically
from shmctl.core.objects.resize import room
from shmctl.core.transfer import SENDFILE_COUNT

# Sandboxes lack the call, and older kernels make it within some file systems only.
_NO_SUCH_COPY = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


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
                at += _copy_some(target, source, at, min(SENDFILE_COUNT, offset + length - at))


def _copy_some(target: OpenObject, source: OpenObject, offset: int, count: int) -> int:
    try:
        copied = transfer.copy_file_range(source.fd, target.fd, offset, count, source.name)
    except ShmError as error:
        if error.errno not in _NO_SUCH_COPY:
            raise
        transfer.seek(target.fd, offset, target.name)
        with failing_as("sendfile", source.name, ShmError):
            copied = transfer.sendfile(target.fd, source.fd, offset, count, source.name)
    if not copied:
        raise shrunk("copy_file_range", source.name)
    return copied


def create_like(
    new: Name,
    directory: Directory,
    mode: int,
    owner: tuple[int, int],
    fill: Callable[[OpenObject], None],
    *,
    replace: bool = False,
) -> None:
    """Let an object appear once ``fill`` has filled it, with a mode, and as root with a user and a group.

    Without the owner it loses the set-user-ID and set-group-ID bits: they
    would make what another user wrote a program that runs as this one.
    """
    mode = stat.S_IMODE(mode)
    with created_atomically(new, 0o600, directory, replace=replace) as target:
        fill(target)
        if os.geteuid() == 0:
            posix.fchown(target.fd, *owner, new)
        else:
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
        posix.fchmod(target.fd, mode, new)
