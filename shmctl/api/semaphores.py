"""POSIX named semaphores."""

import errno
import os
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from shmctl.core.errors import InputError, ShmError
from shmctl.core.names import NameLike
from shmctl.core.objects.semaphore_file import VALUE_MAX
from shmctl.core.sizes import check_seconds
from shmctl.core.sync import semaphores

Result = TypeVar("Result")


class Semaphore:
    """A named semaphore, open. ``with`` waits for it, and posts it at the end. See sem_overview(7).

    ``Semaphore(name)`` opens one that exists, as ``sem_open(name, 0)`` does in
    C; `create` makes one. Its file is ``/dev/shm/sem.NAME``. It closes by
    itself with its last use. It cannot be pickled: give another process the
    name.

    Raises `ShmError`: FileNotFoundError, PermissionError, EINVAL for a file
    that is no semaphore, and EFAULT, which closes it, if another process
    shrank the file. Raises ValueError for an invalid name, and after `close`.

    >>> mutex = shmctl.Semaphore.create("/mutex", 1)
    >>> with mutex:
    ...     mutex.value
    0
    >>> shmctl.Semaphore("/mutex").value
    1
    >>> mutex.unlink()
    """

    def __init__(self, name: NameLike) -> None:
        self._name = semaphores.parse_semaphore_name(name)
        self._semaphore = semaphores.open_semaphore(self._name)
        self._close = weakref.finalize(self, self._semaphore.close)
        self._close.atexit = False

    @classmethod
    def create(cls, name: NameLike, value: int = 0, *, mode: int = 0o600, exist_ok: bool = False) -> Self:
        """Create a semaphore with ``value`` and open it; with ``exist_ok`` open an existing one, unchanged.

        ``mode`` is its permission bits (0o600), less the umask.

        Raises `ShmError`: FileExistsError, PermissionError. Raises ValueError
        for an invalid name or value. See sem_open(3).
        """
        if not 0 <= value <= VALUE_MAX:
            raise InputError(f"invalid value {value}: it has to be between 0 and {VALUE_MAX}")
        semaphores.create_semaphore(
            semaphores.parse_semaphore_name(name), value, mode, exclusive=not exist_ok
        )
        return cls(name)

    @property
    def name(self) -> str:
        """The semaphore's name, with its slash."""
        return os.fsdecode(self._name)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._close.alive

    @property
    def value(self) -> int:
        """The value at this moment: sem_getvalue(3)."""
        return self._do(lambda semaphore: semaphore.value())

    def post(self) -> None:
        """Add one to the value: sem_post(3). Raises `ShmError`: EOVERFLOW at the largest possible value."""
        self._do(lambda semaphore: semaphore.post())

    def wait(self, timeout: float | None = None) -> None:
        """Take one from the value, sleeping while it is 0: sem_wait(3), sem_timedwait(3).

        Raises `ShmError`: TimeoutError after ``timeout`` seconds (None and
        infinity: never; 0 and less: at once), InterruptedError after a signal
        that has a handler. Raises ValueError for NaN.
        """
        seconds = None if timeout is None else check_seconds("timeout", timeout)
        self._do(lambda semaphore: semaphores.take(semaphore, seconds))

    def unlink(self) -> None:
        """Remove the name; the semaphore lives on where it is open. See sem_unlink(3). Raises `ShmError`."""
        semaphores.unlink_semaphore(self._name)

    def close(self) -> None:
        """Close this handle; a second call does nothing. The semaphore itself stays: sem_close(3)."""
        self._close()

    def _do(self, action: Callable[[semaphores.Semaphore], Result]) -> Result:
        if self.closed:
            raise ValueError(f"{self!r}: it is closed")
        try:
            return action(self._semaphore)
        except ShmError as error:
            if error.errno == errno.EFAULT:
                # Its memory is a page of zeros by now, which nobody else sees.
                self.close()
            raise

    def __enter__(self) -> Self:
        self.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.post()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be pickled or copied: give its name, and open that")

    def __repr__(self) -> str:
        return f"<shmctl.Semaphore {self.name!r}{', closed' if self.closed else ''}>"
