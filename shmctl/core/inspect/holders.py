"""The processes that have objects open or mapped, matched by device and inode, never by path."""

import errno
import os
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple

from shmctl.core import proc
from shmctl.core.inspect.containers import Place, place_of
from shmctl.core.models import Identity, ObjectInfo

_DELETED = b" (deleted)"
_TRIES = 5


class Holder(NamedTuple):
    """One process and one object that it has open or mapped.

    ``access`` has the letters r, w and x of its descriptors and mappings;
    ``mapped`` is in bytes; ``fds`` are its descriptors' numbers, in order;
    ``path`` and ``st`` are the object's, as far as a descriptor shows them;
    ``first_mapping`` is a thread that shows it, and its address range;
    ``place`` is where the process runs.
    """

    pid: int
    identity: Identity
    uid: int
    command: str
    access: str
    mapped: int
    fds: tuple[int, ...]
    path: bytes
    st: os.stat_result | None
    first_mapping: tuple[int, int, int] | None
    place: Place = Place()


class Scan(NamedTuple):
    """The holders found, and the processes that could not be inspected."""

    holders: list[Holder]
    uninspected: list[proc.Uninspected]


def scan_processes(devices: Collection[int], inodes: Collection[int] | None = None) -> Scan:
    """Every holder of a file on ``devices`` (st_dev numbers), or of ``inodes`` there alone.

    A process that ends meanwhile is left out; this process is, too. Raises
    FileError where /proc cannot be read at all: that would look as if nobody held anything.
    """
    return Scan(*proc.survey(proc.other_pids(), lambda pid: _Process(pid, devices, inodes).holders()))


def find_holders(infos: Collection[ObjectInfo]) -> Scan:
    """The holders of certain objects alone."""
    devices, inodes = {info.st.st_dev for info in infos}, {info.st.st_ino for info in infos}
    return scan_processes(devices, inodes)


class Unlinked(NamedTuple):
    """An object without a name that still takes memory, ``allocated`` bytes, until its holders let go.

    ``name`` is the one it had; it and the sizes are None where they are not known.
    """

    identity: Identity
    name: bytes | None
    size: int | None
    allocated: int | None
    holders: tuple[Holder, ...]

    @property
    def base(self) -> bytes | None:
        """The name without the directories that it was in."""
        return b"/" + self.name.rpartition(b"/")[2] if self.name else None


def find_unlinked(
    scan: Scan, device: int, named: Collection[int], name_of: Callable[[int, bytes], bytes | None]
) -> list[Unlinked]:
    """Every object on ``device`` in ``scan`` that has no name any more, the largest first.

    ``named`` are the inodes that the directory has: what /proc shows as
    ``x (deleted)`` may be a live object of that very name. ``name_of`` gives
    the name in the directory of what a process holds by a path, None for what
    was elsewhere.
    """
    by_identity: dict[Identity, list[Holder]] = {}
    for holder in scan.holders:
        if holder.identity[0] == device:
            by_identity.setdefault(holder.identity, []).append(holder)
    unlinked = []
    for identity, holders in by_identity.items():
        if identity[1] in named:
            continue
        st, path, pid = _look_through(holders)
        if not path.endswith(_DELETED) or (st is not None and st.st_nlink):
            continue
        name = name_of(pid, path.removesuffix(_DELETED))
        if name is not None:
            size, allocated = (st.st_size, st.st_blocks * 512) if st else (None, None)
            unlinked.append(Unlinked(identity, name, size, allocated, tuple(holders)))
    return sorted(unlinked, key=lambda each: -(each.allocated or 0))


def _look_through(holders: list[Holder]) -> tuple[os.stat_result | None, bytes, int]:
    """Return an object's metadata and path from a holder's descriptor, else from a mapping; and its PID."""
    for holder in holders:
        if holder.st is not None:
            return holder.st, holder.path, holder.pid
    for holder in holders:
        if holder.first_mapping is not None:
            thread, start, end = holder.first_mapping
            try:
                return *proc.mapped_file(thread, start, end), holder.pid
            except OSError:
                with suppress(OSError):
                    path = proc.mapped_path(thread, start)
                    if path:
                        return None, path, holder.pid
    return None, b"", 0


class _Held:
    """The findings so far on one process and one object."""

    __slots__ = ("access", "fds", "first_mapping", "mapped", "path", "st")

    def __init__(self) -> None:
        self.access: set[str] = set()
        self.mapped = 0
        self.fds: set[int] = set()
        self.path = b""
        self.st: os.stat_result | None = None
        self.first_mapping: tuple[int, int, int] | None = None


class _Process:
    def __init__(self, pid: int, devices: Collection[int], inodes: Collection[int] | None) -> None:
        self._pid = pid
        self._devices = devices
        self._inodes = inodes
        self._found: dict[Identity, _Held] = {}

    def holders(self) -> list[Holder]:
        """What this process holds. Raises OSError."""
        for _ in range(_TRIES):
            try:
                for number, thread in enumerate(proc.threads(self._pid)):
                    self._inspect_descriptors(thread)
                    if number == 0:
                        self._inspect_mappings(thread)
                return self._as_holders()
            except (FileNotFoundError, ProcessLookupError):
                if not proc.has_threads(self._pid):
                    raise
                # A thread has ended; what it shared with others shows through them.
                self._found.clear()
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def _as_holders(self) -> list[Holder]:
        if not self._found:
            return []
        place = place_of(self._pid)
        uid, command = proc.owner(self._pid), proc.command(self._pid).decode("utf-8", "surrogateescape")
        return [
            Holder(
                self._pid,
                identity,
                uid,
                command,
                "".join(letter for letter in "rwx" if letter in held.access),
                held.mapped,
                tuple(sorted(held.fds)),
                held.path,
                held.st,
                held.first_mapping,
                place,
            )
            for identity, held in self._found.items()
        ]

    def _inspect_descriptors(self, thread: int) -> None:
        for fd, path in proc.descriptor_paths(thread):
            if path.startswith(b"/"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    self._inspect_descriptor(thread, fd, path)

    def _inspect_descriptor(self, thread: int, fd: bytes, path: bytes) -> None:
        flags, inode = proc.descriptor_info(thread, fd)
        if inode is not None and not self._may_match(inode, path):
            # Asking the file itself could wait for a network file system that is gone.
            return
        st = proc.descriptor_stat(thread, fd)
        if not self._matches(st.st_dev, st.st_ino) or flags & os.O_PATH:
            return
        held = self._held((st.st_dev, st.st_ino))
        held.path = held.path or path
        held.st = st
        held.fds.add(int(fd))
        held.access |= {os.O_RDONLY: {"r"}, os.O_WRONLY: {"w"}}.get(flags & os.O_ACCMODE, {"r", "w"})

    def _may_match(self, inode: int, path: bytes) -> bool:
        return self._inodes is None or inode in self._inodes or path.endswith(_DELETED)

    def _matches(self, device: int, inode: int) -> bool:
        return device in self._devices and (self._inodes is None or inode in self._inodes)

    def _inspect_mappings(self, thread: int) -> None:
        for start, end, access, major, minor, inode in proc.mappings(thread, self._devices):
            identity = (os.makedev(major, minor), inode)
            if self._matches(*identity):
                held = self._held(identity)
                held.mapped += end - start
                held.first_mapping = held.first_mapping or (thread, start, end)
                held.access.update(access)

    def _held(self, identity: Identity) -> _Held:
        if identity not in self._found:
            self._found[identity] = _Held()
        return self._found[identity]
