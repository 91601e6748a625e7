"""What blocks whom: locks on files, semaphores, and threads that sleep on a word of an object."""

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from shmctl.core import proc
from shmctl.core.errors import ShmError
from shmctl.core.inspect.holders import Holder
from shmctl.core.inspect.lease import State
from shmctl.core.inspect.locks import FileLock, file_locks
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.objects.open import opened
from shmctl.core.objects.semaphore_file import SIZE, read_words

if TYPE_CHECKING:
    from shmctl.core.layouts.layout import Layout
    from shmctl.core.layouts.values import State as LockState

# What the words of a lock make of the owner's number, without a look at who has the object.
_OF_A_NUMBER = ("bytes", "owner_alive", "owner_pid", "owner_command")


class Party(NamedTuple):
    """A process or thread that has a lock or waits for one, by number, and the command of one that lives."""

    pid: int
    command: str | None = None
    is_visible: bool = True
    """False where the object is in use by processes that /proc does not show: it may be one of them."""

    @property
    def alive(self) -> bool | None:
        """Whether it lives; None where that does not show."""
        return self.command is not None if self.is_visible else None


class Lock(NamedTuple):
    """A lock on or in an object.

    ``kind`` is ``flock``, ``posix``, ``ofd``, ``semaphore``, ``futex`` or a
    type such as ``pthread_mutex_t``; ``place`` is a range of bytes, a field
    or an offset, and ``state`` says in words how it is. ``waiters`` are those
    that show; ``waiting`` is their number as the lock itself counts them.
    """

    info: ObjectInfo
    kind: str
    place: str
    state: str
    owners: tuple[Party, ...] = ()
    waiters: tuple[Party, ...] = ()
    waiting: int | bool | None = None
    facts: dict[str, object] = {}  # noqa: RUF012 - never changed
    is_dead: bool = False
    """Whether an owner is dead, going by the lock's own words."""


class Inside(NamedTuple):
    """Where the pthread locks of an object are: a layout, the offset of the first record, how many."""

    layout: "Layout"
    offset: int
    count: Callable[[int], int]


def find_locks(snapshot: Snapshot, infos: Sequence[ObjectInfo], inside: Inside | None = None) -> list[Lock]:
    """The locks on and in objects, by name. Raises ShmError."""
    on_files: dict[tuple[int, int], list[FileLock]] = {}
    for lock in file_locks():
        on_files.setdefault(lock.identity, []).append(lock)
    found: list[Lock] = []
    for info in infos:
        holders = snapshot.holders_of(info)
        asleep = _asleep(info, holders)
        for lock in on_files.get((info.st.st_dev, info.st.st_ino), []):
            found.append(_on_file(info, lock, holders))
        if info.kind is Kind.SEMAPHORE:
            found.extend(_semaphore(info, asleep))
        elif inside is not None:
            # Before it is open here: the kernel would name this process.
            is_hidden = not any(each.mapped for each in holders) and _is_used(snapshot, info)
            owners = _Owners(info, holders, is_hidden=is_hidden)
            found.extend(_pthread_locks(info, inside, owners, asleep))
        for offset, waiters in sorted(asleep.items()):
            waited = Lock(info, "futex", f"@{offset}", "waited on", waiters=tuple(waiters))
            found.append(waited._replace(facts={"offset": offset}))
    return found


def party(tid: int) -> Party:
    """A thread, as it is now."""
    return _party(tid, lambda stat: stat.state in (b"Z", b"X"))


def _process(pid: int) -> Party:
    """A process, which lives on in its other threads when the first one has ended."""
    return _party(pid, lambda stat: stat.is_dead)


def _party(number: int, is_dead: Callable[[proc.Stat], bool]) -> Party:
    try:
        if is_dead(proc.stat(number)):
            return Party(number)
        return Party(number, proc.command(number).decode("utf-8", "surrogateescape"))
    except OSError:
        return Party(number)


def _is_used(snapshot: Snapshot, info: ObjectInfo) -> bool:
    return snapshot.test.ask(info).state is not State.FREE


class _Owners:
    """Finds the thread that a lock in an object means by a number, which is one of its PID namespace."""

    def __init__(self, info: ObjectInfo, holders: Iterable[Holder], *, is_hidden: bool) -> None:
        self._file = info.st.st_dev, info.st.st_ino
        self._is_hidden = is_hidden
        self._threads: dict[int, int] = {}
        for holder in holders:
            if holder.mapped:
                with suppress(OSError):
                    for tid in proc.thread_ids(holder.pid):
                        self._add(tid)

    def _add(self, tid: int) -> None:
        with suppress(OSError):
            self._threads[proc.namespace_pids(tid)[-1]] = tid

    def find(self, number: int) -> Party:
        """The thread by its number here; a dead one, or one that does not show, by the number in the lock."""
        if number not in self._threads and party(number).alive:
            try:
                # It may have come after the holders were looked for; any other process just has the number.
                if proc.mapped_parts(proc.process_of(number), *self._file):
                    self._add(number)
            except OSError:
                return party(number)
        if number in self._threads:
            return party(self._threads[number])
        return Party(number, is_visible=not self._is_hidden)


def _on_file(info: ObjectInfo, lock: FileLock, holders: Iterable[Holder]) -> Lock:
    owners = [pid for pid in (lock.pid,) if pid and _process(pid).alive]
    if lock.kind in ("flock", "ofd"):
        # Such a lock is an open descriptor's: those that have it, not the one that took it.
        owners = [each.pid for each in holders if _has(each, lock)] or owners
    return Lock(
        info,
        lock.kind,
        "all"
        if lock.range == (0, None)
        else f"{lock.range[0]}-{'' if lock.range[1] is None else lock.range[1]}",
        lock.mode,
        tuple(map(_process, owners or ([lock.pid] if lock.pid else []))),
        tuple(map(_process, lock.waiters)),
        len(lock.waiters),
        {"mode": lock.mode, "start": lock.range[0], "end": lock.range[1]},
    )


def _has(holder: Holder, lock: FileLock) -> bool:
    for fd in holder.fds:
        with suppress(OSError):
            if any(lock.is_line(line) for line in proc.descriptor_locks(holder.pid, fd)):
                return True
    return False


def _asleep(info: ObjectInfo, holders: Iterable[Holder]) -> dict[int, list[Party]]:
    """The threads that sleep on a word of the object, by the word's offset."""
    found: dict[int, list[Party]] = {}
    for holder in holders:
        if not holder.mapped:
            continue
        with suppress(OSError):
            parts = proc.mapped_parts(holder.pid, info.st.st_dev, info.st.st_ino)
            for tid in proc.thread_ids(holder.pid):
                address = proc.futex_address(tid)
                for part in parts:
                    if address is not None and part.start <= address < part.end:
                        found.setdefault(part.offset + address - part.start, []).append(party(tid))
                        break
    return found


def _semaphore(info: ObjectInfo, asleep: dict[int, list[Party]]) -> Iterator[Lock]:
    try:
        with opened(info.name, 0, info.directory) as target:
            words = read_words(target.fd, info.name)
    except ShmError as error:
        if error.errno not in (errno.EINVAL, errno.EACCES, errno.ENOENT):
            raise
        yield Lock(info, "semaphore", "-", f"unknown ({error.symbol})", facts={"value": None})
        return
    waiters = _take(asleep, 0, SIZE)
    facts: dict[str, object] = {"value": words.value}
    yield Lock(
        info, "semaphore", "-", f"value {words.value}", waiters=waiters, waiting=words.waiting, facts=facts
    )


def _pthread_locks(
    info: ObjectInfo, inside: Inside, owners: _Owners, asleep: dict[int, list[Party]]
) -> Iterator[Lock]:
    from shmctl.core.layouts.values import State as LockState
    from shmctl.core.objects.read import read_bytes, readable

    layout = inside.layout
    with readable(info.name, info.directory) as target:
        count = inside.count(target.size)
        for number in range(count):
            start = inside.offset + number * layout.size
            data = read_bytes(target, start, layout.size)
            for field in layout.fields():
                if not field.type.lock:
                    continue
                state = layout.read(data, field)
                assert isinstance(state, LockState)  # noqa: S101 - tells the type checker
                place = field.path if count == 1 else f"[{number}].{field.path}"
                waiters = _take(asleep, start + field.offset, field.size)
                yield _pthread(info, field.type.lock, place, state, owners)._replace(waiters=waiters)


def _pthread(info: ObjectInfo, kind: str, place: str, state: "LockState", owners: _Owners) -> Lock:
    facts = {key: value for key, value in state.facts.items() if key not in _OF_A_NUMBER}
    owner = facts.get("owner")
    found = (owners.find(owner),) if isinstance(owner, int) else ()
    is_dead = facts.get("state") in ("owner died", "not recoverable") or any(
        each.alive is False for each in found
    )
    waiting = facts.get("waiters")
    number = waiting if isinstance(waiting, int) else None
    return Lock(info, kind, place, str(facts.get("state")), found, (), number, facts, is_dead)


def _take(asleep: dict[int, list[Party]], start: int, size: int) -> tuple[Party, ...]:
    """The threads that sleep within a range of bytes; nobody else gets them."""
    offsets = [offset for offset in asleep if start <= offset < start + size]
    return tuple(each for offset in offsets for each in asleep.pop(offset))
