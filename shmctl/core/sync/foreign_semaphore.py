"""Semaphores whose files others may write to: the C library takes what is in them for granted.

Of 32 bytes that make no sense it aborts the process, or never returns. They can be looked at, but change in
the next moment: so a process of its own calls the C library, and its end is an error with a name.
"""

import errno
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.names import Name
from shmctl.core.objects.semaphore_file import read_value
from shmctl.core.polling import readable_within
from shmctl.core.signals import signals_blocked
from shmctl.core.tracing import c_string, call

if TYPE_CHECKING:
    from subprocess import Popen

_PATIENCE = 10.0
"""How many seconds a call may take that waits for nobody, the start of its process included."""
_GRACE = 1.0
_DOUBT = {"sem_post": "it may have been posted"}


class ForeignSemaphore:
    """A semaphore in the file that ``fd`` has open; it closes that."""

    def __init__(self, name: Name, fd: int) -> None:
        self.name = name
        self._fd = fd

    def post(self) -> None:
        """Add one to its value: sem_post(3)."""
        self._call("sem_post")

    def take(self, seconds: float | None) -> None:
        """Take one from its value: sem_wait(3), sem_timedwait(3), and for 0 seconds sem_trywait(3)."""
        self._call("sem_wait" if seconds is None else "sem_timedwait" if seconds else "sem_trywait", seconds)

    def value(self) -> int:
        """Its value at this moment. Raises ShmError where there is none."""
        return read_value(self._fd, self.name)

    def close(self) -> None:
        """Let go of its file."""
        posix.close(self._fd, self.name)

    def _call(self, function: str, seconds: float | None = 0) -> None:
        # Most of what makes no sense needs no process to find that out.
        read_value(self._fd, self.name)
        number = self._ask(function, seconds)

        def outcome() -> None:
            if number:
                raise OSError(number, "")

        shown = c_string(self.name) + (f", {seconds:g} s" if seconds else "")
        call(function, self.name, outcome, lambda _: shown)

    def _ask(self, function: str, seconds: float | None) -> int:
        """The errno that the other process has of its call, or 0."""
        with signals_blocked() as deliver, self._started(function, time.time() + (seconds or 0)) as helper:
            assert helper.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
            limit = None if seconds is None else seconds + _PATIENCE
            try:
                deliver()
                ended = readable_within(helper.stdout.fileno(), limit)
            except BaseException as interrupt:
                if not _stopped(helper) and not helper.stdout.read():
                    interrupt.add_note(f"{function}: {_doubt(function)}")
                raise
            if not ended:
                helper.kill()
            answer = helper.stdout.read()
        if not answer:
            raise self._unanswered(function, helper.returncode if ended else None)
        return int(answer)

    def _started(self, function: str, deadline: float) -> "Popen[bytes]":
        import pkgutil
        import subprocess

        source = pkgutil.get_data("shmctl.core.sync", "semaphore_helper.py")
        assert source is not None  # noqa: S101 - for the type checker: every loader of ours can read
        # Isolated: what the environment says of Python is none of its business.
        argv = [sys.executable, "-I", "-S", "-c", source.decode()]
        return subprocess.Popen(  # noqa: S603 - Python itself
            [*argv, function, str(self._fd), str(os.getpid()), str(deadline)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._fd],
            process_group=0,  # Ctrl-C is for this process, which ends the other one
        )

    def _unanswered(self, function: str, status: int | None) -> ShmError:
        """What it means that no answer came, the process having ended with ``status``, or not in time."""
        if os.fstat(self._fd).st_size == 0 or status == -signal.SIGBUS:
            detail = "its file was shrunk: it is no longer a semaphore"
            return ShmError(function, self.name, errno.EFAULT, detail=detail)
        how = "did not return" if status is None else "ended its process"
        if status is not None and status < 0:
            how += f" ({signal.Signals(-status).name})"
        detail = f"its file is no valid semaphore: {function} {how}; {_doubt(function)}"
        return ShmError(function, self.name, errno.EINVAL, detail=detail)


def _doubt(function: str) -> str:
    return _DOUBT.get(function, "it may have been taken")


def _stopped(helper: "Popen[bytes]") -> bool:
    """Have a call be interrupted; whether it has ended by itself."""
    import subprocess

    helper.terminate()
    try:
        helper.wait(_GRACE)
    except subprocess.TimeoutExpired:
        helper.kill()
        return False
    return True
