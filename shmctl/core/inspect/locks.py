"""Who locks files, from /proc/locks (proc_locks(5))."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from shmctl.core import proc


class Locks(NamedTuple):
    """The locks of the host: by (device, inode), a word for one of them: ``FLOCK by PID 4711``."""

    owners: Mapping[tuple[int, int], str]

    @classmethod
    def read(cls) -> "Locks":
        """The locks as they are now; none where /proc/locks cannot be read."""
        try:
            lines = proc.locks()
        except OSError:
            return cls({})
        return cls(dict(filter(None, map(_parse, lines))))


def _parse(line: bytes) -> tuple[tuple[int, int], str] | None:
    """The lock of a line, ``1: FLOCK  ADVISORY  WRITE 708 00:1b:12345 0 EOF``.

    None for one that waits, ``1: -> FLOCK``, and for one on no file, whose place is ``<none>:0``.
    """
    if b" -> " in line:
        return None
    _, kind, _, _, pid, where, *_ = line.split()
    if where.startswith(b"<none>"):
        return None
    major, minor, inode = where.split(b":")
    owner = f"{kind.decode('ascii', 'replace')} by PID {int(pid)}"
    return (os.makedev(int(major, 16), int(minor, 16)), int(inode)), owner
