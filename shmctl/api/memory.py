"""Open objects: their bytes, size and memory as a buffer."""

import errno
import operator
import os
import sys
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

# Needed at the first load or store, and loaded now: a child that is forked while another thread is
# loading it would wait for that thread for ever.
import shmctl.core.objects.mapping  # noqa: F401
from shmctl.api.records import Info
from shmctl.core import posix, transfer
from shmctl.core.errors import InputError, ShmError, shrunk
from shmctl.core.models import DEV_SHM, ObjectInfo
from shmctl.core.names import Name, NameLike, parse_name, random_name
from shmctl.core.objects.create import created
from shmctl.core.objects.open import OpenObject, opened
from shmctl.core.objects.read import extent, read_bytes
from shmctl.core.objects.remove import remove_if_same
from shmctl.core.objects.resize import room, set_size
from shmctl.core.objects.write import Fit, check_range, write_bytes
from shmctl.core.sizes import OFF_T_MAX

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
else:
    ReadableBuffer = memoryview

_LARGEST_SCALAR = 8


def create(
    name: NameLike | None = None,
    size: int | None = None,
    *,
    mode: int = 0o600,
    exist_ok: bool = False,
    truncate: bool = False,
    reserve: bool = False,
) -> "SharedMemory":
    """Create an object of ``size`` bytes, all zero, and open it for reading and writing.

    Without a ``name`` it gets a random one. ``mode`` is its permission bits
    (0o600), less the umask. An existing object is an error, unless
    ``exist_ok``: then it is opened, keeps its mode, is emptied first if
    ``truncate`` (O_TRUNC), and resized if ``size`` is given and differs.
    ``reserve`` allocates its memory now, so that a full /dev/shm is an error
    here and not SIGBUS later.

    In ``with``, the object stays when the body ends. If the body raises, an
    object created here is removed, so that nobody finds it half filled.

    Raises `ShmError`: FileExistsError, PermissionError, ENOSPC if there is no
    memory to ``reserve``; nothing is left behind. Raises ValueError for an
    invalid name or size. See shm_open(3), ftruncate(2), posix_fallocate(3).

    >>> with shmctl.create("/box", size=4096) as box:
    ...     box.write(b"hello", offset=8)
    ...     box.read(8, 5)
    b'hello'
    >>> shmctl.create("/box")
    Traceback (most recent call last):
    shmctl.ShmError: shm_open '/box': File exists (EEXIST)
    """
    parsed = random_name("py") if name is None else parse_name(name)
    if size is not None:
        check_number("size", size)
    if truncate and not exist_ok:
        raise InputError("truncate goes with exist_ok")
    with created(parsed, size, mode, exclusive=not exist_ok, truncate=truncate, reserve=reserve) as target:
        return _keep_open(target, writable=True)


def open(name: NameLike, *, writable: bool = False) -> "SharedMemory":
    """Open an existing object, for reading, or for writing too.

    Raises `ShmError`: FileNotFoundError, PermissionError, and EINVAL, ELOOP
    and the like for a symbolic link, a FIFO or a directory. Raises ValueError
    for an invalid name. See shm_open(3).
    """
    with opened(parse_name(name), os.O_RDWR if writable else os.O_RDONLY) as target:
        return _keep_open(target, writable=writable)


def _keep_open(target: OpenObject, *, writable: bool) -> "SharedMemory":
    """The object beyond the block that has opened it, which closes its own descriptor."""
    fd = posix.duplicate(target.fd, target.name)
    return SharedMemory(target.name, fd, writable=writable, created=target.created)


class SharedMemory:
    """An open shared-memory object, from `create` or `open`. The end of ``with`` closes it.

    Sizes, offsets and lengths are in bytes. Any number of threads and forked
    processes may use it at once; each sees what the others write. After
    `close` every method raises ValueError. It cannot be pickled: pass the
    name to the other process, and open it there.
    """

    def __init__(self, name: Name, fd: int, *, writable: bool, created: bool) -> None:
        self._name = name
        self._fd = fd
        self._writable = writable
        self._created = created
        self._pid = os.getpid()
        self._mappings: list[posix.MappedBuffer] = []

    @property
    def name(self) -> str:
        """The object's name when it was opened, with the slash; os.fsencode() gives the bytes."""
        return os.fsdecode(self._name)

    @property
    def writable(self) -> bool:
        """Whether the object is open for writing."""
        return self._writable

    @property
    def created(self) -> bool:
        """Whether the call that opened the object also created it."""
        return self._created

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._fd < 0

    @property
    def size(self) -> int:
        """The size now; any process that may write to the object may change it. See fstat(2)."""
        return self._target().size

    def stat(self) -> Info:
        """Return the metadata now (fstat(2)); ``nlink`` is 0 once the name was removed."""
        st = posix.fstat(self.fileno(), self._name)
        return Info.of(ObjectInfo(self._name, DEV_SHM, st))

    def fileno(self) -> int:
        """Return the descriptor, for os, fcntl and select. `close` closes it."""
        if self.closed:
            raise ValueError(f"{self!r}: it is closed")
        return self._fd

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """Return a copy of exactly ``length`` bytes at ``offset``, or of everything up to the end.

        1, 2, 4 or 8 bytes at a multiple of their number are loaded by a
        single instruction, so no half-done store shows.

        Raises `ShmError` if the object ends before that (EINVAL), or is shrunk
        meanwhile (EFAULT); never dies of SIGBUS. Raises ValueError for a
        negative number.
        """
        check_number("offset", offset)
        target = self._target()
        if length is None:
            length = extent(target, offset, None)
        check_number("length", length)
        if length <= _LARGEST_SCALAR or offset + length > target.size:
            return read_bytes(target, offset, length)
        data = transfer.pread(target.fd, length, offset, self._name)
        while len(data) < length:
            more = transfer.pread(target.fd, length - len(data), offset + len(data), self._name)
            if not more:
                raise shrunk("pread", self._name)
            data += more
        return data

    def write(self, data: ReadableBuffer, offset: int = 0) -> None:
        """Store all of ``data``, anything with a contiguous buffer, at ``offset``.

        The object does not grow: `resize` does that. 1, 2, 4 or 8 bytes at a
        multiple of their number are stored by a single instruction.

        Raises `ShmError`, and stores nothing, if the data does not fit
        (EFBIG), /dev/shm is full (ENOSPC), or the object is open for reading
        only (PermissionError); also if the object is shrunk meanwhile (EFAULT).
        Never dies of SIGBUS. Raises ValueError for a negative offset.
        """
        check_number("offset", offset)
        target = writable_target(self, "write")
        view = memoryview(data)
        check_range(self._name, offset, view.nbytes)
        if view.nbytes <= _LARGEST_SCALAR:
            write_bytes(target, offset, view.tobytes(), Fit())
            return
        with view.cast("B") as rest, room(target, offset, view.nbytes):
            done = 0
            while done < view.nbytes:
                with rest[done:] as piece:
                    done += transfer.pwrite(target.fd, piece, offset + done, self._name)

    def resize(self, size: int, *, reserve: bool = False) -> None:
        """Grow the object with zeros, or shrink it, for everybody who has it open: ftruncate(2).

        Growing never shrinks the object, even if others resize it meanwhile;
        it allocates the page of the last byte. ``reserve`` allocates all of
        the memory; if that fails (ENOSPC) the size stays as it was. Release
        views of `buffer` first: BufferError. A process that touches the part
        cut off gets SIGBUS.

        Raises `ShmError`; ValueError for an invalid size.
        """
        check_number("size", size)
        target = writable_target(self, "ftruncate")
        self._unmap()
        set_size(target, target.size, size, reserve, is_shared=True)

    @property
    def buffer(self) -> memoryview:
        """The memory of the object, mapped (mmap(2)), up to its size now; writable if the object is.

        ``numpy.frombuffer(box.buffer, dtype)`` and the like use it without a
        copy. From Python 3.12 on the object is a buffer itself:
        ``memoryview(box)``.

        A plain load or store has no guard, as in C: if another process shrank
        the object, or /dev/shm has no page left, the process dies of SIGBUS.
        ``reserve`` in `create` and `resize` prevents the second; only agreement
        between processes prevents the first. `read` and `write` raise instead.

        >>> with shmctl.create("/box", size=16, reserve=True) as box:
        ...     box.buffer[:5] = b"hello"
        ...     numbers = box.buffer.cast("i")
        ...     numbers[3] = -1
        ...     numbers.release()
        ...     box.read()
        b'hello\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xff\\xff\\xff\\xff'
        """
        size = self.size
        if not size:
            return memoryview(bytearray() if self._writable else b"")
        for mapping in self._mappings:
            if len(mapping) == size:
                return memoryview(mapping)
        mapping = posix.map_buffer(self.fileno(), size, self._writable, self._name)
        self._mappings.append(mapping)
        return memoryview(mapping)

    if sys.version_info >= (3, 12):

        def __buffer__(self, flags: int, /) -> memoryview:
            return self.buffer

    def close(self) -> None:
        """Unmap the memory and close the descriptor; a second call does nothing. `unlink` removes the object.

        Raises BufferError while a view of `buffer`, or an array made of one,
        is in use: release or delete that, and close again. If an exception ends
        ``with``, the memory is unmapped with the last view.
        """
        if not self.closed:
            self._unmap()
            self._close_descriptor()

    def _unmap(self) -> None:
        mappings, self._mappings = self._mappings, []
        for mapping in mappings:
            try:
                mapping.close()
            except BufferError:
                self._mappings.append(mapping)
        if self._mappings:
            raise BufferError(f"{self!r}: views of its buffer are in use: release or delete them first")

    def _let_go(self) -> None:
        self._mappings = []
        self._close_descriptor()

    def _close_descriptor(self) -> None:
        fd, self._fd = self._fd, -1
        posix.close(fd, self._name)

    def _target(self) -> OpenObject:
        fd = self.fileno()
        return OpenObject(self._name, fd, DEV_SHM, posix.fstat(fd, self._name).st_size)

    def __enter__(self) -> Self:
        self.fileno()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or self.closed:
            self.close()
            return
        try:
            if self._is_half_made(error):
                target = self._target()
                remove_if_same(target.name, target.stat(), target.directory)
        finally:
            self._let_go()

    def _is_half_made(self, error: BaseException) -> bool:
        """Whether ``error`` is its maker's failure: a forked child has not made it, and may well exit."""
        on_purpose = isinstance(error, SystemExit | GeneratorExit)
        return self._created and not on_purpose and os.getpid() == self._pid

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self._let_go()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be pickled or copied: give its name, and open that")

    def __repr__(self) -> str:
        state = "closed" if self.closed else "writable" if self._writable else "read-only"
        return f"<shmctl.SharedMemory {self.name!r}, {state}>"


def writable_target(box: SharedMemory, call: str) -> OpenObject:
    """What core knows it as. Raises ShmError where it is open for reading only."""
    target = box._target()  # noqa: SLF001 - what a box hides from users, this package shares
    if not box.writable:
        raise ShmError(call, target.name, errno.EACCES, detail="it is open for reading only")
    return target


def check_number(what: str, number: int) -> None:
    """Raise ValueError for a size, offset or length that nothing can have."""
    if not 0 <= operator.index(number) <= OFF_T_MAX:
        raise InputError(f"invalid {what} {number}: it has to be between 0 and {OFF_T_MAX}")
