"""List, describe, judge and remove objects."""

import builtins
import os

from shmctl.api.findings import Holder, Holders, Judgement
from shmctl.api.records import Info
from shmctl.core.errors import InputError
from shmctl.core.inspect.holders import Holder as FoundHolder
from shmctl.core.inspect.listing import matcher
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.inspect.verdicts import DEFAULT_MIN_AGE, Rules
from shmctl.core.models import DEV_SHM
from shmctl.core.names import NameLike, parse_name
from shmctl.core.objects.describe import describe
from shmctl.core.objects.remove import unlink_object
from shmctl.core.objects.rename import Existing, rename_object
from shmctl.core.sizes import check_seconds


def list(*patterns: NameLike) -> builtins.list[Info]:
    """The objects in /dev/shm, or those whose names match any of ``patterns`` (glob(7)), by name.

    Semaphores are among them, as ``/sem.NAME``; directories, links and
    sockets are not. One that vanishes meanwhile is left out. See readdir(3),
    shm_overview(7).

    Raises `ShmError` where /dev/shm cannot be read, ValueError for a pattern
    that could never be a name.
    """
    return [Info.of(info) for info in Snapshot(DEV_SHM, matcher(patterns)).objects]


def stat(name: NameLike) -> Info:
    """What fstat(2) tells about an object, also about one that you may not open.

    Raises `ShmError`: FileNotFoundError, and EINVAL for what is no object.
    Raises ValueError for a name that no object can have.
    """
    return Info.of(describe(parse_name(name)))


def unlink(name: NameLike) -> None:
    """Remove an object's name; its memory goes with the last process that has it open or mapped.

    Raises `ShmError`: FileNotFoundError, PermissionError. Raises ValueError
    for a name that no object can have. See shm_unlink(3).
    """
    unlink_object(parse_name(name))


def rename(old: NameLike, new: NameLike, *, replace: bool = False, exchange: bool = False) -> None:
    """Give an object another name in a single step; processes keep what they have open or mapped.

    An object that has the name already is an error, unless it is to lose it
    (``replace``) or to get the other name (``exchange``). Waits for the locks
    (`lock`) of the objects that lose a name. See renameat2(2).

    Raises `ShmError`: FileNotFoundError, FileExistsError, PermissionError.
    Raises ValueError for a name that no object can have, and for ``replace``
    together with ``exchange``.
    """
    if replace and exchange:
        raise InputError("replace and exchange exclude each other")
    existing = Existing.REPLACE if replace else Existing.EXCHANGE if exchange else Existing.KEEP
    rename_object(parse_name(old), parse_name(new), existing=existing)


def holders(name: NameLike) -> Holders:
    """The processes that have an object open or mapped, this one left out, by PID. See proc(5).

    It takes privilege to see those of other users: the result's
    ``uninspected`` is the number of processes that denied access.

    Raises `ShmError`: FileNotFoundError. Raises ValueError for a name that no
    object can have.
    """
    info = describe(parse_name(name))
    snapshot = Snapshot.of([info])
    return Holders(tuple(map(_holder, snapshot.holders_of(info))), len(snapshot.holders.uninspected))


def leaks(*patterns: NameLike, min_age: float = DEFAULT_MIN_AGE) -> builtins.list[Judgement]:
    """A verdict on each object, or on those whose names match any of ``patterns``, by name.

    ``held``: a process has it open or mapped, this one or another; ``orphan``:
    nobody has, nor is it known to be meant to stay; ``kept``: it is, or it was
    changed less than ``min_age`` seconds ago; ``unknown``: the kernel cannot be
    asked, for it takes the object's owner or CAP_LEASE (F_SETLEASE in
    fcntl(2)). shmctl-leaks(7) has the rules.

    Raises `ShmError` where /dev/shm cannot be read, ValueError for a pattern
    that could never be a name, for NaN, and for a families.toml that makes no
    sense.
    """
    rules = Rules(check_seconds("min_age", min_age))
    return [
        Judgement(Info.of(each.info), each.verdict, each.reasons, each.software, each.creator_pid)
        for each in Snapshot(DEV_SHM, matcher(patterns), rules).judged_once
    ]


def _holder(found: FoundHolder) -> Holder:
    command = os.fsdecode(found.command)
    return Holder(found.pid, found.uid, command, found.access, found.mapped, tuple(found.fds))
