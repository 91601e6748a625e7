"""How much memory the control groups of this process still let it take: cgroups(7), versions 1 and 2.

Where an object's memory would go past a limit, no call fails: the kernel
kills a process of the group, mostly the one that asks for it. So a process that is
about to allocate much looks here first.
"""

import errno
import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from shmctl.core.errors import ShmError, notify
from shmctl.core.names import Name, printable
from shmctl.core.sizes import human_size

_NO_LIMIT = 1 << 62  # version 1 writes the largest number of pages there is
_SPARE = 2 << 20  # what this process and the kernel's own tables take meanwhile


class Group(NamedTuple):
    """A memory control group: its directory, the version of its files, and its path in the hierarchy."""

    path: bytes
    version: int
    name: bytes = b""


_LIMITS = {1: b"memory.limit_in_bytes", 2: b"memory.max"}


def smallest_limit(pid: int | None) -> tuple[int, bytes] | None:
    """The smallest memory limit of a process's groups in bytes, and that group's name. Raises OSError."""
    from shmctl.core import proc

    groups = find_groups(proc.cgroups(pid), proc.mounts())
    limits = [(_number(group, _LIMITS[group.version]), group.name) for group in groups]
    return min(((limit, name) for limit, name in limits if limit is not None), default=None)


class Allowance(NamedTuple):
    """How many bytes are left before a group kills (``left``) or slows down (``high``), and which group."""

    left: float
    group: bytes
    high: float
    high_group: bytes


def check_allowance(amount: int, name: Name) -> None:
    """Raise ShmError if ``amount`` more bytes would go past a limit; tell if that would slow this process."""
    allowance = find_allowance(own_groups(), free_swap())
    needed = amount + amount // 128 + _SPARE
    if needed > allowance.left:
        raise exceeded(amount, allowance, name)
    if needed > allowance.high:
        group = printable(os.fsdecode(allowance.high_group))
        notify(name, f"this goes past memory.high of {group}, and the kernel slows this process down for it")


def exceeded(amount: int, allowance: Allowance, name: Name) -> ShmError:
    """The error for ``amount`` bytes that a group has no room for."""
    left = human_size(max(0, int(allowance.left)))
    detail = (
        f"{human_size(amount)} more memory is too much for the control group of this process, "
        f"which has {left} left: the kernel would kill it"
    )
    hint = f"the limit is set in {printable(os.fsdecode(allowance.group))}"
    return ShmError("posix_fallocate", name, errno.ENOMEM, detail=detail, hint=hint)


def spare() -> Allowance:
    """What this process may still take, less what it needs for itself."""
    allowance = find_allowance(own_groups(), free_swap())
    return allowance._replace(left=allowance.left - _SPARE)


def find_allowance(groups: list[Group], swap: float) -> Allowance:
    """What the strictest of ``groups``, from the innermost up, allows; the host has ``swap`` bytes free."""
    found = Allowance(float("inf"), b"", float("inf"), b"")
    for group in groups:
        if group.version == 2:
            swap = min(swap, _left(group, b"memory.swap.max", b"memory.swap.current"))
    for group in groups:
        left, high = _left_in_v1(group, swap) if group.version == 1 else _left_in_v2(group, swap)
        if left < found.left:
            found = found._replace(left=left, group=group.path)
        if high < found.high:
            found = found._replace(high=high, high_group=group.path)
    return found


def _left_in_v1(group: Group, swap: float) -> tuple[float, float]:
    cache = _reclaimable(group, (b"total_inactive_file", b"total_active_file"))
    memory = _left(group, _LIMITS[1], b"memory.usage_in_bytes")
    both = _left(group, b"memory.memsw.limit_in_bytes", b"memory.memsw.usage_in_bytes")
    return cache + min(memory + swap, both), float("inf")


def _left_in_v2(group: Group, swap: float) -> tuple[float, float]:
    more = _reclaimable(group, (b"inactive_file", b"active_file", b"slab_reclaimable")) + swap
    hard = _left(group, _LIMITS[2], b"memory.current")
    return hard + more, _left(group, b"memory.high", b"memory.current") + more


def _left(group: Group, limit: bytes, usage: bytes) -> float:
    allowed, used = _number(group, limit), _number(group, usage)
    return float("inf") if allowed is None or used is None else allowed - used


def _number(group: Group, file: bytes) -> int | None:
    """What a file says, in bytes; None where there is no limit, or no such file."""
    text = _read(group.path + b"/" + file).strip()
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else None


def _reclaimable(group: Group, keys: tuple[bytes, ...]) -> int:
    """The file cache of a group, in which the pages of shared memory do not count."""
    lines = (line.split() for line in _read(group.path + b"/memory.stat").splitlines())
    return sum(int(line[1]) for line in lines if len(line) == 2 and line[0] in keys)


def free_swap() -> int:
    """Free swap on the host, in bytes."""
    from shmctl.core import proc

    try:
        return proc.memory().get(b"SwapFree", 0)
    except OSError:
        return 0


def own_groups() -> list[Group]:
    """The memory control groups that this process is in, from the innermost up to where they are mounted."""
    from shmctl.core import proc

    try:
        return find_groups(proc.cgroups(None), proc.mounts())
    except OSError:
        return []


def find_paths(inodes: Collection[int]) -> dict[int, bytes]:
    """The memory control groups whose directories have these inode numbers, as far as they are visible."""
    found: dict[int, bytes] = {}
    if top := own_groups()[-1:]:
        folders = [(os.stat(top[0].path).st_ino, b"")]
        while folders and len(found) < len(inodes):
            inode, below = folders.pop()
            if inode in inodes:
                found[inode] = top[0].name.rstrip(b"/") + below or b"/"
            folders += _folders(top[0].path, below)
    return found


def _folders(top: bytes, below: bytes) -> list[tuple[int, bytes]]:
    try:
        with os.scandir(top + below) as entries:
            return [(each.inode(), below + b"/" + each.name) for each in entries if each.is_dir()]
    except OSError:  # it has been removed, or may not be read
        return []


def find_groups(membership: list[bytes], mounts: list[bytes]) -> list[Group]:
    """The memory control groups of a process, from its lines of `proc.cgroups` and `proc.mounts`."""
    paths = {}
    for line in membership:
        _, controllers, path = line.split(b":", 2)
        if not controllers:
            paths[2] = path
        elif b"memory" in controllers.split(b","):
            paths[1] = path
    for version in (1, 2):
        for root, place in _mounts(mounts, version):
            if version in paths:
                return list(_upwards(version, paths[version], root, place))
    return []


def _mounts(mounts: list[bytes], version: int) -> Iterator[tuple[bytes, bytes]]:
    """Which part of the hierarchy of memory groups is mounted where."""
    for line in mounts:
        about, _, system = line.partition(b" - ")
        root, place = about.split()[3:5]
        kind, *_, options = system.split()
        if (kind == b"cgroup2" and version == 2) or (
            kind == b"cgroup" and version == 1 and b"memory" in options.split(b",")
        ):
            yield _unescaped(root), _unescaped(place)


def _upwards(version: int, path: bytes, root: bytes, place: bytes) -> Iterator[Group]:
    """A group and those above it, as far as the mount shows them."""
    root = root.rstrip(b"/")
    # Outside of what is mounted, as a container may see it, at least the mount's own limits can be known.
    below = path[len(root) :].strip(b"/") if (path + b"/").startswith(root + b"/") else b""
    if b".." in below.split(b"/"):
        below = b""
    while below:
        yield Group(place + b"/" + below, version, root + b"/" + below)
        below = below.rpartition(b"/")[0]
    yield Group(place, version, root or b"/")


def _unescaped(text: bytes) -> bytes:
    """A path without the octal escapes of the mount table."""
    first, *rest = text.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def _read(path: bytes) -> bytes:
    """What a file of the system says, nothing where it is not to be had."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
