"""Get back what an object holds that has no name any more: from a process that has it open or mapped."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from shmctl.core import posix, proc, tracing
from shmctl.core.errors import InputError, ShmError, failing_as
from shmctl.core.inspect.holders import Holder, Unlinked
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.models import Directory
from shmctl.core.names import Name, escape, parse_name
from shmctl.core.objects.copy import copy_open, create_like
from shmctl.core.objects.copy_out import copy_out
from shmctl.core.objects.open import OpenObject
from shmctl.core.transfer import CHUNK

_FROM_MEMORY = "--from-memory copies what is mapped; it reads holes, and so takes memory for them"


class Rescued(NamedTuple):
    """How an object was copied: its last name, the bytes, the process, and by what it has the object."""

    name: Name
    size: int
    holder: Holder
    by: str


def find_lost(directory: Directory, wanted: Name | int, pid: int | None = None) -> Unlinked:
    """The object without a name that had the name ``wanted``, or has that inode; held by ``pid``, if given.

    Raises ShmError where there is none, InputError where several had the name.
    """
    snapshot = Snapshot(directory)
    found = [each for each in snapshot.unlinked if wanted in (each.base, each.identity[1])]
    if pid is not None:
        found = [only for each in found if (only := _held_by(pid, each)).holders]
    name = wanted if isinstance(wanted, bytes) else b"inode %d" % wanted
    if not found:
        holder = "no visible process holds" if pid is None else f"PID {pid} does not hold"
        what = "that inode" if isinstance(wanted, int) else "that name"
        detail = f"{holder} an object without a name that had {what}"
        hint = "'shmctl holders --unlinked' lists them"
        raise ShmError("rescue", name, errno.ENOENT, detail=detail, hint=hint)
    if len(found) > 1:
        inodes = ", ".join(str(each.identity[1]) for each in found)
        raise InputError(
            f"{escape(name)}: {len(found)} objects had this name", f"choose one by its inode: {inodes}"
        )
    return found[0]


def rescue_into(lost: Unlinked, new: Name, directory: Directory, *, from_memory: bool = False) -> Rescued:
    """Copy what a lost object holds into the object ``new``, which appears whole. Raises ShmError."""
    if from_memory:
        holder, parts = _mapped_by(lost)
        size = _end_of(lost, parts)
        mode, owner = 0o600, (holder.uid, -1)
        for each in lost.holders:
            if each.st is not None:
                mode, owner = each.st.st_mode, (each.st.st_uid, each.st.st_gid)

        def fill(target: OpenObject) -> None:
            posix.ftruncate(target.fd, size, new)
            for offset, data in _memory(holder, parts, size, _last_name(lost)):
                with failing_as("pwrite", new, ShmError):
                    os.pwrite(target.fd, data, offset)

        create_like(new, directory, mode, owner, fill)
        return Rescued(_last_name(lost), size, holder, "its memory")
    with _opened(lost, directory) as (source, holder, by):
        return Rescued(source.name, copy_open(source, new, directory), holder, by)


def rescue_to(lost: Unlinked, out_fd: int, directory: Directory, *, from_memory: bool = False) -> Rescued:
    """Copy what a lost object holds to a pipe or file. Raises ShmError, BrokenPipeError."""
    if from_memory:
        holder, parts = _mapped_by(lost)
        size = _end_of(lost, parts)
        at = 0
        for offset, data in _memory(holder, parts, size, _last_name(lost)):
            _write_zeros(out_fd, offset - at)
            _write_all(out_fd, data)
            at = offset + len(data)
        _write_zeros(out_fd, size - at)
        return Rescued(_last_name(lost), size, holder, "its memory")
    with _opened(lost, directory) as (source, holder, by):
        size = source.stat().st_size
        copy_out(source, 0, size, out_fd, by_reference=False)
        return Rescued(source.name, size, holder, by)


def _held_by(pid: int, lost: Unlinked) -> Unlinked:
    """The object as if no other process held it."""
    return lost._replace(holders=tuple(holder for holder in lost.holders if holder.pid == pid))


def _last_name(lost: Unlinked) -> Name:
    return parse_name(lost.base or b"/?")


@contextmanager
def _opened(lost: Unlinked, directory: Directory) -> Iterator[tuple[OpenObject, Holder, str]]:
    """The object, open to read through a process that has it; the process, and how."""
    problem: OSError | None = None
    with ExitStack() as stack:
        for holder, by, open_it in _ways(lost):
            try:
                fd = open_it()
            except OSError as error:
                problem = problem or error
                continue
            stack.callback(os.close, fd)
            st = os.fstat(fd)
            if (st.st_dev, st.st_ino) == lost.identity:  # else the descriptor is another file's by now
                yield OpenObject(_last_name(lost), fd, directory, st.st_size), holder, by
                return
    number = (problem and problem.errno) or errno.ESRCH
    mapped = any(holder.mapped for holder in lost.holders)
    raise ShmError("open", _last_name(lost), number, hint=_FROM_MEMORY if mapped else None)


def _ways(lost: Unlinked) -> Iterator[tuple[Holder, str, Callable[[], int]]]:
    for holder in lost.holders:
        for fd in holder.fds:
            yield holder, f"descriptor {fd}", lambda pid=holder.pid, fd=fd: proc.open_descriptor(pid, fd)  # type: ignore[misc]
    for holder in lost.holders:
        if holder.first_mapping is not None:
            where = holder.first_mapping
            yield holder, "its mapping", lambda where=where: proc.open_mapped_file(*where)  # type: ignore[misc]


def _mapped_by(lost: Unlinked) -> tuple[Holder, list[proc.MappedPart]]:
    """The process that has most of the object mapped, and where."""
    for holder in sorted(lost.holders, key=lambda holder: -holder.mapped):
        with failing_as("open", _last_name(lost), ShmError):
            parts = proc.mapped_parts(holder.pid, *lost.identity)
        if parts:
            return holder, parts
    raise ShmError("rescue", lost.name, errno.ENODATA, detail="no process has it mapped, to read")


def _end_of(lost: Unlinked, parts: Sequence[proc.MappedPart]) -> int:
    """The object's size if it is known, else the end of what is mapped."""
    return max(part.offset + part.end - part.start for part in parts) if lost.size is None else lost.size


def _memory(
    holder: Holder, parts: Sequence[proc.MappedPart], size: int, name: Name
) -> Iterator[tuple[int, bytes]]:
    """The mapped parts, each byte once: offset and data, up to ``size``. Raises ShmError."""
    with failing_as("open", name, ShmError):
        fd = proc.open_memory(holder.pid)
    try:
        at = 0
        for part in parts:
            at = max(at, part.offset)
            end = min(part.offset + part.end - part.start, size)
            while at < end:
                with failing_as("read", name, ShmError):
                    data = os.pread(fd, min(CHUNK, end - at), part.start + at - part.offset)
                if not data:
                    raise ShmError("read", name, errno.ESRCH, detail=f"PID {holder.pid} has ended")
                yield at, data
                at += len(data)
    finally:
        os.close(fd)


def _write_zeros(out_fd: int, count: int) -> None:
    for done in range(0, count, CHUNK):
        _write_all(out_fd, bytes(min(CHUNK, count - done)))


def _write_all(out_fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        with failing_as("write", b"standard output"):
            view = view[os.write(out_fd, view) :]
    tracing.sent_to(out_fd)
