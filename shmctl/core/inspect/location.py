"""Where in a directory a removed file was: by its path, not by its device alone.

A file system has more than one directory if /dev/shm is a bind mount, or lies
in a chroot. Paths count from the root of the file system, as mount tables show.
"""

import os
from collections.abc import Iterable

from shmctl.core import posix, proc
from shmctl.core.errors import failing_as
from shmctl.core.inspect.mounts import Mount, read_mounts
from shmctl.core.models import Directory
from shmctl.core.target import is_mount_point


class Locator:
    """Finds where in ``directory`` removed files were. Make a new one for each look: mounts change.

    ``whole`` is whether the directory has all that its file system holds;
    ``unknown`` how many files were asked about whose place nothing shows.
    """

    def __init__(self, directory: Directory) -> None:
        self.unknown = 0
        self._tables: dict[tuple[bytes, bytes] | None, list[tuple[bytes, Mount]]] = {}
        with posix.closing(posix.open_directory(directory), directory.path) as fd:
            with failing_as("fstat", directory.path):
                self._device = os.fstat(fd).st_dev
            self._text = _own_path(fd, directory)
            self._own = self._place(directory.pid, self._text)
            self.whole = is_mount_point(directory.path, fd) if self._own is None else not self._own

    def name_of(self, pid: int, path: bytes) -> bytes | None:
        """Return the name, ``/x`` or ``/folder/x``, that a file had here; None if it was elsewhere.

        ``path`` is what a descriptor or mapping of process ``pid`` leads to.
        """
        place, own = self._place(pid, path), self._own
        if own is None or (place is None and self.whole):
            # As the kernel shows it from here, where no mount table has it: in a chroot.
            place, own = path, self._text
        if place is None:
            self.unknown += 1
        elif place.startswith(own + b"/"):
            return place[len(own) :]
        elif self.whole:
            return b"/" + path.rpartition(b"/")[2]
        return None

    def _place(self, pid: int | None, path: bytes) -> bytes | None:
        """The path in the directory's file system, b"" for its root; None if no mount table shows it."""
        for table in (self._table(pid), self._table(None)):
            if mounts := [(point, mount) for point, mount in table if _is_below(path, point)]:
                # The longest counts, and of equals the last, which hides the others.
                point, mount = max(reversed(mounts), key=lambda each: len(each[0]))
                return (mount.root.rstrip(b"/") + path[len(point) :]).rstrip(b"/")
        return None

    def _table(self, pid: int | None) -> list[tuple[bytes, Mount]]:
        """The mounts of the file system that a process sees, and where each is from here."""
        try:
            key = None if pid is None else (proc.namespace(pid, "mnt"), proc.root(pid))
            if key not in self._tables:
                root = b"" if key is None else key[1].rstrip(b"/")
                self._tables[key] = list(_points(root, read_mounts(pid), self._device))
            return self._tables[key]
        except OSError:
            return []


def _own_path(fd: int, directory: Directory) -> bytes:
    try:
        return proc.own_path(fd)
    except OSError:
        return directory.path


def _points(root: bytes, mounts: Iterable[Mount], device: int) -> Iterable[tuple[bytes, Mount]]:
    return ((root + each.point.rstrip(b"/"), each) for each in mounts if each.device == device)


def _is_below(path: bytes, point: bytes) -> bool:
    return path == point or path.startswith(point + b"/")
