"""Change an object's permissions and ownership: fchmod(2), fchown(2)."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.describe import explained, refuse_other_kinds
from shmctl.core.objects.open import OpenObject, opened


def change_mode(name: Name, change: int | Callable[[int], int], directory: Directory = DEV_SHM) -> int:
    """Set an object's permission bits, or what a function makes of the old ones; returns them: fchmod(2)."""
    with explained(name, directory), _opened_for_change(name, directory) as (target, can_be_used):
        mode = change if isinstance(change, int) else change(stat.S_IMODE(target.stat().st_mode))
        if can_be_used:
            posix.fchmod(target.fd, mode, name)
        else:
            posix.chmod_path_fd(target.fd, mode, name)
    return mode


def change_owner(name: Name, uid: int, gid: int, directory: Directory = DEV_SHM) -> None:
    """Set an object's owner and group, -1 leaving one as it is: fchown(2)."""
    with explained(name, directory), _opened_for_change(name, directory) as (target, can_be_used):
        if can_be_used:
            posix.fchown(target.fd, uid, gid, name)
        else:
            posix.chown_path_fd(target.fd, uid, gid, name)


@contextmanager
def _opened_for_change(name: Name, directory: Directory) -> Iterator[tuple[OpenObject, bool]]:
    """An object, and whether its descriptor takes fchmod.

    An owner may change what the mode bars from opening.
    """
    try:
        with opened(name, os.O_RDONLY, directory) as target:
            yield target, True
            return
    except ShmError as error:
        if error.call != "shm_open" or error.errno != errno.EACCES:
            raise
    with posix.closing(posix.open_path(name, directory), name) as fd:
        target = OpenObject(name, fd, directory)
        refuse_other_kinds("open", name, target.stat())
        yield target, False
