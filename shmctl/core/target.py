"""The /dev/shm that another process sees, in whatever mount namespace and root it lives."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shmctl.core.errors import FileError, failing_as
from shmctl.core.models import Directory


@contextmanager
def directory_of(pid: int) -> Iterator[Directory]:
    """`open_directory_of`, closed at the end."""
    directory = open_directory_of(pid)
    try:
        yield directory
    finally:
        _close(directory.fd or 0)


def open_directory_of(pid: int) -> Directory:
    """The /dev/shm of process ``pid``, with a descriptor that the caller closes.

    Each step from its root is opened by itself and follows no link, so that
    nothing the process has planted leads out. Raises FileError.
    """
    root_path = f"/proc/{pid}/root"
    root = _open_root(pid, root_path)
    try:
        dev = _step(root, b"dev", root_path)
    finally:
        _close(root)
    try:
        return Directory(f"{root_path}/dev/shm".encode(), _step(dev, b"shm", root_path + "/dev"), pid)
    finally:
        _close(dev)


def is_mount_point(directory: Directory) -> bool:
    """Whether another file system begins at an open directory."""
    with failing_as("stat", directory.path):
        own, above = os.stat(directory.fd or 0), os.stat("..", dir_fd=directory.fd)
    return own.st_dev != above.st_dev


def _close(fd: int) -> None:
    with suppress(OSError):  # nothing was written through it
        os.close(fd)


def _open_root(pid: int, path: str) -> int:
    try:
        # The last step is the kernel's own link to the root; it is meant to be followed.
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        number = error.errno or errno.EIO
        if number in (errno.ENOENT, errno.ESRCH):
            raise FileError("open", path.encode(), errno.ESRCH, detail=f"no process has PID {pid}") from error
        hint = (
            "it takes root, or the same user and namespace" if number in (errno.EACCES, errno.EPERM) else None
        )
        raise FileError("open", path.encode(), number, hint=hint) from error


def _step(folder: int, name: bytes, above: str) -> int:
    oflag = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, oflag, dir_fd=folder)
    except OSError as error:
        path = above.encode() + b"/" + name
        number = error.errno or errno.EIO
        if number == errno.ENOENT:
            raise FileError("open", path, number, detail="the process has no /dev/shm") from error
        if number in (errno.ELOOP, errno.ENOTDIR):
            raise FileError(
                "open", path, number, detail="it is a link or no directory; it is not followed"
            ) from error
        raise FileError("open", path, number) from error
