"""Objects that appear whole: without a name while they are made, and with it once they are complete."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory, FileStat
from shmctl.core.names import Name, parse_name
from shmctl.core.objects.describe import describe_any, explained, is_same, refuse_other_kinds
from shmctl.core.objects.lock import locks_of_replaced
from shmctl.core.objects.open import DEFAULT_MODE, OpenObject
from shmctl.core.signals import signals_blocked

_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)


@contextmanager
def created_atomically(
    name: Name, mode: int = DEFAULT_MODE, directory: Directory = DEV_SHM, *, replace: bool = False
) -> Iterator[OpenObject]:
    """A new, empty object, open O_RDWR, that gets its name when the body has ended: O_TMPFILE and linkat(2).

    Nobody else can open it before. When the body fails, or the process is
    killed, it is gone without a trace. A name that is taken is EEXIST, before
    the body runs where that can be known. With ``replace`` the object that
    has it now gives way to the new one in a single step, rename(2), unless
    another one has taken its place by then (EEXIST). What is no object is
    not replaced.
    """
    with posix.closing(posix.open_directory(directory), directory.path) as directory_fd:
        # All that follows happens in this one directory, whatever is mounted over its path meanwhile.
        here = Directory(directory.path, directory_fd)
        before = _bearer(name, here)
        if before is not None:
            if not replace:
                raise ShmError("linkat", name, errno.EEXIST)
            refuse_other_kinds("renameat", name, before)
        with posix.closing(_open_unnamed(name, mode, here), name) as fd:
            target = OpenObject(name, fd, here, created=True)
            yield target
            losers = [] if before is None else [name]
            with locks_of_replaced(losers, here), signals_blocked(), explained(name, here):
                if before is not None:
                    _replace(target, before)
                else:
                    _publish(target, replace=replace)


def _bearer(name: Name, directory: Directory) -> FileStat | None:
    """What has the name now, if anything has."""
    try:
        return describe_any(name, directory).st
    except ShmError as error:
        if error.errno != errno.ENOENT:
            raise
        return None


def _open_unnamed(name: Name, mode: int, directory: Directory) -> int:
    try:
        return posix.open_unnamed(directory, mode)
    except ShmError as error:
        number = error.errno or errno.EIO
        detail = None
        if number in _UNSUPPORTED:
            detail = "this file system has no objects without a name (O_TMPFILE), which --atomic needs"
        raise ShmError(error.call, name, number, detail=detail) from None


def _publish(target: OpenObject, *, replace: bool) -> None:
    try:
        _link(target, target.name)
    except ShmError as error:
        if replace and error.errno == errno.EEXIST:
            raise _overtaken(target.name) from None
        raise


def _replace(target: OpenObject, before: FileStat) -> None:
    """linkat(2) never replaces: so by way of a name of its own, and rename(2)."""
    # Names its maker, so that 'shmctl leaks' can tell whose it was if this process is killed just now.
    temporary = parse_name(f".shmctl-replace-{os.getpid()}-{os.urandom(4).hex()}")
    _link(target, temporary)
    try:
        now = _bearer(target.name, target.directory)
        if now is not None and not is_same(now, before):
            raise _overtaken(target.name)
        posix.rename(temporary, target.name, target.directory)
    except BaseException:
        with suppress(FileNotFoundError):
            posix.unlink(temporary, target.directory)
        raise


def _link(target: OpenObject, name: Name) -> None:
    try:
        posix.link(target.fd, name, target.directory)
    except ShmError as error:
        number = error.errno or errno.EIO
        from shmctl.core.proc import is_mounted

        no_way = number == errno.ENOENT and not is_mounted()
        detail = "/proc is not there, and a name is given by way of it" if no_way else None
        raise ShmError(error.call, target.name, number, detail=detail) from None


def _overtaken(name: Name) -> ShmError:
    detail = "another object took this name meanwhile; it is left alone"
    return ShmError("renameat", name, errno.EEXIST, detail=detail)
