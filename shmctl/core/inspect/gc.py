"""Remove orphans, each only while it still is one."""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from shmctl.core import locking, posix
from shmctl.core.errors import ShmError
from shmctl.core.inspect.lease import PAUSES
from shmctl.core.inspect.verdicts import Judgement, Verdict
from shmctl.core.models import FileStat, ObjectInfo
from shmctl.core.objects.describe import explained, is_same

_USED = "it is now in use"
_OPENING = "a process has begun to open it"
_LEASED = "another process holds a lease on it"
_IN_USE = (_USED, _OPENING, _LEASED)


@dataclass(frozen=True, slots=True)
class Removal:
    """The result for an orphan: ``freed`` bytes of memory, or the reason why it was ``left``.

    ``error`` is the call that failed, if one did.
    """

    judgement: Judgement
    freed: int = 0
    left: str | None = None
    error: ShmError | None = None


def choose_orphans(judgements: Sequence[Judgement], keeps: Callable[[ObjectInfo], bool]) -> list[Judgement]:
    """Return the orphans that ``keeps`` does not keep; what it keeps also keeps the rest of its set."""
    kept = {each.info.name: each.set_key for each in judgements if any(map(keeps, _named(each)))}
    sets = set(kept.values()) - {None}
    orphans = (each for each in judgements if each.verdict is Verdict.ORPHAN)
    return [each for each in orphans if each.info.name not in kept and each.set_key not in sets]


def _named(judgement: Judgement) -> list[ObjectInfo]:
    """Return the object under each of its names."""
    return [judgement.info, *(judgement.info._replace(name=name) for name in judgement.names)]


def remove_orphan(judgement: Judgement) -> Removal:
    """Unlink an object that was judged an orphan, all its names or none, under the kernel's lease.

    While the lease stands nobody else has the object open, and an opener
    waits. It is left if it is now in use, has changed, been replaced or
    vanished, if a process has begun to open it, or if it has a name that is
    not known. What is in use is tried again after a pause: another shmctl may
    only have looked at it. ``freed`` is what the file system's free space grew
    by meanwhile.
    """
    info = judgement.info
    before = _free_bytes(info)
    try:
        named = _named(judgement)
        left = _unlink_if_unused(info, named)
        for pause in PAUSES:
            if left not in _IN_USE:
                break
            time.sleep(pause)
            left = _unlink_if_unused(info, named)
    except ShmError as error:
        if error.errno == errno.ENOENT:
            return Removal(judgement, left="it is gone already")
        return Removal(judgement, left=f"{error.call} failed ({error.symbol})", error=error)
    if left is not None:
        return Removal(judgement, left=left)
    return Removal(judgement, freed=max(0, _free_bytes(info) - before))


def _unlink_if_unused(info: ObjectInfo, named: Sequence[ObjectInfo]) -> str | None:
    """Unlink an object under the lease; returns the reason why it was left, or None. Raises ShmError."""
    try:
        return _unlink_under_lease(info, named)
    except ShmError as error:
        if error.errno == errno.EAGAIN:
            return _LEASED
        raise


def _unlink_under_lease(info: ObjectInfo, named: Sequence[ObjectInfo]) -> str | None:
    with _opened(info) as fd:
        left = _difference(posix.fstat(fd, info.name), info.st, len(named))
        if left is not None:
            return left
        if not locking.take_lease(fd, info.name):
            return _USED
        try:
            if not all(is_same(_stat_name(each), info.st) for each in named):
                return "another object has taken its name"
            if not locking.lease_stands(fd, info.name):
                return _OPENING
            _unlink_all(fd, named)
        finally:
            # If that fails, closing gives it back, and the outcome must still be reported.
            with suppress(ShmError):
                locking.release_lease(fd, info.name)
    return None


def _difference(now: FileStat, judged: FileStat, names: int) -> str | None:
    """Return why an object is not the one that was judged, or has a name that is not known; or None."""
    if not is_same(now, judged):
        return "another object has taken its name"
    if _last_change(now) != _last_change(judged):
        return "it has changed since"
    if now.st_nlink > names:
        return "it has another name, in a directory or outside this one"
    return None


def _unlink_all(fd: int, named: Sequence[ObjectInfo]) -> None:
    """Unlink every name, or, where that fails, none."""
    gone: list[ObjectInfo] = []
    try:
        for each in named:
            with explained(each.name, each.directory):
                posix.unlink(each.name, each.directory)
            gone.append(each)
    except BaseException:
        _put_back(fd, gone)
        raise


def _put_back(fd: int, named: Sequence[ObjectInfo]) -> None:
    """Give the open object its names again, except those that another object has taken."""
    for each in named:
        with (
            suppress(ShmError),
            posix.closing(posix.open_directory(each.directory), each.directory.path) as folder,
        ):
            posix.link(fd, each.name, each.directory._replace(fd=folder))


@contextmanager
def _opened(info: ObjectInfo) -> Iterator[int]:
    """Open an object; a failure to close it changes nothing of what was done."""
    fd = posix.shm_open(info.name, os.O_RDONLY | os.O_NONBLOCK, 0, info.directory)
    try:
        yield fd
    finally:
        with suppress(ShmError):
            posix.close(fd, info.name)


def _stat_name(info: ObjectInfo) -> FileStat:
    with posix.closing(posix.open_path(info.name, info.directory), info.name) as fd:
        return posix.fstat(fd, info.name)


def _last_change(st: FileStat) -> tuple[int, int, int]:
    return st.st_mtime_ns, st.st_ctime_ns, st.st_size


def _free_bytes(info: ObjectInfo) -> int:
    vfs = posix.statvfs(info.directory)
    return vfs.f_bfree * vfs.f_frsize
