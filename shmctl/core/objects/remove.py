"""Remove names: shm_unlink(3) and unlink(2)."""

import errno

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory, FileStat
from shmctl.core.names import Name
from shmctl.core.objects.describe import describe_any, explained, is_same


def unlink_object(name: Name, directory: Directory = DEV_SHM) -> None:
    """Remove an object's name: shm_unlink(3). Its memory goes with its last user."""
    with explained(name, directory):
        posix.shm_unlink(name, directory)


def remove(name: Name, directory: Directory = DEV_SHM, *, shown: FileStat | None = None) -> None:
    """Remove a name and whatever stands under it, except a directory: unlink(2).

    Where it was ``shown`` to somebody, it has to be the same still: ESTALE.
    """
    with explained(name, directory):
        if shown is not None and not is_same(describe_any(name, directory).st, shown):
            detail = "another object has taken this name since; it is left alone"
            raise ShmError("unlink", name, errno.ESTALE, detail=detail)
        posix.unlink(name, directory)


def remove_if_same(name: Name, ours: FileStat, directory: Directory = DEV_SHM) -> None:
    """Unlink a name, unless it belongs to another object than ``ours`` by now.

    That takes no descriptor: there may be none left to be had.
    """
    try:
        if is_same(posix.lstat(name, directory), ours):
            posix.shm_unlink(name, directory)
    except ShmError as error:
        if error.errno != errno.ENOENT:
            raise
