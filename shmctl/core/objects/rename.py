"""Give objects other names: renameat2(2)."""

from enum import StrEnum

from shmctl.core import posix
from shmctl.core.models import DEV_SHM, Directory, FileStat
from shmctl.core.names import Name
from shmctl.core.objects.describe import describe, describe_any, explained, refuse_other_kinds
from shmctl.core.objects.lock import locks_of_replaced


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
    describe(old, directory)
    if existing is not Existing.KEEP and (here := _find(new, directory)) is not None:
        refuse_other_kinds("renameat2", new, here)
    losers = [old] if existing is Existing.KEEP else [old, new]
    with locks_of_replaced(losers, directory), explained(old, directory), explained(new, directory):
        posix.rename_with(old, new, _FLAGS[existing], directory)


def _find(name: Name, directory: Directory) -> FileStat | None:
    try:
        return describe_any(name, directory).st
    except FileNotFoundError:
        return None
