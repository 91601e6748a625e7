"""Hold the lock of the object that has a name: flock(2)."""

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from shmctl.core import locking, posix
from shmctl.core.errors import ShmError
from shmctl.core.objects.describe import is_same
from shmctl.core.objects.open import OpenObject


@contextmanager
def locked(
    open_it: Callable[[], AbstractContextManager[OpenObject]],
    *,
    exclusive: bool,
    timeout: float | None = None,
    at_once: bool = False,
) -> Iterator[OpenObject]:
    """What ``open_it`` opens, as it is once its lock is had.

    While the lock was waited for, another object may have taken the name.
    Then the lock of the old one keeps nobody away, and the new one is opened.

    Raises ShmError where the lock is not had: ETIMEDOUT after ``timeout``
    seconds, EAGAIN if it is wanted ``at_once``; ENOENT where nothing has the
    name any more.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        with open_it() as target:
            if at_once:
                if not locking.try_flock(target.fd, target.name, exclusive=exclusive):
                    raise ShmError("flock", target.name, errno.EAGAIN, detail="somebody else has the lock")
            elif deadline is None:
                locking.flock(target.fd, target.name, exclusive=exclusive)
            elif not locking.flock_until(target.fd, target.name, deadline, exclusive=exclusive):
                detail = f"timed out after {timeout:g} s: somebody else has the lock"
                raise ShmError("flock", target.name, errno.ETIMEDOUT, detail=detail)
            if _has_its_name(target):
                yield target._replace(size=target.stat().st_size)
                return


def _has_its_name(target: OpenObject) -> bool:
    """Whether the name is still this object's."""
    try:
        return is_same(posix.lstat(target.name, target.directory), target.stat())
    except ShmError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
