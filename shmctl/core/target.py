"""The /dev/shm of another process, in its mount namespace and root directory."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shmctl.core import proc
from shmctl.core.errors import FileError, failing_as
from shmctl.core.models import Directory


@contextmanager
def directory_of(pid: int) -> Iterator[Directory]:
    """`open_directory_of`, closed at the end."""
    path, fd = open_directory_of(pid)
    try:
        yield Directory(path, fd, pid)
    finally:
        _close(fd)


def open_directory_of(pid: int) -> tuple[bytes, int]:
    """The path of process ``pid``'s /dev/shm, and a descriptor of it that the caller closes.

    Each step from its root is opened separately and follows no link, so that a
    planted link leads nowhere. Raises FileError.
    """
    root_path = proc.root_path(pid)
    root = _open_root(pid, root_path)
    try:
        dev = _step(root, b"dev", root_path)
    finally:
        _close(root)
    try:
        return root_path + b"/dev/shm", _step(dev, b"shm", root_path + b"/dev")
    finally:
        _close(dev)


def is_mount_point(path: bytes, fd: int) -> bool:
    """Whether another file system begins at the open directory ``fd``. Raises FileError about ``path``."""
    with failing_as("stat", path):
        own, above = os.stat(fd), os.stat("..", dir_fd=fd)
    return own.st_dev != above.st_dev


def _close(fd: int) -> None:
    with suppress(OSError):  # nothing was written through it
        os.close(fd)


def _open_root(pid: int, path: bytes) -> int:
    try:
        return proc.open_root(pid)
    except OSError as error:
        number = error.errno or errno.EIO
        if number in (errno.ENOENT, errno.ESRCH):
            raise FileError("open", path, errno.ESRCH, detail=f"no process has PID {pid}") from None
        hint = (
            "only root, or the same user in the same namespace, may"
            if number in (errno.EACCES, errno.EPERM)
            else None
        )
        raise FileError("open", path, number, hint=hint) from None


def _step(folder: int, name: bytes, above: bytes) -> int:
    oflag = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, oflag, dir_fd=folder)
    except OSError as error:
        path = above + b"/" + name
        number = error.errno or errno.EIO
        if number == errno.ENOENT:
            raise FileError("open", path, number, detail="the process has no /dev/shm") from None
        if number in (errno.ELOOP, errno.ENOTDIR):
            raise FileError(
                "open", path, number, detail="it is a link, which is not followed, or no directory"
            ) from None
        raise FileError("open", path, number) from None
