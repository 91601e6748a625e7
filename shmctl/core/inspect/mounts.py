"""The mount table of a process: /proc/PID/mountinfo (proc_pid_mountinfo(5))."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shmctl.core import proc
from shmctl.core.models import Directory

_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: ``root`` of the file system ``fstype`` on ``device`` (st_dev) shows at ``point``.

    ``options`` are those of the file system: ``{"size": "1024k", "ro": ""}``.
    """

    id: int
    device: int
    root: bytes
    point: bytes
    fstype: str
    options: Mapping[str, str]


def read_mounts(pid: int | None = None) -> list[Mount]:
    """The mounts that process ``pid``, or this one, sees, in the order of mounting. Raises OSError."""
    return parse_mounts(proc.mounts(pid))


def parse_mounts(lines: Iterable[bytes]) -> list[Mount]:
    """``30 25 0:27 / /dev/shm rw,nosuid shared:3 - tmpfs tmpfs rw,size=1024k``, a line each."""
    mounts = []
    for line in lines:
        own, _, file_system = line.partition(b" - ")
        number, _, device, root, point, *_ = own.split(b" ")
        major, _, minor = device.partition(b":")
        # The source in between may be empty.
        fstype, _, options = file_system.split(b" ", 2)
        st_dev = os.makedev(int(major), int(minor))
        fields = (int(number), st_dev, _unescape(root), _unescape(point), os.fsdecode(fstype))
        mounts.append(Mount(*fields, _parse_options(options)))
    return mounts


def mount_of(directory: Directory, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that a directory is on; None where the table does not show it. Raises OSError."""
    if directory.fd is not None:
        return _mount_of_file(directory.fd, mounts)
    fd = os.open(directory.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _mount_of_file(fd, mounts)
    finally:
        os.close(fd)


def is_file_system_root(directory: Directory, mount: Mount) -> bool:
    """Whether the directory, which is on ``mount``, has all that its file system holds."""
    point = b"/dev/shm" if directory.fd is not None else os.path.realpath(directory.path)
    return mount.root == b"/" and mount.point == point


def _mount_of_file(fd: int, mounts: Iterable[Mount]) -> Mount | None:
    """By the mount's number, which does not mind what is mounted over it."""
    number = proc.mount_id(fd)
    return next((mount for mount in mounts if mount.id == number), None)


def _unescape(field: bytes) -> bytes:
    r"""Spaces, tabs, newlines and backslashes are written in octal, as in ``\040``."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)


def _parse_options(text: bytes) -> dict[str, str]:
    pairs = (os.fsdecode(_unescape(option)).partition("=") for option in text.split(b","))
    return {name: value for name, _, value in pairs}
