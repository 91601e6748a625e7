"""Directories in /dev/shm: what is in them, which software made them, and whether their creator is alive."""

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shmctl.core import posix
from shmctl.core.errors import failing_as
from shmctl.core.inspect.families import Families, Match
from shmctl.core.inspect.lease import GRANTED, State, Usage, UsageTest
from shmctl.core.inspect.pids import PidTable, life_text
from shmctl.core.models import Directory, FileStat, Kind, ObjectInfo
from shmctl.core.names import Name, escape

_DEEPEST = 100


class Folder(NamedTuple):
    """A directory in /dev/shm and all that is below it on the same file system.

    The names of ``inside`` begin in /dev/shm: ``/jack_db/__db.001``.
    ``creator_alive`` is about the PID in the name; None where that is unknown.
    """

    info: ObjectInfo
    inside: list[ObjectInfo]
    match: Match | None
    creator_alive: bool | None

    @property
    def files(self) -> list[ObjectInfo]:
        """The regular files in it."""
        return [info for info in self.inside if stat.S_ISREG(info.st.st_mode)]

    @property
    def allocated(self) -> int:
        """The memory of it and of what is in it in bytes, each inode once."""
        distinct = {info.st.st_ino: info.allocated for info in (self.info, *self.inside)}
        return sum(distinct.values())

    @property
    def software(self) -> str | None:
        """The software that made it, going by its name."""
        return self.match.family.software if self.match else None

    @property
    def creator_pid(self) -> int | None:
        """The PID in its name."""
        return self.match.pid if self.match else None

    @property
    def creator_text(self) -> str:
        """``creator 4711 is dead``, or nothing where its name has no PID."""
        if self.creator_pid is None:
            return ""
        return f"creator {self.creator_pid} is {life_text(self.creator_alive)}"


def find_folders(
    directory: Directory, infos: Iterable[ObjectInfo], device: int, families: Families
) -> list[Folder]:
    """The directories ``infos``, with what is in them if they are on ``device``. Raises ShmError."""
    pids = PidTable()
    return [
        Folder(
            info,
            list(_walk(directory, info, device)),
            match := families.match(info.name),
            pids.is_alive(match.pid) if match and match.pid else None,
        )
        for info in infos
    ]


def ask_files(folder: Folder, test: UsageTest) -> Usage:
    """Return whether another process uses any file in a directory; of several answers the most cautious."""
    usages = test.ask_each(folder.files)
    for state in (State.HELD, State.UNKNOWN):
        for info, usage in zip(folder.files, usages, strict=True):
            if usage.state is state:
                return Usage(state, f"{escape(info.name, keep=' ')}: {usage.evidence}")
    return Usage(State.FREE, f"of its files, {GRANTED}" if folder.files else "there is no file in it")


def _walk(directory: Directory, folder: ObjectInfo, device: int) -> Iterator[ObjectInfo]:
    """Yield what is below a directory on the same file system.

    Nothing is followed and nothing but a directory is opened, which os.fwalk
    does not promise; and it stops 100 levels down, for anybody can dig deeper.
    """
    if folder.st.st_dev != device:
        return
    with (
        posix.closing(posix.open_directory(directory), directory.path) as fd,
        failing_as("readdir", directory.path),
    ):
        yield from _below(fd, folder.name[1:], folder, _DEEPEST)


def _below(above: int, name: bytes, folder: ObjectInfo, levels: int) -> Iterator[ObjectInfo]:
    if folder.kind is not Kind.DIRECTORY or not levels:
        return
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    except OSError:
        return  # it is gone, or may not be read
    try:
        for entry in map(os.fsencode, os.listdir(fd)):
            try:
                st = FileStat.of(os.stat(entry, dir_fd=fd, follow_symlinks=False))
            except OSError:
                continue
            if st.st_dev == folder.st.st_dev:
                inside = ObjectInfo(Name(folder.name + b"/" + entry), folder.directory, st)
                yield inside
                yield from _below(fd, entry, inside, levels - 1)
    finally:
        os.close(fd)
