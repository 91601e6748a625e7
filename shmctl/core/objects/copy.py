"""Copy objects: what appears is whole, with holes, mode and, as root, owner."""

import os
import stat
from collections.abc import Callable

from shmctl.core import posix
from shmctl.core.errors import shrunk
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.objects.publish import created_atomically
from shmctl.core.objects.streams import Source, copy_in
from shmctl.core.objects.write import Fit


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

    def fill(target: OpenObject) -> None:
        name = source.directory.path_of(source.name)
        if copy_in(target, 0, Source(source.fd, name), Fit(exact=True)) < st.st_size:
            raise shrunk("sendfile", source.name)

    create_like(new, directory, st.st_mode, (st.st_uid, st.st_gid), fill, replace=replace)
    return st.st_size


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
