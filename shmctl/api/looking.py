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
    """Return the objects in /dev/shm, or those whose names match any of ``patterns`` (glob(7)), by name.

    Semaphores are included, as ``/sem.NAME``; directories, links and sockets
    are not. Objects that vanish meanwhile are left out. See readdir(3),
    shm_overview(7).

    Raises `ShmError` if /dev/shm cannot be read, ValueError for a pattern
    that no name can match.
    """
    return [Info.of(info) for info in Snapshot(DEV_SHM, matcher(patterns)).objects]


def stat(name: NameLike) -> Info:
    """Return an object's metadata (fstat(2)), even if you may not open the object.

    Raises `ShmError`: FileNotFoundError, and EINVAL for a directory and the
    like. Raises ValueError for an invalid name.
    """
    return Info.of(describe(parse_name(name)))


def unlink(name: NameLike) -> None:
    """Remove an object's name. Its memory is freed when the last holder lets go.

    Raises `ShmError`: FileNotFoundError, PermissionError. Raises ValueError
    for an invalid name. See shm_unlink(3).
    """
    unlink_object(parse_name(name))


def rename(old: NameLike, new: NameLike, *, replace: bool = False, exchange: bool = False) -> None:
    """Rename an object in one step. Its holders keep it.

    If another object has the name ``new``, that is an error, unless
    ``replace`` removes that object or ``exchange`` swaps the two names. Waits
    for the locks (`lock`) of the objects that lose a name. See renameat2(2).

    Raises `ShmError`: FileNotFoundError, FileExistsError, PermissionError.
    Raises ValueError for an invalid name, and for ``replace`` together with
    ``exchange``.
    """
    if replace and exchange:
        raise InputError("replace and exchange exclude each other")
    existing = Existing.REPLACE if replace else Existing.EXCHANGE if exchange else Existing.KEEP
    rename_object(parse_name(old), parse_name(new), existing=existing)


def holders(name: NameLike) -> Holders:
    """Return the processes that have an object open or mapped, except this one, by PID. See proc(5).

    Seeing the processes of other users takes privilege: the result's
    ``uninspected`` is the number of processes that denied access.

    Raises `ShmError`: FileNotFoundError. Raises ValueError for an invalid
    name.
    """
    info = describe(parse_name(name))
    snapshot = Snapshot.of([info])
    return Holders(tuple(map(_holder, snapshot.holders_of(info))), len(snapshot.holders.uninspected))


def leaks(*patterns: NameLike, min_age: float = DEFAULT_MIN_AGE) -> builtins.list[Judgement]:
    """Return a verdict on each object, or on those whose names match any of ``patterns``, by name.

    ``held``: a process has the object open or mapped, this one or another.
    ``orphan``: no process has, and nothing says to keep it. ``kept``: no
    process has, but its software means it to stay, or it changed less than
    ``min_age`` seconds ago. ``unknown``: the kernel refuses to say, because
    only root and the object's owner may ask (F_SETLEASE in fcntl(2)).
    shmctl-leaks(7) has the rules.

    Raises `ShmError` if /dev/shm cannot be read, ValueError for a pattern that
    no name can match, for NaN, and for an invalid families.toml.
    """
    rules = Rules(check_seconds("min_age", min_age))
    return [
        Judgement(Info.of(each.info), each.verdict, each.reasons, each.software, each.creator_pid)
        for each in Snapshot(DEV_SHM, matcher(patterns), rules).judged_once
    ]


def _holder(found: FoundHolder) -> Holder:
    command = os.fsdecode(found.command)
    return Holder(found.pid, found.uid, command, found.access, found.mapped, tuple(found.fds))
