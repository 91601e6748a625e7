"""What the words of pthread locks and semaphores say: free or held, by which thread, and whether it lives.

The words are the C library's own affair; what is known of them here was seen on
glibc for x86-64 (2.36 and 2.41), and holds for aarch64 by glibc's sources. An owner is a
thread's ID in its own PID namespace, and such numbers are used again: that its
thread is alive or dead is a hint.
"""

import os
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from shmctl.core import proc
from shmctl.core.layouts.scalartype import ScalarType
from shmctl.core.layouts.values import State
from shmctl.core.sizes import counted

_TID = 0x3FFFFFFF
_DIED = 0x40000000
_WAITERS = 0x80000000
_KINDS = {0: "normal", 1: "recursive", 2: "errorcheck", 3: "adaptive"}
_NOT_RECOVERABLE = 0x7FFFFFFE  # what the owner of a robust mutex becomes when nobody made it consistent

# Where the words stand, in bytes, if the layout does not name them itself.
TABLE: dict[str, Mapping[str, tuple[int, int]]] = {
    "pthread_mutex_t": {"lock": (0, 4), "count": (4, 4), "owner": (8, 4), "kind": (16, 4)},
    "pthread_rwlock_t": {"readers": (0, 4), "writers": (4, 4), "cur_writer": (24, 4), "shared": (28, 4)},
    "pthread_cond_t": {"wrefs": (36, 4)},  # until glibc 2.40
    "pthread_barrier_t": {"in": (0, 4), "current_round": (4, 4), "count": (8, 4)},
    "pthread_spinlock_t": {"lock": (0, 4)},
    "sem_t": {"value": (0, 4), "nwaiters": (4, 4)},
}
_SIZES = {
    "pthread_mutex_t": (40, 48), "pthread_rwlock_t": (56,), "pthread_cond_t": (48,),
    "pthread_barrier_t": (32,),
    "pthread_spinlock_t": (4,), "sem_t": (32,),
}  # fmt: skip
_CONDITION_SINCE_2_41 = {"wrefs": (28, 4)}
MACHINES = ("x86_64", "aarch64")


class Owner(NamedTuple):
    """A thread by number: its command and PID where it lives in this PID namespace, and whether it does."""

    tid: int
    pid: int | None
    command: str | None

    @property
    def alive(self) -> bool:
        """Whether a thread of that number lives."""
        return self.pid is not None


def decode(type_: ScalarType, raw: bytes) -> State:
    """The state that ``raw``, the bytes of a lock of ``type_``, shows."""
    words = type_.parts or _known_words(type_)
    if words is None or "foreign" in words:
        return State(
            f"bytes {raw.hex()}",
            {"state": "unknown", "reason": "not glibc's for this machine", "bytes": raw.hex()},
        )
    order = type_.endian or sys.byteorder
    numbers = {name: int.from_bytes(raw[at : at + size], order) for name, (at, size) in words.items()}
    said, facts = _READERS[type_.lock](numbers)
    return State(said, {**facts, "bytes": raw.hex()})


def _known_words(type_: ScalarType) -> Mapping[str, tuple[int, int]] | None:
    if os.uname().machine not in MACHINES or type_.size not in _SIZES[type_.lock]:
        return None
    if type_.lock == "pthread_cond_t" and _glibc() >= (2, 41):
        return _CONDITION_SINCE_2_41
    return TABLE[type_.lock]


def _glibc() -> tuple[int, ...]:
    """The version of this process's glibc; empty for another C library."""
    try:
        version = (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")
    except (OSError, ValueError):
        return ()
    return tuple(map(int, version.split("."))) if version else ()


Said = tuple[str, dict[str, object]]


def _mutex(words: Mapping[str, int]) -> Said:
    kind = words["kind"]
    robust, inherits = bool(kind & 16), bool(kind & 32)
    kinds = [_KINDS.get(kind & 3, "unknown")]
    kinds += ["robust"] * robust + ["priority-inheriting"] * inherits
    kinds += ["priority-protecting"] * bool(kind & 64) + ["shared"] * bool(kind & 128)
    facts: dict[str, object] = {"state": "unlocked", "kind": " ".join(kinds)}
    lock, owner = words["lock"], words["owner"]
    by_owner = robust or inherits  # then the word itself is the owner's number
    tid = lock & _TID if by_owner else owner
    if robust and owner == _NOT_RECOVERABLE:
        facts["state"] = "not recoverable"
        return "not recoverable: its owner died, and nobody made it consistent", facts
    if by_owner and lock & _DIED:
        facts["state"] = "owner died"
        return f"owner died, the next to lock it learns that ({facts['kind']})", facts
    if not (tid if by_owner else lock):
        return f"unlocked ({facts['kind']})", facts
    facts["state"] = "locked"
    waiting = bool(lock & _WAITERS) if by_owner else lock > 1
    if waiting:
        facts["waiters"] = True
    if kind & 3 == 1:
        facts["count"] = words["count"]
    by = _by(tid, facts) if tid else "by an unknown thread"
    return f"locked {by}{', others wait' * waiting} ({facts['kind']})", facts


def _rwlock(words: Mapping[str, int]) -> Said:
    readers, writer = words["readers"], words["cur_writer"]
    facts: dict[str, object] = {"state": "unlocked", "shared": bool(words["shared"])}
    if readers & 2 and writer:
        facts["state"] = "write-locked"
        return f"write-locked {_by(writer, facts)}", facts
    if readers & 2:
        facts["state"] = "write-locked"
        return "write-locked", facts
    count = readers >> 3
    if count and not readers & 1:
        facts |= {"state": "read-locked", "readers": count}
        return f"read-locked by {counted(count, 'reader')}", facts
    return "unlocked", facts


def _condition(words: Mapping[str, int]) -> Said:
    waiters = words["wrefs"] >> 3
    facts: dict[str, object] = {"state": "waited for" if waiters else "idle", "waiters": waiters}
    facts["shared"] = bool(words["wrefs"] & 1)
    return (f"{waiters} waiting" if waiters else "nobody waits"), facts


def _barrier(words: Mapping[str, int]) -> Said:
    count, arrived = words["count"], (words["in"] - words["current_round"]) & 0xFFFFFFFF
    state = "waiting" if arrived else "idle"
    return f"{arrived} of {count} arrived", {"state": state, "arrived": arrived, "count": count}


def _spinlock(words: Mapping[str, int]) -> Said:
    # x86's is 1 when it is free, and counts down; elsewhere 0 is free
    free = words["lock"] == (1 if os.uname().machine in ("x86_64", "i686") else 0)
    state = "unlocked" if free else "locked"
    return state, {"state": state}


def _semaphore(words: Mapping[str, int]) -> Said:
    value, waiters = words["value"], words["nwaiters"]
    facts: dict[str, object] = {
        "state": "available" if value else "taken",
        "value": value,
        "waiters": waiters,
    }
    return f"value {value}{f', {waiters} waiting' if waiters else ''}", facts


_READERS: Mapping[str, Callable[[Mapping[str, int]], Said]] = {
    "pthread_mutex_t": _mutex,
    "pthread_rwlock_t": _rwlock,
    "pthread_cond_t": _condition,
    "pthread_barrier_t": _barrier,
    "pthread_spinlock_t": _spinlock,
    "sem_t": _semaphore,
}


def _by(tid: int, facts: dict[str, object]) -> str:
    """``by 4711 (worker)``; adds what is known of the owner to ``facts``."""
    owner = look_up(tid)
    namespace = pid_namespace()
    facts |= {"owner": tid, "owner_alive": owner.alive, "pid_namespace": namespace}
    if owner.pid is None:
        return f"by {tid}, which is dead as far as PID namespace {namespace} shows"
    facts |= {"owner_pid": owner.pid, "owner_command": owner.command}
    return f"by {tid} ({owner.command}), which is alive"


def look_up(tid: int) -> Owner:
    """The thread ``tid`` of this PID namespace."""
    try:
        if proc.stat(tid).state in (b"Z", b"X"):
            return Owner(tid, None, None)
        command = proc.command(tid).decode("utf-8", "surrogateescape")
        return Owner(tid, proc.process_of(tid), command)
    except OSError:
        return Owner(tid, None, None)


def pid_namespace() -> int | None:
    """The number of the PID namespace that /proc shows."""
    try:
        return int(proc.namespace(None, "pid").rpartition(b"[")[2].rstrip(b"]"))
    except (OSError, ValueError):
        return None
