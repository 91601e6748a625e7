"""Copy an object's content into one that was just made: copy_file_range(2), holes as holes."""

import errno

from shmctl.core import transfer
from shmctl.core.errors import ShmError, shrunk
from shmctl.core.names import Name
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.resize import room

# No such call here, or not between these two file systems.
_UNSUPPORTED = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP)


def copy_content(fd: int, size: int, name: Name, target: OpenObject) -> None:
    """Copy the ``size`` bytes that ``fd`` has open into ``target``, which is new and empty.

    ``name`` is the source's, for errors. All the memory is allocated before
    anything is copied. Raises ShmError, EFAULT where the source shrinks
    meanwhile.
    """
    ranges = [(offset, length) for offset, length, data in transfer.extents(fd, 0, size, name) if data]
    with room(target, 0, size, only=ranges):
        for offset, length in ranges:
            _copy_range(fd, offset, length, name, target)


def _copy_range(fd: int, offset: int, length: int, name: Name, target: OpenObject) -> None:
    end = offset + length
    copy_some = transfer.copy_file_range
    while offset < end:
        wanted = min(transfer.SENDFILE_COUNT, end - offset)
        try:
            count = copy_some(fd, target.fd, offset, wanted, target.name)
        except ShmError as error:
            if error.errno not in _UNSUPPORTED or copy_some is not transfer.copy_file_range:
                raise
            copy_some = _send
            continue
        if not count:
            raise shrunk("copy_file_range", name)
        offset += count


def _send(fd: int, out_fd: int, offset: int, count: int, name: Name) -> int:
    transfer.seek(out_fd, offset, name)
    try:
        return transfer.sendfile(out_fd, fd, offset, count, name)
    except OSError as error:
        raise ShmError("sendfile", name, error.errno or errno.EIO) from error
