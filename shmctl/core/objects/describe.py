"""What fstat(2) tells about an object, and about whatever else stands under a name."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory, ObjectInfo, group_name, type_name, user_name
from shmctl.core.names import Name


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


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether both are of the same file."""
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def refuse_other_kinds(call: str, name: Name, st: os.stat_result) -> None:
    """Raise ShmError unless ``st`` is of a regular file."""
    if not stat.S_ISREG(st.st_mode):
        raise _wrong_kind(ShmError(call, name, errno.EINVAL), st)


_REFUSALS = (errno.EACCES, errno.EPERM)
_REMOVALS = ("unlink", "shm_unlink", "sem_unlink", "renameat")
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
            hint = f"it is {owner}:{group}'s, with mode {stat.filemode(st.st_mode)}"
            if is_removal and _is_sticky(directory):
                hint += "; in a sticky directory only its owner, or root, takes its name away"
            raise ShmError(error.call, name, error.errno, hint=hint) from error
        if not (is_removal or stat.S_ISREG(st.st_mode)):
            raise _wrong_kind(error, st) from error
        raise


def _is_sticky(directory: Directory) -> bool:
    where = directory.path if directory.fd is None else directory.fd
    return bool(os.stat(where).st_mode & stat.S_ISVTX)


def _wrong_kind(error: ShmError, st: os.stat_result) -> ShmError:
    detail = f"it is {type_name(st.st_mode)}, not a shared-memory object"
    return ShmError(error.call, error.name, error.errno or errno.EINVAL, detail=detail)
