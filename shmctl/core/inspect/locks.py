"""Who locks files, and who waits for that, from /proc/locks (proc_locks(5))."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from shmctl.core import proc

Identity = tuple[int, int]
"""(st_dev, st_ino)."""

_KINDS = {b"FLOCK": "flock", b"POSIX": "posix", b"OFDLCK": "ofd"}


class FileLock(NamedTuple):
    """A lock on a file: who took it (None: nobody by a PID), the range with its last byte (None: the end).

    ``waiters`` are the PIDs that wait for it, as far as they show.
    """

    identity: Identity
    kind: str
    mode: str
    pid: int | None
    range: tuple[int, int | None]
    waiters: tuple[int, ...]
    line: bytes

    def is_line(self, line: bytes) -> bool:
        """Whether a line about a descriptor is about this lock."""
        return line.split()[1:] == self.line.split()[1:]


class Locks(NamedTuple):
    """The locks of the host: by (device, inode), a word for one of them: ``FLOCK by PID 4711``."""

    owners: Mapping[Identity, str]

    @classmethod
    def read(cls) -> "Locks":
        """The locks as they are now; none where /proc/locks cannot be read."""
        try:
            lines = proc.locks()
        except OSError:
            return cls({})
        return cls(dict(filter(None, map(_parse, lines))))


def _parse(line: bytes) -> tuple[Identity, str] | None:
    """The file and the owner in a line; None for a lock that waits, and for one on no file."""
    if b" -> " in line:
        return None
    _, kind, _, _, pid, where, *_ = line.split()
    identity = _identity(where)
    return None if identity is None else (identity, f"{kind.decode('ascii', 'replace')} by PID {int(pid)}")


def file_locks() -> list[FileLock]:
    """The locks of flock(2) and fcntl(2), each with its waiters; none where /proc/locks cannot be read."""
    try:
        lines = proc.locks()
    except OSError:
        return []
    found: list[FileLock] = []
    by_number: dict[bytes, int] = {}
    for line in lines:
        # A waiter's line follows that of the lock, with the same number: ``1: -> FLOCK  ADVISORY ...``.
        waits = b" -> " in line
        number, kind, _, mode, pid, where, start, end = line.replace(b"-> ", b"").split()
        identity = _identity(where)
        if identity is None or kind not in _KINDS:
            continue
        if waits:
            at = by_number.get(number)
            if at is not None and int(pid) > 0:
                found[at] = found[at]._replace(waiters=(*found[at].waiters, int(pid)))
            continue
        by_number[number] = len(found)
        extent = int(start), None if end == b"EOF" else int(end)
        owner = int(pid) if int(pid) > 0 else None
        found.append(FileLock(identity, _KINDS[kind], mode.decode().lower(), owner, extent, (), line))
    return found


def _identity(where: bytes) -> Identity | None:
    """Device and inode of ``00:1b:12345``; None for a lock on no file, whose place is ``<none>:0``."""
    if where.startswith(b"<none>"):
        return None
    major, minor, inode = where.split(b":")
    return os.makedev(int(major, 16), int(minor, 16)), int(inode)
