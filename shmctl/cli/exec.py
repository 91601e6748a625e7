"""Run another program, pass signals on to it, and return its status."""

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

from shmctl.cli import messages
from shmctl.core.errors import failing_as
from shmctl.core.names import printable

_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
_ENDING = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))
_PASSED_ON = _ENDING | {signal.SIGUSR1, signal.SIGUSR2}
_SI_KERNEL = 0x80
_SECONDS_BETWEEN_LOOKS = 2
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


def run_child(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, inherited: Sequence[int] = ()
) -> int:
    """Run a program to its end; returns its exit status as the shell has it: 128 + N after signal N.

    126 and 127 mean that it could not be run, or is not there, which is said on
    standard error. ``inherited`` descriptors stay open in it. Signals that come
    for this process meanwhile go to the program, and wake it where they are to
    end it and it is stopped; those of the keyboard reach it anyway.
    """
    waited_for = _PASSED_ON | {signal.SIGCHLD}
    # An ignored SIGCHLD, which is inherited, would never arrive.
    child_handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    try:
        with failing_as("ioctl", None):
            for fd in inherited:
                os.set_inheritable(fd, True)
        pid = _spawn(argv, environment, mask)
        if isinstance(pid, int):
            return _wait(pid, waited_for)
        return _explain(argv[0], pid)
    finally:
        with suppress(OSError):  # this process is about to end
            for fd in inherited:
                os.set_inheritable(fd, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGCHLD, child_handler)


def _spawn(
    argv: Sequence[str], environment: Mapping[str, str] | None, mask: set[int] | set[signal.Signals]
) -> int | OSError:
    if not argv[0]:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    # The program gets the default action of signals that Python ignores or this process handles.
    defaults = [signal.SIGPIPE, signal.SIGXFSZ]
    try:
        return os.posix_spawnp(
            argv[0],
            list(argv),
            dict(environment if environment is not None else os.environ),
            setsigmask=mask,
            setsigdef=defaults,
        )
    except OSError as error:
        return error


def _wait(pid: int, waited_for: frozenset[signal.Signals]) -> int:
    while True:
        # Another thread may have received SIGCHLD, and it is not sent again.
        info = signal.sigtimedwait(waited_for, _SECONDS_BETWEEN_LOOKS)
        if info is None or info.si_signo == signal.SIGCHLD:
            with failing_as("waitpid", None):
                done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif info.si_code != _SI_KERNEL or info.si_signo not in _FROM_KEYBOARD:
            os.kill(pid, info.si_signo)
            if info.si_signo in _ENDING:
                # A stopped process handles signals only once it continues: timeout(1) does the same.
                os.kill(pid, signal.SIGCONT)


def _explain(program: str, error: OSError) -> int:
    not_found = error.errno in (errno.ENOENT, errno.ENOTDIR)
    symbol = errno.errorcode.get(error.errno or 0, "?")
    messages.error(printable(f"{program}: {error.strerror} ({symbol})"), command=messages.current_command())
    return _NOT_FOUND if not_found else _NOT_EXECUTABLE
