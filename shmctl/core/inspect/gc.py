"""Remove orphans, and only while they still are orphans."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from shmctl.core import locking, posix
from shmctl.core.errors import ShmError
from shmctl.core.inspect.verdicts import Judgement, Verdict
from shmctl.core.models import ObjectInfo
from shmctl.core.objects.describe import explained, is_same


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
    """The orphans that ``keeps`` does not keep; what it keeps also keeps the rest of its set."""
    kept = {each.info.name: each.set_key for each in judgements if keeps(each.info)}
    sets = set(kept.values()) - {None}
    orphans = (each for each in judgements if each.verdict is Verdict.ORPHAN)
    return [each for each in orphans if each.info.name not in kept and each.set_key not in sets]


def remove_orphan(judgement: Judgement) -> Removal:
    """Unlink an object that was judged an orphan, under the kernel's lease.

    While the lease stands nobody has it open, and who begins to open it
    waits. It is left if it came into use, was replaced or went since it was
    judged, or if somebody has begun to open it. ``freed`` is what the file
    system's free space grew by meanwhile.
    """
    info = judgement.info
    before = _free_bytes(info)
    try:
        left = _unlink_if_unused(info)
    except ShmError as error:
        if error.errno == errno.ENOENT:
            return Removal(judgement, left="it is gone already")
        if error.errno == errno.EAGAIN:
            return Removal(judgement, left="somebody is looking at it, or holds a lease on it")
        return Removal(judgement, left=f"{error.call} failed ({error.symbol})", error=error)
    if left is not None:
        return Removal(judgement, left=left)
    return Removal(judgement, freed=max(0, _free_bytes(info) - before))


def _unlink_if_unused(info: ObjectInfo) -> str | None:
    with _opened(info) as fd:
        now = posix.fstat(fd, info.name)
        if not is_same(now, info.st):
            return "another object bears its name by now"
        if _last_change(now) != _last_change(info.st):
            return "it has been changed since"
        if not locking.take_lease(fd, info.name):
            return "it came into use"
        try:
            if not is_same(_stat_name(info), info.st):
                return "another object bears its name by now"
            if not locking.lease_stands(fd, info.name):
                return "somebody has begun to open it"
            with explained(info.name, info.directory):
                posix.unlink(info.name, info.directory)
        finally:
            # If that fails, closing gives it back, and whether the object went must still be told.
            with suppress(ShmError):
                locking.release_lease(fd, info.name)
    return None


@contextmanager
def _opened(info: ObjectInfo) -> Iterator[int]:
    """The object's descriptor, whose closing changes nothing of what has been done."""
    fd = posix.shm_open(info.name, os.O_RDONLY | os.O_NONBLOCK, 0, info.directory)
    try:
        yield fd
    finally:
        with suppress(ShmError):
            posix.close(fd, info.name)


def _stat_name(info: ObjectInfo) -> os.stat_result:
    with posix.closing(posix.open_path(info.name, info.directory), info.name) as fd:
        return posix.fstat(fd, info.name)


def _last_change(st: os.stat_result) -> tuple[int, int, int]:
    return st.st_mtime_ns, st.st_ctime_ns, st.st_size


def _free_bytes(info: ObjectInfo) -> int:
    vfs = posix.statvfs(info.directory)
    return vfs.f_bfree * vfs.f_frsize
