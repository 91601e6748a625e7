"""One function for each POSIX call, traced: the only place where shmctl touches shared memory.

posix_ipc opens objects in /dev/shm. It is never given a size: its constructor
unlinks the object when its ftruncate fails. Everything else goes through os,
relative to the directory's descriptor where there is one, or straight to the
C library. Names are bytes on every way.
"""

import errno
import mmap as _mmap
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import posix_ipc

from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory, FileStat
from shmctl.core.names import SEMAPHORE_PREFIX, Name
from shmctl.core.tracing import c_string, call, open_flags, stat_struct

if TYPE_CHECKING:
    from shmctl.core.cstructs import Birth, CacheStat

PAGE_SIZE = _mmap.PAGESIZE
MappedBuffer = _mmap.mmap
PROT_READ = _mmap.PROT_READ
PROT_WRITE = _mmap.PROT_WRITE

_MAP_FAILED = 2 * sys.maxsize + 1  # (void *) -1
_SEM_FAILED = 0

_PROT_NAMES = {PROT_READ: "PROT_READ", PROT_READ | PROT_WRITE: "PROT_READ|PROT_WRITE"}


def shm_open(name: Name, oflag: int, mode: int = 0, directory: Directory = DEV_SHM) -> int:
    """Open an object, and with O_CREAT make it: shm_open(3). Returns a close-on-exec descriptor.

    ``oflag`` is O_RDONLY or O_RDWR, with any of O_CREAT, O_EXCL, O_TRUNC and
    O_NONBLOCK (which keeps a FIFO under the name from blocking the open).
    Symbolic links are refused with ELOOP.
    """

    def arguments(_: object) -> str:
        if directory.fd is None:
            shown = f"{open_flags(oflag)}, {'0' if mode == 0 else f'{mode:04o}'}"
        else:
            shown = open_flags(oflag | os.O_NOFOLLOW | os.O_CLOEXEC)
            if oflag & os.O_CREAT:
                shown += f", {mode:04o}"
        return f"{_shown(name, directory, name)}, {shown}"

    return call(
        "shm_open",
        name,
        lambda: _open_object(name, oflag, mode, directory),
        arguments,
        shown_as=_in_directory("openat", directory),
    )


def _open_object(name: Name, oflag: int, mode: int, directory: Directory) -> int:
    if directory != DEV_SHM:
        path = _path(name, directory)
        return os.open(path, oflag | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory.fd)
    read_only = oflag & os.O_ACCMODE == os.O_RDONLY
    try:
        # As bytes: a str would be spelt as the locale has it, and posix_ipc dies of one that it cannot spell.
        return int(posix_ipc.SharedMemory(name, oflag & ~os.O_ACCMODE, mode=mode, read_only=read_only).fd)
    except (posix_ipc.Error, ValueError, OSError) as error:
        raise OSError(_errno_of(error), "") from error


def _errno_of(error: Exception) -> int:
    """The errno that posix_ipc has turned into ``error``, which has it no more for those that it knows."""
    if isinstance(error, posix_ipc.ExistentialError):
        # With O_EXCL it may be either: ENOENT where the directory itself is missing.
        return errno.EEXIST if "already exists" in str(error) else errno.ENOENT
    if isinstance(error, posix_ipc.PermissionsError):
        return errno.EACCES
    if isinstance(error, OSError):
        return error.errno or (errno.ENFILE if "system" in str(error) else errno.EMFILE)
    return errno.EINVAL


def shm_unlink(name: Name, directory: Directory = DEV_SHM) -> None:
    """Remove an object's name: shm_unlink(3). Its memory goes with its last user."""
    call(
        "shm_unlink",
        name,
        lambda: _unlink_object(name, directory),
        lambda _: _shown(name, directory, name) + ("" if directory.fd is None else ", 0"),
        shown_as=_in_directory("unlinkat", directory),
    )


def _unlink_object(name: Name, directory: Directory) -> None:
    """What glibc's shm_unlink(3) and sem_unlink(3) do; posix_ipc's do not take bytes."""
    try:
        _unlink(name, directory)
    except PermissionError as error:
        if directory.fd is None and error.errno == errno.EPERM:
            raise OSError(errno.EACCES, "") from error
        raise


def unlink(name: Name, directory: Directory = DEV_SHM) -> None:
    """Remove an object's file, as rm(1) does: unlink(2)."""
    call(
        "unlink",
        name,
        lambda: _unlink(name, directory),
        lambda _: _shown(name, directory) + ("" if directory.fd is None else ", 0"),
        shown_as=_in_directory("unlinkat", directory),
    )


def _unlink(name: Name, directory: Directory) -> None:
    os.unlink(_path(name, directory), dir_fd=directory.fd)


def _path(name: Name, directory: Directory) -> bytes:
    """The path for a call that takes ``dir_fd=directory.fd`` beside it."""
    return directory.path_of(name) if directory.fd is None else name[1:]


def _shown(name: Name, directory: Directory, without_descriptor: bytes | None = None) -> str:
    """What a trace shows of `_path`; ``without_descriptor`` is what the C library's function is given."""
    if directory.fd is None:
        return c_string(without_descriptor or directory.path_of(name))
    return f"{directory.fd}, {c_string(name[1:])}"


def _shown_directory(directory: Directory) -> str:
    return c_string(directory.path) if directory.fd is None else f'{directory.fd}, "."'


def _in_directory(function: str, directory: Directory) -> str | None:
    """The ``...at`` function that a call is where it goes through the directory's descriptor."""
    return None if directory.fd is None else function


def open_path(name: Name, directory: Directory = DEV_SHM) -> int:
    """A descriptor that only identifies the file, and needs no permission on it: open(2) with O_PATH."""
    oflag = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    return call(
        "open",
        name,
        lambda: os.open(_path(name, directory), oflag, dir_fd=directory.fd),
        lambda _: f"{_shown(name, directory)}, {open_flags(oflag)}",
        shown_as=_in_directory("openat", directory),
    )


def open_again(fd: int, name: Name | bytes) -> int:
    """A second, read-only descriptor of what ``fd`` has open, by way of /proc: open(2)."""
    oflag = os.O_RDONLY | os.O_CLOEXEC
    path = f"/proc/self/fd/{fd}"
    return call("open", name, lambda: os.open(path, oflag), lambda _: f'"{path}", {open_flags(oflag)}')


def duplicate(fd: int, name: Name) -> int:
    """Another descriptor, close-on-exec, of the same open file: dup(2)."""
    return call("dup", name, lambda: os.dup(fd), lambda _: str(fd))


def open_directory(directory: Directory = DEV_SHM) -> int:
    """A descriptor to read the directory from: open(2)."""
    oflag = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    path = directory.path if directory.fd is None else b"."
    return call(
        "open",
        directory.path,
        lambda: os.open(path, oflag, dir_fd=directory.fd),
        lambda _: f"{_shown_directory(directory)}, {open_flags(oflag)}",
        shown_as=_in_directory("openat", directory),
    )


def close(fd: int, name: Name | bytes) -> None:
    """Close a descriptor: close(2)."""
    try:
        call("close", name, lambda: os.close(fd), lambda _: str(fd))
    except ShmError as error:
        # On Linux it is closed by then, signal or not.
        if error.errno != errno.EINTR:
            raise


@contextmanager
def closing(fd: int, name: Name | bytes) -> Iterator[int]:
    """``fd``, closed on every way out."""
    try:
        yield fd
    finally:
        close(fd, name)


def fstat(fd: int, name: Name) -> FileStat:
    """What the system knows about an open object: fstat(2)."""
    return call("fstat", name, lambda: FileStat.of(os.fstat(fd)), lambda st: f"{fd}, {stat_struct(st)}")


def fstatat(name: Name, directory_fd: int) -> FileStat:
    """fstat(2) by name, below an open directory, following no link: fstatat(2)."""
    return call(
        "fstatat",
        name,
        lambda: FileStat.of(os.stat(name[1:], dir_fd=directory_fd, follow_symlinks=False)),
        lambda st: f"{directory_fd}, {c_string(name[1:])}, {stat_struct(st)}, AT_SYMLINK_NOFOLLOW",
    )


def stat_directory(directory: Directory = DEV_SHM) -> FileStat:
    """What the system knows about the directory, through a link if it is one: stat(2)."""
    where: bytes | int = directory.path if directory.fd is None else directory.fd
    shown = c_string(directory.path) if directory.fd is None else str(directory.fd)
    function = "stat" if directory.fd is None else "fstat"
    return call(
        function,
        directory.path,
        lambda: FileStat.of(os.stat(where)),
        lambda st: f"{shown}, {stat_struct(st)}",
    )


def lstat(name: Name, directory: Directory = DEV_SHM) -> FileStat:
    """fstat(2) by name, following no link, and without a descriptor: lstat(2)."""
    flag = "" if directory.fd is None else ", AT_SYMLINK_NOFOLLOW"
    return call(
        "lstat",
        name,
        lambda: FileStat.of(os.stat(_path(name, directory), dir_fd=directory.fd, follow_symlinks=False)),
        lambda st: f"{_shown(name, directory)}, {stat_struct(st)}{flag}",
        shown_as=_in_directory("fstatat", directory),
    )


_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BTIME = 0x800


def statx(name: Name, directory: Directory = DEV_SHM, fd: int | None = None) -> "Birth":
    """Return a file's creation time: statx(2). ``fd`` is its descriptor; None looks it up by name.

    No link is followed. ENOSYS if the C library has no such function.
    """
    if fd is not None:
        where, path, flag = fd, b"", _AT_EMPTY_PATH
    else:
        where = _AT_FDCWD if directory.fd is None else directory.fd
        path, flag = _path(name, directory), _AT_SYMLINK_NOFOLLOW

    def arguments(_: object) -> str:
        if fd is not None:
            return f'{fd}, "", AT_STATX_SYNC_AS_STAT|AT_EMPTY_PATH, STATX_BTIME, {{...}}'
        shown = ("AT_FDCWD, " if directory.fd is None else "") + _shown(name, directory)
        return f"{shown}, AT_STATX_SYNC_AS_STAT|AT_SYMLINK_NOFOLLOW, STATX_BTIME, {{...}}"

    def call_statx() -> "Birth":
        from ctypes import byref

        from shmctl.core.cstructs import Birth, StatX
        from shmctl.core.libc import libc

        if not hasattr(libc, "statx"):
            raise OSError(errno.ENOSYS, "")
        found = StatX()
        _c_call("statx", where, path, flag, _STATX_BTIME, byref(found))
        time_ns = found.btime_seconds * 10**9 + found.btime_nanoseconds
        return Birth(found.inode, time_ns if found.mask & _STATX_BTIME else None)

    return call("statx", name, call_statx, arguments)


def statvfs(directory: Directory = DEV_SHM) -> os.statvfs_result:
    """How large the file system of the directory is, and how full: statvfs(3)."""
    where: bytes | int = directory.path if directory.fd is None else directory.fd
    shown = c_string(directory.path) if directory.fd is None else str(directory.fd)
    function = "statvfs" if directory.fd is None else "fstatvfs"
    return call(function, directory.path, lambda: os.statvfs(where), lambda _: f"{shown}, {{...}}")


def free_space(fd: int, name: Name) -> float:
    """Bytes left on the file system of an open object, infinity where it has no limit: fstatvfs(3)."""
    found = call("fstatvfs", name, lambda: os.fstatvfs(fd), lambda _: f"{fd}, {{...}}")
    return found.f_bavail * found.f_frsize if found.f_blocks else float("inf")


def ftruncate(fd: int, length: int, name: Name) -> None:
    """Set an object's size in bytes, growing with zeros: ftruncate(2)."""
    call("ftruncate", name, lambda: os.ftruncate(fd, length), lambda _: f"{fd}, {length}")


def posix_fallocate(fd: int, offset: int, length: int, name: Name) -> None:
    """Allocate memory for a range now, growing the object if need be: posix_fallocate(3).

    ENOSPC leaves nothing newly allocated.
    """
    call(
        "posix_fallocate",
        name,
        lambda: os.posix_fallocate(fd, offset, length),
        lambda _: f"{fd}, {offset}, {length}",
    )


def fchmod(fd: int, mode: int, name: Name) -> None:
    """Set the permission bits: fchmod(2)."""
    call("fchmod", name, lambda: os.fchmod(fd, mode), lambda _: f"{fd}, {mode:04o}")


def fchown(fd: int, uid: int, gid: int, name: Name) -> None:
    """Set owner and group, -1 leaving one alone: fchown(2)."""
    call("fchown", name, lambda: os.fchown(fd, uid, gid), lambda _: f"{fd}, {uid}, {gid}")


def chmod_path_fd(fd: int, mode: int, name: Name) -> None:
    """fchmod(2) for a descriptor of `open_path`, which fchmod refuses: chmod(2) through /proc/self/fd."""
    path = f"/proc/self/fd/{fd}"
    call("chmod", name, lambda: os.chmod(path, mode), lambda _: f'"{path}", {mode:04o}')


def chown_path_fd(fd: int, uid: int, gid: int, name: Name) -> None:
    """fchown(2) for a descriptor of `open_path`, which fchown refuses: chown(2) through /proc/self/fd."""
    path = f"/proc/self/fd/{fd}"
    call("chown", name, lambda: os.chown(path, uid, gid), lambda _: f'"{path}", {uid}, {gid}')


def open_unnamed(directory: Directory = DEV_SHM, mode: int = 0o600) -> int:
    """A new object without a name, open O_RDWR: open(2) with O_TMPFILE. It goes with its last descriptor."""
    oflag = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
    path = directory.path if directory.fd is None else b"."
    return call(
        "open",
        directory.path,
        lambda: os.open(path, oflag, mode, dir_fd=directory.fd),
        lambda _: f"{_shown_directory(directory)}, O_RDWR|O_TMPFILE|O_CLOEXEC, {mode:04o}",
        shown_as=_in_directory("openat", directory),
    )


def link(fd: int, name: Name, directory: Directory) -> None:
    """Give an object of `open_unnamed` a name, EEXIST where that is taken: linkat(2) by way of /proc.

    ``directory`` has a descriptor: without one Python calls link(2), which
    does not follow the link in /proc.
    """
    path = f"/proc/self/fd/{fd}"
    call(
        "linkat",
        name,
        lambda: os.link(path, _path(name, directory), dst_dir_fd=directory.fd),
        lambda _: f'AT_FDCWD, "{path}", {_shown(name, directory)}, AT_SYMLINK_FOLLOW',
    )


def rename(old: Name, new: Name, directory: Directory) -> None:
    """Give the object ``old`` the name ``new``, and take it from whatever had it: renameat(2).

    ``directory`` has a descriptor. Errors carry the name ``new``.
    """
    call(
        "renameat",
        new,
        lambda: os.rename(old[1:], new[1:], src_dir_fd=directory.fd, dst_dir_fd=directory.fd),
        lambda _: f"{_shown(old, directory)}, {_shown(new, directory)}",
    )


RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
_RENAME_FLAGS = {0: "0", RENAME_NOREPLACE: "RENAME_NOREPLACE", RENAME_EXCHANGE: "RENAME_EXCHANGE"}
_AT_FDCWD = -100


def rename_with(old: Name, new: Name, flags: int, directory: Directory = DEV_SHM) -> None:
    """Give the object ``old`` the name ``new`` by the rules of ``flags``: renameat2(2).

    RENAME_NOREPLACE: EEXIST where ``new`` exists. RENAME_EXCHANGE: each gets
    the other's name. Errors carry the name ``old`` for ENOENT, else ``new``.
    """
    fd = _AT_FDCWD if directory.fd is None else directory.fd
    shown = "AT_FDCWD, " if directory.fd is None else ""
    paths = _path(old, directory), _path(new, directory)
    try:
        call(
            "renameat2",
            new,
            lambda: _c_call("renameat2", fd, paths[0], fd, paths[1], flags),
            lambda _: (
                f"{shown}{_shown(old, directory)}, {shown}{_shown(new, directory)}, {_RENAME_FLAGS[flags]}"
            ),
        )
    except ShmError as error:
        if error.errno == errno.ENOENT and not flags & RENAME_EXCHANGE:
            raise ShmError("renameat2", old, errno.ENOENT) from None
        raise


def mmap(fd: int, length: int, prot: int, offset: int, name: Name) -> int:
    """Map ``length`` bytes, not 0, from ``offset`` on, a page multiple: mmap(2). Returns the address.

    Straight from the C library: Python's own mmap objects also call fstat(2)
    and duplicate the descriptor. A `BusGuard` must stand wherever the bytes
    are touched.
    """
    arguments = f"NULL, {length}, {_PROT_NAMES[prot]}, MAP_SHARED, {fd}, {offset}"

    return call(
        "mmap",
        name,
        lambda: _c_call("mmap", None, length, prot, _mmap.MAP_SHARED, fd, offset, failure=_MAP_FAILED),
        lambda _: arguments,
        returned=hex,
    )


def munmap(address: int, length: int, name: Name) -> None:
    """Take a range out of the address space: munmap(2)."""
    call("munmap", name, lambda: _c_call("munmap", address, length), lambda _: f"{address:#x}, {length}")


_MADV_POPULATE_READ = 22


def populate(address: int, length: int, name: Name) -> None:
    """Map pages as a load does, which allocates those of a hole: madvise(2), Linux 5.14.

    Raises ShmError, with EFAULT instead of a SIGBUS.
    """
    call(
        "madvise",
        name,
        lambda: _c_call("madvise", address, length, _MADV_POPULATE_READ),
        lambda _: f"{address:#x}, {length}, MADV_POPULATE_READ",
    )


_CACHESTAT = 451  # the same on every architecture but Alpha


def cachestat(fd: int, name: Name, offset: int = 0, length: int = 0) -> "CacheStat":
    """Where an object's pages are, to its end where ``length`` is 0: cachestat(2), Linux 6.5.

    EPERM for who may not write to it.
    """

    def ask() -> "CacheStat":
        from ctypes import c_uint64

        from shmctl.core.cstructs import CacheStat

        part, found = (c_uint64 * 2)(offset, length), (c_uint64 * 5)()
        _c_call("syscall", _CACHESTAT, fd, part, found, 0)
        return CacheStat(found[0] * PAGE_SIZE, found[3] * PAGE_SIZE)

    return call("cachestat", name, ask, lambda _: f"{fd}, {{off={offset}, len={length}}}, {{...}}, 0")


def map_buffer(fd: int, length: int, writable: bool, name: Name) -> _mmap.mmap:
    """Map the first ``length`` bytes, not 0, as a buffer for any library: mmap(2).

    Nothing guards it: a plain load or store gets SIGBUS where a page has gone or cannot be had.
    """
    access, prot = (
        (_mmap.ACCESS_WRITE, PROT_READ | PROT_WRITE) if writable else (_mmap.ACCESS_READ, PROT_READ)
    )

    def call_mmap() -> _mmap.mmap:
        try:
            return _mmap.mmap(fd, length, access=access)
        except ValueError as error:
            raise OSError(errno.EFAULT, "") from error  # Python itself has seen that it is shorter by now

    return call(
        "mmap", name, call_mmap, lambda _: f"NULL, {length}, {_PROT_NAMES[prot]}, MAP_SHARED, {fd}, 0"
    )


def _c_call(function: str, *arguments: object, failure: int = -1) -> int:
    """What a function of the C library returns. Raises OSError with its errno for ``failure``."""
    from shmctl.core.libc import libc

    result = int(getattr(libc, function)(*arguments) or 0)
    if result == failure:
        from ctypes import get_errno

        raise OSError(get_errno(), "")
    return result


# Semaphores straight from the C library: posix_ipc drops the errno, and what a signal handler raises.


def sem_open(name: Name, oflag: int, mode: int = 0, value: int = 0) -> int:
    """Open a named semaphore, and with O_CREAT make it with ``value``: sem_open(3). Returns its address."""
    flags = "|".join(flag for flag in ("O_CREAT", "O_EXCL") if oflag & getattr(os, flag)) or "0"
    shown = f"{c_string(name)}, {flags}" + (f", {mode:04o}, {value}" if oflag & os.O_CREAT else "")
    return call(
        "sem_open",
        name,
        lambda: _c_call("sem_open", name, oflag, mode, value, failure=_SEM_FAILED),
        lambda _: shown,
        returned=hex,
    )


def sem_post(address: int, name: Name) -> None:
    """Add one to a semaphore's value: sem_post(3). EOVERFLOW at SEM_VALUE_MAX."""
    call("sem_post", name, lambda: _c_call("sem_post", address), lambda _: c_string(name))


def sem_wait(address: int, seconds: float | None, name: Name) -> None:
    """Take one from a semaphore's value, waiting while it is 0: sem_wait(3).

    At most ``seconds``, with sem_timedwait(3): ETIMEDOUT; for 0, with
    sem_trywait(3): EAGAIN. EINTR after a signal that has a handler.
    """
    if seconds is None:
        call("sem_wait", name, lambda: _c_call("sem_wait", address), lambda _: c_string(name))
    elif seconds == 0:
        call("sem_trywait", name, lambda: _c_call("sem_trywait", address), lambda _: c_string(name))
    else:
        call(
            "sem_timedwait",
            name,
            lambda: _sem_timedwait(address, seconds),
            lambda _: f"{c_string(name)}, {seconds:g} s",
        )


def _sem_timedwait(address: int, seconds: float) -> int:
    from ctypes import byref

    from shmctl.core.cstructs import TimeSpec

    deadline = time.time() + seconds
    until = TimeSpec(min(int(deadline), sys.maxsize), int(deadline % 1 * 1e9))
    return _c_call("sem_timedwait", address, byref(until))


def sem_getvalue(address: int, name: Name) -> int:
    """A semaphore's value, as it is at this moment: sem_getvalue(3)."""

    def get() -> int:
        from ctypes import byref, c_int

        value = c_int()
        _c_call("sem_getvalue", address, byref(value))
        return value.value

    return call("sem_getvalue", name, get, lambda value: f"{c_string(name)}, {value}", returned=lambda _: 0)


def sem_close(address: int, name: Name) -> None:
    """Let go of a semaphore: sem_close(3)."""
    call("sem_close", name, lambda: _c_call("sem_close", address), lambda _: c_string(name))


def sem_unlink(name: Name) -> None:
    """Remove a semaphore's name: sem_unlink(3)."""
    file = Name(SEMAPHORE_PREFIX + name[1:])
    call("sem_unlink", name, lambda: _unlink_object(file, DEV_SHM), lambda _: c_string(name))
