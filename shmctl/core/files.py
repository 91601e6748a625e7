"""Write files for other programs to read."""

import errno
import os
import stat
from contextlib import suppress

from shmctl.core.errors import FileError
from shmctl.core.models import type_name
from shmctl.core.signals import signals_blocked

_REFUSALS = {stat.S_IFDIR: errno.EISDIR, stat.S_IFLNK: errno.ELOOP}


def replace_file(path: bytes, data: bytes, mode: int) -> None:
    """Replace the regular file ``path`` with ``data`` atomically: rename(2).

    A reader sees the old content or the new. Links are neither followed nor
    replaced, nor are devices, which /dev/stdout may be. Raises FileError and
    then changes nothing.
    """
    try:
        _refuse_what_is_no_file(path)
        with signals_blocked():
            # Hidden, unpredictable, and short enough for any directory.
            temporary = os.path.join(os.path.dirname(path), b".shmctl-" + os.urandom(8).hex().encode())
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with open(fd, "wb") as file:
                    file.write(data)
                    os.fchmod(fd, mode)
                os.rename(temporary, path)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
    except FileError:
        raise
    except OSError as error:
        raise FileError("open", path, error.errno or errno.EIO) from None


def _refuse_what_is_no_file(path: bytes) -> None:
    try:
        st_mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(st_mode):
        number = _REFUSALS.get(stat.S_IFMT(st_mode), errno.EINVAL)
        raise FileError("open", path, number, detail=f"it is {type_name(st_mode)}, which is not replaced")
