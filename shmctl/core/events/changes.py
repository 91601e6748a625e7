"""What an event did to an object: a look at it before and after (stat(2)) tells a resize from a write."""

import stat
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from shmctl.core import inotify
from shmctl.core.models import FileStat


class EventKind(StrEnum):
    """What happened to an object."""

    CREATE = "create"
    OPEN = "open"
    RESIZE = "resize"
    WRITE = "write"
    CLOSE = "close"
    RENAME = "rename"
    REMOVE = "remove"
    MODE = "mode"
    OWNER = "owner"
    LINK = "link"
    LOST = "lost"
    """Events were dropped: the kernel's queue was full."""


_CLOSE = inotify.CLOSE_WRITE | inotify.CLOSE_NOWRITE
MASKS = {
    EventKind.OPEN: inotify.OPEN,
    EventKind.RESIZE: inotify.MODIFY,
    EventKind.WRITE: inotify.MODIFY,
    EventKind.CLOSE: _CLOSE,
    EventKind.MODE: inotify.ATTRIB,
    EventKind.OWNER: inotify.ATTRIB,
}
"""The bits to ask for; those by which names come and go are always needed."""
NAMES = inotify.CREATE | inotify.DELETE | inotify.MOVED_FROM | inotify.MOVED_TO


class Known(NamedTuple):
    """An object as it was seen last."""

    inode: int
    size: int
    blocks: int
    mode: int
    uid: int
    gid: int


def known(st: FileStat) -> Known:
    """What is remembered of an object."""
    return Known(st.st_ino, st.st_size, st.st_blocks, st.st_mode, st.st_uid, st.st_gid)


class Changes:
    """The objects of a directory by name, followed from event to event."""

    def __init__(self, look: Callable[[bytes], FileStat | None], objects: dict[bytes, Known]) -> None:
        self._look = look
        self._objects = objects

    def kinds(self, bit: int, name: bytes) -> tuple[list[EventKind], int | None]:
        """What an event did to the object ``name``, and its size in bytes, None if it is not known any more.

        No kinds: it did nothing that counts, or to no object.
        """
        if bit == inotify.DELETE:
            gone = self._objects.pop(name, None)
            return [EventKind.REMOVE], gone.size if gone else None
        st = self._look(name)
        if st is not None and not stat.S_ISREG(st.st_mode):
            self._objects.pop(name, None)
            return [], None
        if bit & (inotify.CREATE | inotify.MOVED_TO):
            return [self._came(name, st)], st.st_size if st else None
        if st is None:
            return _BLINDLY.get(bit, []), None
        after = known(st)
        before = self._objects.setdefault(name, after)
        return self._compared(bit, name, before, after), after.size

    def rename(self, old: bytes, new: bytes) -> int | None:
        """An object has a new name; its size."""
        moved = self._objects.pop(old, None)
        st = self._look(new)
        if st is not None:
            moved = known(st)
        if moved is not None:
            self._objects[new] = moved
        return moved.size if moved else None

    def _came(self, name: bytes, st: FileStat | None) -> EventKind:
        if st is None:
            return EventKind.CREATE
        if st.st_nlink > 1 and any(each.inode == st.st_ino for each in self._objects.values()):
            self._objects[name] = known(st)
            return EventKind.LINK
        # A new object is empty and has no blocks: what it has by now came by events that follow.
        self._objects[name] = known(st)._replace(size=0, blocks=0)
        return EventKind.CREATE

    def _compared(self, bit: int, name: bytes, before: Known, after: Known) -> list[EventKind]:
        if bit == inotify.MODIFY:
            self._objects[name] = before._replace(size=after.size, blocks=after.blocks)
            # Only a write allocates what it grows the object by, and only ftruncate(2) shrinks one.
            grown_alone = after.size > before.size and after.blocks <= before.blocks
            return [EventKind.RESIZE if after.size < before.size or grown_alone else EventKind.WRITE]
        if bit == inotify.ATTRIB:
            self._objects[name] = before._replace(mode=after.mode, uid=after.uid, gid=after.gid)
            kinds = [EventKind.MODE] if before.mode != after.mode else []
            return kinds + ([EventKind.OWNER] if before[-2:] != after[-2:] else [])
        return _BLINDLY[bit]


_BLINDLY = {
    inotify.OPEN: [EventKind.OPEN],
    inotify.MODIFY: [EventKind.WRITE],
    inotify.CLOSE_WRITE: [EventKind.CLOSE],
    inotify.CLOSE_NOWRITE: [EventKind.CLOSE],
}
"""What an event is called without a look at the object."""
