"""Give objects other names, and copy them: renameat2(2), copies that appear whole."""

import os
import stat
from contextlib import ExitStack
from enum import StrEnum

from shmctl.core import posix
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.objects.describe import describe, describe_any, explained, refuse_other_kinds
from shmctl.core.objects.lock import lock_of_replaced
from shmctl.core.objects.open import OpenObject, opened


class Existing(StrEnum):
    """What happens to an object that has the new name already."""

    KEEP = "keep"
    """The call fails with EEXIST."""
    REPLACE = "replace"
    """It loses its name."""
    EXCHANGE = "exchange"
    """It gets the old name."""


_FLAGS = {
    Existing.KEEP: posix.RENAME_NOREPLACE,
    Existing.REPLACE: 0,
    Existing.EXCHANGE: posix.RENAME_EXCHANGE,
}


def rename_object(
    old: Name, new: Name, directory: Directory = DEV_SHM, *, existing: Existing = Existing.KEEP
) -> None:
    """Give the object ``old`` the name ``new`` in a single step: renameat2(2).

    Waits for the locks (flock(2)) of the objects that lose a name, so that
    nobody holds the lock of a name that belongs to another object. Holders
    keep what they have open. Raises ShmError; nothing but an object is
    renamed, replaced or exchanged.
    """
    losers = {old: describe(old, directory).st}
    if existing is not Existing.KEEP:
        here = _find(new, directory)
        if here is not None:
            refuse_other_kinds("renameat2", new, here)
            losers[new] = here
    with ExitStack() as locks:
        # In one order, so that two renames do not wait for each other.
        for name, st in sorted(losers.items(), key=lambda loser: loser[1].st_ino):
            locks.enter_context(lock_of_replaced(name, st, directory))
        with explained(new, directory):
            posix.rename_with(old, new, _FLAGS[existing], directory)


def _find(name: Name, directory: Directory) -> os.stat_result | None:
    try:
        return describe_any(name, directory).st
    except FileNotFoundError:
        return None


def copy_object(old: Name, new: Name, directory: Directory = DEV_SHM, *, replace: bool = False) -> int:
    """Copy an object: data, holes and mode, as root the owner too. Returns its size in bytes.

    The copy appears at once and whole: O_TMPFILE, linkat(2), rename(2). EEXIST
    where ``new`` exists, unless it is to ``replace`` that.
    """
    from shmctl.core.objects.copy import copy_content
    from shmctl.core.objects.publish import created_atomically

    with opened(old, os.O_RDONLY, directory) as source:
        st = source.stat()
        with created_atomically(new, 0o600, directory, replace=replace) as target:
            copy_content(source.fd, st.st_size, old, target)
            take_after(st, target)
    return st.st_size


def take_after(st: os.stat_result, target: OpenObject) -> None:
    """Give a copy the mode of its original, as root also the owner: fchmod(2), fchown(2).

    Where the owner is another one, the set-user-ID bit would make what somebody wrote a program of this user.
    """
    mode = stat.S_IMODE(st.st_mode)
    if os.geteuid() == 0:
        posix.fchown(target.fd, st.st_uid, st.st_gid, target.name)
    else:
        mode &= ~(stat.S_ISUID | stat.S_ISGID)
    posix.fchmod(target.fd, mode, target.name)
