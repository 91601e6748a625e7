"""Copy objects into streams, with the calls that cannot die of SIGBUS."""

import errno
import os
import stat

from shmctl.core import tracing, transfer
from shmctl.core.errors import STANDARD_OUTPUT, FileError, ShmError, failing_as
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject
from shmctl.core.sizes import counted
from shmctl.core.transfer import CHUNK, SENDFILE_COUNT, Progress


def copy_out(
    target: OpenObject,
    offset: int,
    length: int,
    out_fd: int,
    progress: Progress = lambda _: None,
    *,
    by_reference: bool = True,
) -> None:
    """Copy ``length`` bytes at ``offset`` to a descriptor, inside the kernel where it can: sendfile(2).

    That fills a pipe with references to the object's own pages, so that a
    reader may see what is stored later; without ``by_reference`` it cannot.
    In a new file, or at the end of one, the object's holes are holes again;
    elsewhere they are zeros.

    Raises ShmError for the output's errors and for an object that has shrunk,
    BrokenPipeError for a reader that went away. ``progress`` is called with the
    bytes copied so far.
    """
    transfer.widen_pipe(out_fd, length)
    outlet = _Outlet(target, offset, length, out_fd, progress, by_reference=by_reference)
    if outlet.takes_holes():
        outlet.copy_sparsely()
    else:
        outlet.copy(length)


class _Outlet:
    """One copy out of an object."""

    def __init__(
        self,
        target: OpenObject,
        offset: int,
        length: int,
        out_fd: int,
        progress: Progress,
        *,
        by_reference: bool,
    ) -> None:
        self._target = target
        self._offset = offset
        self._length = length
        self._out_fd = out_fd
        self._progress = progress
        self._copy_some = transfer.sendfile if by_reference else _read_and_write
        self._copied = 0

    def takes_holes(self) -> bool:
        """Whether the object has holes, and the output is a file that has nothing where they will be."""
        st = self._target.stat()
        if st.st_blocks * 512 >= st.st_size:
            return False
        try:
            out = os.fstat(self._out_fd)
            return (
                stat.S_ISREG(out.st_mode)
                and not transfer.appends(self._out_fd)
                and os.lseek(self._out_fd, 0, os.SEEK_CUR) >= out.st_size
            )
        except OSError:
            return False  # writing to it says why

    def copy_sparsely(self) -> None:
        """Copy data, and pass over what is a hole."""
        target = self._target
        is_data, end = True, 0
        for _, size, is_data in transfer.extents(target.fd, self._offset, self._length, target.name):
            if is_data:
                self.copy(self._copied + size)
            else:
                self._copied += size
                with failing_as("lseek", STANDARD_OUTPUT):
                    end = os.lseek(self._out_fd, size, os.SEEK_CUR)
                self._progress(self._copied)
        if not is_data:
            with failing_as("ftruncate", STANDARD_OUTPUT):
                if os.fstat(self._out_fd).st_size < end:
                    os.ftruncate(self._out_fd, end)

    def copy(self, end: int) -> None:
        """Copy what is left up to byte ``end`` of the range."""
        while self._copied < end:
            wanted = min(SENDFILE_COUNT, end - self._copied)
            place = self._offset + self._copied
            try:
                count = self._copy_some(self._out_fd, self._target.fd, place, wanted, self._target.name)
            except (BrokenPipeError, ShmError):
                raise
            except OSError as error:
                if self._copy_some is transfer.sendfile and error.errno in (errno.EINVAL, errno.ENOSYS):
                    # An output opened for appending, or one that is no file, pipe or socket.
                    self._copy_some = _read_and_write
                    continue
                detail = f"{error.strerror} after {self._copied} of {counted(self._length, 'byte')}"
                raise FileError("write", STANDARD_OUTPUT, error.errno or errno.EIO, detail=detail) from None
            if not count:
                detail = f"another process shrank it after {self._copied} of {counted(self._length, 'byte')}"
                raise ShmError("sendfile", self._target.name, errno.EIO, detail=detail)
            self._copied += count
            self._progress(self._copied)


def _read_and_write(out_fd: int, fd: int, offset: int, count: int, name: Name) -> int:
    data = memoryview(transfer.pread(fd, min(count, CHUNK), offset, name))
    written = 0
    while written < len(data):
        written += os.write(out_fd, data[written:])
    tracing.sent_to(out_fd)
    return written
