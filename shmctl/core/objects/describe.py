"""What fstat(2) tells about an object, and about whatever else stands under a name."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory, FileStat, ObjectInfo, group_name, type_name, user_name
from shmctl.core.names import Name, shell_words
from shmctl.core.tracing import call


def describe(name: Name, directory: Directory = DEV_SHM, *, birth: bool = False) -> ObjectInfo:
    """What fstat(2) tells about an object, also one that may not be opened.

    With ``birth`` also when it was created. Raises ShmError for anything
    that is not a shared-memory object.
    """
    info = describe_any(name, directory, birth=birth)
    refuse_other_kinds("fstat", name, info.st)
    return info


def describe_any(name: Name, directory: Directory = DEV_SHM, *, birth: bool = False) -> ObjectInfo:
    """What fstat(2) tells about whatever stands under the name, following nothing; see `describe`."""
    with posix.closing(posix.open_path(name, directory), name) as fd:
        info = ObjectInfo(name, directory, posix.fstat(fd, name))
        return with_birth_time(info, fd) if birth else info


# An old kernel, or a sandbox that knows only the calls of one: no reason not to show the rest.
_NO_STATX = (errno.ENOSYS, errno.EPERM)


def with_birth_time(info: ObjectInfo, fd: int | None = None) -> ObjectInfo:
    """``info`` with the time when its object was created (statx(2)), if the system tells.

    ``fd`` is the object's descriptor; without one the object is looked up by
    name, and one that was removed or replaced meanwhile has no such time.
    """
    try:
        birth = posix.statx(info.name, info.directory, fd)
    except ShmError as error:
        if error.errno not in (*_NO_STATX, errno.ENOENT):
            raise
        return info
    return info._replace(btime_ns=birth.time_ns if birth.inode == info.st.st_ino else None)


def is_same(one: FileStat, other: FileStat) -> bool:
    """Whether both are of the same file."""
    return one.identity == other.identity


def refuse_other_kinds(call: str, name: Name, st: FileStat) -> None:
    """Raise ShmError unless ``st`` is of a regular file."""
    if not stat.S_ISREG(st.st_mode):
        raise _wrong_kind(ShmError(call, name, errno.EINVAL), st)


_REFUSALS = (errno.EACCES, errno.EPERM)
_REMOVALS = ("unlink", "shm_unlink", "sem_unlink", "renameat")
# linux/fs.h
_GETFLAGS = 0x80086601
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
_WRONG_KINDS = (errno.EINVAL, errno.ELOOP, errno.EISDIR, errno.ENXIO)


@contextmanager
def explained(name: Name, directory: Directory) -> Iterator[None]:
    """Let a refusal say whose the object is, and other errors what stands under the name, if that is why."""
    try:
        yield
    except ShmError as error:
        if error.detail or error.hint or error.errno not in (*_REFUSALS, *_WRONG_KINDS):
            raise
        try:
            st = describe_any(name, directory).st
        except ShmError:
            raise error from None
        is_removal = error.call in _REMOVALS
        if error.errno in _REFUSALS and (is_removal or stat.S_ISREG(st.st_mode)):
            owner, group = user_name(st.st_uid), group_name(st.st_gid)
            if (error.errno == errno.EPERM or is_removal) and is_immutable(name, directory):
                detail = "it is immutable, or append-only"
                hint = f"chattr -i -a {os.fsdecode(directory.path_of(name))}"
                raise ShmError(error.call, name, error.errno, detail, hint) from None
            hint = f"it is {owner}:{group}'s, with mode {stat.filemode(st.st_mode)}"
            if is_removal and _is_sticky(directory):
                hint += "; in a sticky directory only its owner, or root, takes its name away"
            raise ShmError(error.call, name, error.errno, hint=hint) from None
        if not (is_removal or stat.S_ISREG(st.st_mode)):
            raise _wrong_kind(error, st) from None
        if stat.S_ISDIR(st.st_mode) and error.call in ("unlink", "shm_unlink"):
            hint = f"'{removal_command(name, directory)}' removes it"
            raise ShmError(error.call, name, error.errno, hint=hint) from None
        raise


def removal_command(name: Name, directory: Directory) -> str:
    """Return the shell command that removes a subdirectory: rmdir(1), or rm(1) if it is not empty."""
    path = directory.path_of(name)
    try:
        with posix.closing(
            os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC), name
        ) as fd:
            command = "rm -r" if os.listdir(fd) else "rmdir"
    except OSError:
        command = "rm -r"
    return f"{command} {shell_words([os.fsdecode(path)])}"


def is_immutable(name: Name, directory: Directory) -> bool:
    """Whether chattr(1) has made an object immutable or append-only; False where that cannot be seen."""
    import fcntl

    flags = bytearray(8)
    try:
        with posix.closing(posix.shm_open(name, os.O_RDONLY | os.O_NONBLOCK, 0, directory), name) as fd:
            call(
                "ioctl",
                name,
                lambda: fcntl.ioctl(fd, _GETFLAGS, flags),
                lambda _: f"{fd}, FS_IOC_GETFLAGS, [...]",
            )
    except ShmError:
        return False
    return bool(int.from_bytes(flags[:4], sys.byteorder) & (_IMMUTABLE | _APPEND_ONLY))


def _is_sticky(directory: Directory) -> bool:
    where = directory.path if directory.fd is None else directory.fd
    return bool(os.stat(where).st_mode & stat.S_ISVTX)


def _wrong_kind(error: ShmError, st: FileStat) -> ShmError:
    detail = f"it is {type_name(st.st_mode)}, not a shared-memory object"
    return ShmError(error.call, error.name, error.errno or errno.EINVAL, detail=detail)
