"""One function for each POSIX call, traced: the only place where shmctl touches shared memory.

posix_ipc does what it can do: opening and unlinking objects whose names are
UTF-8, in /dev/shm. It is never given a size: its constructor unlinks the
object when its ftruncate fails. Everything else goes through os, relative to
the directory's descriptor where there is one.
"""

import errno
import fcntl as _fcntl
import mmap as _mmap
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import posix_ipc

from shmctl.core import tracing
from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name
from shmctl.core.tracing import c_string, call, failed, open_flags, stat_struct

PAGE_SIZE = _mmap.PAGESIZE
PROT_READ = _mmap.PROT_READ
PROT_WRITE = _mmap.PROT_WRITE

_PROT_NAMES = {PROT_READ: "PROT_READ", PROT_READ | PROT_WRITE: "PROT_READ|PROT_WRITE"}
_LOCK_NAMES = {_fcntl.LOCK_SH: "LOCK_SH", _fcntl.LOCK_EX: "LOCK_EX"}


def shm_open(name: Name, oflag: int, mode: int = 0, directory: Directory = DEV_SHM) -> int:
    """Open an object, and with O_CREAT make it: shm_open(3). Returns a close-on-exec descriptor.

    ``oflag`` is O_RDONLY or O_RDWR, with any of O_CREAT, O_EXCL, O_TRUNC and
    O_NONBLOCK (which keeps a FIFO under the name from blocking the open).
    Symbolic links are refused with ELOOP.
    """

    def arguments(_: int | None) -> str:
        return f"{c_string(name)}, {open_flags(oflag)}, {'0' if mode == 0 else f'{mode:04o}'}"

    return call("shm_open", name, lambda: _open_object(name, oflag, mode, directory), arguments)


def _open_object(name: Name, oflag: int, mode: int, directory: Directory) -> int:
    if directory == DEV_SHM and _is_utf8(name):
        return _posix_ipc_open(name.decode(), oflag, mode)
    return os.open(_path(name, directory), oflag | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory.fd)


def _posix_ipc_open(name: str, oflag: int, mode: int) -> int:
    """posix_ipc's errors carry no errno: give them the one that each stands for."""
    read_only = oflag & os.O_ACCMODE == os.O_RDONLY
    try:
        shm = posix_ipc.SharedMemory(name, oflag & ~os.O_ACCMODE, mode=mode, read_only=read_only)
    except posix_ipc.ExistentialError as error:
        raise OSError(errno.EEXIST if oflag & os.O_EXCL else errno.ENOENT, "") from error
    except posix_ipc.PermissionsError as error:
        raise OSError(errno.EACCES, "") from error
    except ValueError as error:
        raise OSError(errno.EINVAL, "") from error
    except OSError as error:
        if error.errno is None:
            raise OSError(errno.ENFILE if "system" in str(error) else errno.EMFILE, "") from error
        raise
    return int(shm.fd)


def shm_unlink(name: Name, directory: Directory = DEV_SHM) -> None:
    """Remove an object's name: shm_unlink(3). Its memory goes with its last user."""
    if directory == DEV_SHM and _is_utf8(name):
        call("shm_unlink", name, lambda: _posix_ipc_unlink(name), lambda _: c_string(name))
    else:
        call("shm_unlink", name, lambda: _unlink(name, directory), lambda _: c_string(name))


def _posix_ipc_unlink(name: Name) -> None:
    try:
        posix_ipc.unlink_shared_memory(name.decode())
    except posix_ipc.ExistentialError as error:
        raise OSError(errno.ENOENT, "") from error
    except posix_ipc.PermissionsError as error:
        raise OSError(errno.EACCES, "") from error
    except ValueError as error:
        raise OSError(errno.EINVAL, "") from error


def unlink(name: Name, directory: Directory = DEV_SHM) -> None:
    """Remove an object's file, as rm(1) does: unlink(2)."""
    call("unlink", name, lambda: _unlink(name, directory), lambda _: c_string(directory.path_of(name)))


def _unlink(name: Name, directory: Directory) -> None:
    os.unlink(_path(name, directory), dir_fd=directory.fd)


def _path(name: Name, directory: Directory) -> bytes:
    """The path for a call that takes ``dir_fd=directory.fd`` beside it."""
    return directory.path_of(name) if directory.fd is None else name[1:]


def _is_utf8(name: Name) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def open_path(name: Name, directory: Directory = DEV_SHM) -> int:
    """A descriptor that only identifies the file, and needs no permission on it: open(2) with O_PATH."""
    oflag = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    return call(
        "open",
        name,
        lambda: os.open(_path(name, directory), oflag, dir_fd=directory.fd),
        lambda _: f"{c_string(directory.path_of(name))}, {open_flags(oflag)}",
    )


def open_directory(directory: Directory = DEV_SHM) -> int:
    """A descriptor to read the directory from: open(2)."""
    oflag = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    path = directory.path if directory.fd is None else b"."
    return call(
        "open",
        directory.path,
        lambda: os.open(path, oflag, dir_fd=directory.fd),
        lambda _: f"{c_string(path)}, {open_flags(oflag)}",
    )


def close(fd: int, name: Name | bytes) -> None:
    """Close a descriptor: close(2)."""
    call("close", name, lambda: os.close(fd), lambda _: str(fd))


@contextmanager
def closing(fd: int, name: Name | bytes) -> Iterator[int]:
    """``fd``, closed on every way out."""
    try:
        yield fd
    finally:
        close(fd, name)


def fstat(fd: int, name: Name) -> os.stat_result:
    """What the system knows about an open object: fstat(2)."""
    return call("fstat", name, lambda: os.fstat(fd), lambda st: f"{fd}, {stat_struct(st)}")


def fstatat(name: Name, directory_fd: int) -> os.stat_result:
    """fstat(2) by name, below an open directory, following no link: fstatat(2)."""
    return call(
        "fstatat",
        name,
        lambda: os.stat(name[1:], dir_fd=directory_fd, follow_symlinks=False),
        lambda st: f"{directory_fd}, {c_string(name[1:])}, {stat_struct(st)}, AT_SYMLINK_NOFOLLOW",
    )


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


def flock(fd: int, name: Name, *, exclusive: bool) -> None:
    """Wait for the lock that flock(1) takes: flock(2). It goes with the descriptor."""
    operation = _fcntl.LOCK_EX if exclusive else _fcntl.LOCK_SH
    call("flock", name, lambda: _fcntl.flock(fd, operation), lambda _: f"{fd}, {_LOCK_NAMES[operation]}")


def open_unnamed(directory: Directory = DEV_SHM) -> int:
    """A new object without a name, open O_RDWR: open(2) with O_TMPFILE. It goes with its last descriptor."""
    oflag = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
    path = directory.path if directory.fd is None else b"."
    return call(
        "open",
        directory.path,
        lambda: os.open(path, oflag, 0o600, dir_fd=directory.fd),
        lambda _: f"{c_string(path)}, O_RDWR|O_TMPFILE|O_CLOEXEC, 0600",
    )


def take_lease(fd: int, name: Name | bytes) -> bool:
    """Ask the kernel for the write lease on an open object: F_SETLEASE in fcntl(2).

    True: granted, so that nobody else has it open or mapped, and nobody can
    open it before `release_lease`. False: somebody has. Where the kernel may
    not or cannot answer, raises ShmError (EACCES: neither owner nor CAP_LEASE).
    """
    # An opener's wish would come as SIGIO, which kills; SIGURG is ignored unless somebody handles it.
    call(
        "fcntl",
        name,
        lambda: _fcntl.fcntl(fd, _fcntl.F_SETSIG, signal.SIGURG),
        lambda _: f"{fd}, F_SETSIG, SIGURG",
    )
    try:
        _set_lease(fd, _fcntl.F_WRLCK, "F_WRLCK", name)
    except ShmError as error:
        if error.errno == errno.EAGAIN:
            return False
        raise
    return True


def lease_stands(fd: int, name: Name | bytes) -> bool:
    """Whether nobody has begun to open the object since `take_lease`: F_GETLEASE in fcntl(2)."""
    lease = call("fcntl", name, lambda: _fcntl.fcntl(fd, _fcntl.F_GETLEASE), lambda _: f"{fd}, F_GETLEASE")
    return lease == _fcntl.F_WRLCK


def release_lease(fd: int, name: Name | bytes) -> None:
    """Let waiting openers go on: F_SETLEASE, F_UNLCK in fcntl(2)."""
    _set_lease(fd, _fcntl.F_UNLCK, "F_UNLCK", name)


def _set_lease(fd: int, lease: int, lease_name: str, name: Name | bytes) -> None:
    call(
        "fcntl",
        name,
        lambda: _fcntl.fcntl(fd, _fcntl.F_SETLEASE, lease),
        lambda _: f"{fd}, F_SETLEASE, {lease_name}",
    )


def seek_data(fd: int, offset: int, name: Name) -> int | None:
    """Where data begins, at or after ``offset``; None if only a hole follows: lseek(2), SEEK_DATA."""
    try:
        return call(
            "lseek", name, lambda: os.lseek(fd, offset, os.SEEK_DATA), lambda _: f"{fd}, {offset}, SEEK_DATA"
        )
    except ShmError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def seek_hole(fd: int, offset: int, name: Name) -> int:
    """Where the next hole, or the end, begins, at or after ``offset``: lseek(2), SEEK_HOLE."""
    return call(
        "lseek", name, lambda: os.lseek(fd, offset, os.SEEK_HOLE), lambda _: f"{fd}, {offset}, SEEK_HOLE"
    )


def pread(fd: int, length: int, offset: int, name: Name) -> bytes:
    """Up to ``length`` bytes at ``offset``, without a mapping: pread(2)."""
    return call(
        "pread",
        name,
        lambda: os.pread(fd, length, offset),
        lambda _: f"{fd}, ..., {length}, {offset}",
    )


def pwrite(fd: int, data: memoryview, offset: int, name: Name) -> int:
    """Store up to all of ``data`` at ``offset``, without a mapping: pwrite(2). Returns the bytes stored."""
    return call(
        "pwrite",
        name,
        lambda: os.pwrite(fd, data, offset),
        lambda _: f"{fd}, ..., {len(data)}, {offset}",
    )


def sendfile(out_fd: int, fd: int, offset: int, count: int, name: Name) -> int:
    """Copy up to ``count`` bytes at ``offset`` to ``out_fd`` inside the kernel: sendfile(2).

    Returns the bytes copied.

    Raises the plain OSError: whose fault it was, the object's or the
    output's, only the caller can tell.
    """

    def arguments() -> str:
        return f"{out_fd}, {fd}, [{offset}], {count}"

    try:
        copied = os.sendfile(out_fd, fd, offset, count)
    except OSError as error:
        failed("sendfile", name, error.errno or errno.EIO, arguments)
        raise
    if tracing.is_tracing():
        tracing.emit(f"sendfile({out_fd}, {fd}, [{offset}] => [{offset + copied}], {count}) = {copied}")
    return copied


@dataclass(frozen=True, slots=True)
class Region:
    """A mapped range: ``memory`` holds its bytes; ``address``, known while tracing, says where they stand."""

    memory: _mmap.mmap
    length: int
    address: int
    duplicate: int | None


def mmap(fd: int, length: int, prot: int, offset: int, name: Name) -> Region:
    """Map ``length`` bytes, not 0, from ``offset`` on, a page multiple, MAP_SHARED: mmap(2).

    Nothing but the kernel may touch the bytes (`readv_into`, `write_from`): a
    load or store by the interpreter dies of SIGBUS where the memory has gone.
    """
    arguments = f"NULL, {length}, {_PROT_NAMES[prot]}, MAP_SHARED, {fd}, {offset}"
    duplicate = _trace_fstat_of_mmap(fd)
    try:
        if sys.version_info >= (3, 13):
            memory = _mmap.mmap(fd, length, _mmap.MAP_SHARED, prot, offset=offset, trackfd=False)
        else:
            memory = _mmap.mmap(fd, length, _mmap.MAP_SHARED, prot, offset=offset)
    except ValueError as error:
        # The mmap module compares with the size first, and then calls nothing more.
        raise ShmError("mmap", name, errno.EINVAL, detail="the object is smaller than the range") from error
    except OSError as error:
        _trace_duplicate(fd, duplicate)
        problem = failed("mmap", name, error.errno or errno.EIO, lambda: arguments)
        _trace_close(duplicate)
        raise problem from error
    _trace_duplicate(fd, duplicate)
    address = _address_of(memory) if tracing.is_tracing() else 0
    tracing.emit(f"mmap({arguments}) = {address:#x}")
    return Region(memory, length, address, duplicate)


def munmap(region: Region) -> None:
    """Take a range out of the address space: munmap(2)."""
    region.memory.close()
    _trace_close(region.duplicate)
    tracing.emit(f"munmap({region.address:#x}, {region.length}) = 0")


def write_from(region: Region, start: int, length: int, fd: int, name: Name) -> int:
    """Copy mapped bytes to ``fd`` inside the kernel: write(2). EFAULT where a load would die of SIGBUS."""
    with memoryview(region.memory) as view, view[start : start + length] as source:
        return call(
            "write",
            name,
            lambda: os.write(fd, source),
            lambda _: f"{fd}, {region.address + start:#x}, {length}",
        )


def readv_into(region: Region, start: int, length: int, fd: int, name: Name) -> int:
    """Copy bytes from ``fd`` into the mapping: readv(2). EFAULT where a store would die of SIGBUS."""
    with memoryview(region.memory) as view, view[start : start + length] as target:
        return call(
            "readv",
            name,
            lambda: os.readv(fd, [target]),
            lambda _: f"{fd}, [{{iov_base={region.address + start:#x}, iov_len={length}}}], 1",
        )


def _trace_fstat_of_mmap(fd: int) -> int | None:
    """The mmap module itself calls fstat(2) first and, before Python 3.13, duplicates the descriptor.

    Traces the one; returns what the other will be.
    """
    if not tracing.is_tracing():
        return None
    tracing.emit(f"fstat({fd}, {stat_struct(os.stat(f'/proc/self/fd/{fd}'))}) = 0")
    return None if sys.version_info >= (3, 13) else _next_descriptor()


def _trace_duplicate(fd: int, duplicate: int | None) -> None:
    if duplicate is not None:
        tracing.emit(f"fcntl({fd}, F_DUPFD_CLOEXEC, 0) = {duplicate}")


def _trace_close(duplicate: int | None) -> None:
    """The mmap module closes its duplicate together with the mapping."""
    if duplicate is not None:
        tracing.emit(f"close({duplicate}) = 0")


def _next_descriptor() -> int:
    """The lowest free descriptor, which the next call that makes one will return."""
    fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.close(fd)
    return fd


def _address_of(memory: _mmap.mmap) -> int:
    from cffi import FFI

    ffi = FFI()
    buffer = ffi.from_buffer(memory)
    address = int(ffi.cast("uintptr_t", buffer))
    ffi.release(buffer)
    return address
