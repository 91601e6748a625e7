"""What the user hears when something goes wrong: the one place where errors become sentences."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from shmctl.core.errors import FileError, ShmError
from shmctl.core.models import DEV_SHM
from shmctl.core.names import Name, escape, printable

if TYPE_CHECKING:
    from shmctl.core.objects.open import OpenObject
    from shmctl.core.proc import Uninspected

Operand = TypeVar("Operand")
Result = TypeVar("Result")


class ExitStatus(IntEnum):
    """Every status that shmctl ends with of its own accord."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    TIMED_OUT = 124
    INTERRUPTED = 130


# What a missing /dev/shm looks like; a waiting command waits for it, too.
_ABSENCES = (errno.ENOENT, errno.ENOTDIR, errno.ETIMEDOUT)
# For these calls the name says it all; others are named in the message.
_LOOKUP_CALLS = frozenset(
    {
        *("shm_open", "shm_unlink", "unlink", "open", "stat", "lstat", "fstat", "fstatat"),
        *("linkat", "renameat", "sem_open", "sem_unlink"),
    }
)
_HINTS = {
    ("create", "shm_open", errno.EEXIST): "--no-excl opens the object that exists; 'shmctl rm' removes it",
    ("create", "linkat", errno.EEXIST): "--replace swaps the object that exists for the new one",
    ("write", "linkat", errno.EEXIST): "--replace swaps the object that exists for the new one",
    ("sem", "sem_open", errno.EEXIST): "--no-excl leaves one that exists as it is",
    ("run", "shm_open", errno.EEXIST): "without --name the object gets a name that nobody has",
    ("write", "shm_open", errno.ENOENT): "--create makes the object",
    ("unlink", "shm_unlink", errno.EISDIR): "rmdir(1) removes directories",
    ("rm", "unlink", errno.EISDIR): "rmdir(1) removes directories",
}
_DIRECTORY_HINT = "'shmctl doctor' tells what is wrong with it"
# Where in a script the command stands that is running.
_place = ""
_LONGEST = 2400  # room for two names of bytes that must all be escaped
_NO_SPACE_HINT = "'shmctl ls --sort allocated --reverse' shows what takes the memory"


def error(
    message: str, hint: str | None = None, command: str | None = None, transcript: Sequence[str] = ()
) -> None:
    """Print ``shmctl: command: message`` and a ``hint:`` line on standard error, safe for any terminal.

    The lines of ``transcript``, another program's, stand before them as they are.
    """
    prefix = f"shmctl: {_place}{command}: " if command else f"shmctl: {_place}"
    flush_output()
    text = "".join(printable(line) + "\n" for line in transcript)
    text += _shortened(printable(prefix + message)) + "\n"
    if hint:
        text += _shortened(printable(f"hint: {hint}")) + "\n"
    # In one piece, so that no other program's line gets between.
    sys.stderr.write(text)
    sys.stderr.flush()


@contextmanager
def at_line(number: int) -> Iterator[None]:
    """Begin what is printed meanwhile with the line of the script that it is about."""
    global _place
    before = _place
    _place = f"{before}line {number}: "
    try:
        yield
    finally:
        _place = before


def _shortened(text: str) -> str:
    """A sentence that quotes at length keeps its ends, which say what it is about."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


def internal_error(problem: Exception, command: str | None) -> None:
    """Print where a defect of shmctl itself showed, in a line that a report can quote."""
    from traceback import extract_tb

    last = extract_tb(problem.__traceback__)[-1]
    where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
    message = f"internal error at {where}: {type(problem).__name__}: {problem}"
    error(message, "this is a defect of shmctl: please report it with the command you ran", command)


def failure(command: str | None, problem: ShmError) -> None:
    """Print the sentence for a call that failed: ``shmctl: create: /shmtest: File exists (EEXIST)``."""
    about_object = not isinstance(problem, FileError)
    parts = []
    if problem.name is not None:
        parts.append(escape(problem.name, keep="" if about_object else " "))
    if problem.detail is None and problem.call not in _LOOKUP_CALLS:
        parts.append(problem.call)
    what = problem.detail or problem.strerror
    hint = problem.hint or _HINTS.get((command or "", problem.call, problem.errno or 0))
    if problem.errno == errno.ENOSPC and about_object:
        what = problem.detail or "No space left on /dev/shm"
        hint = hint or _NO_SPACE_HINT
    if about_object and problem.errno == errno.EROFS:
        what, hint = problem.detail or "/dev/shm is mounted read-only", hint or _DIRECTORY_HINT
    elif about_object and problem.errno == errno.EFBIG and _is_size_limited():
        hint = hint or "the limit on the size of files (RLIMIT_FSIZE, 'ulimit -f') holds for objects, too"
    elif about_object and problem.errno in _ABSENCES and not os.path.isdir(DEV_SHM.path):
        hint = _DIRECTORY_HINT
        if problem.name != DEV_SHM.path:
            what = f"{what}: there is no directory /dev/shm"
    parts.append(f"{what} ({problem.symbol})")
    error(": ".join(parts), hint, command)


def _is_size_limited() -> bool:
    import resource

    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def uninspected(processes: Sequence["Uninspected"], *, by_pid: bool = False) -> None:
    """Say in one line which processes could not be inspected, and why, if any."""
    from shmctl.core.proc import is_mounted, uninspected_text

    if not is_mounted():
        error("no process could be inspected: there is no /proc", command=current_command())
    elif processes:
        error(uninspected_text(processes, by_pid=by_pid), command=current_command())


def no_lease(problem: str | None) -> None:
    """Say why the kernel cannot be asked who uses an object, if it cannot."""
    if problem:
        error(
            f"the kernel cannot be asked who uses an object: {problem}",
            "without its answer nothing is called an orphan",
            current_command(),
        )


def try_each(operands: Iterable[Operand], action: Callable[[Operand], Result]) -> tuple[list[Result], bool]:
    """What ``action`` returns for each operand; one that fails is reported. Also whether any failed."""
    results: list[Result] = []
    failed = False
    for operand in operands:
        try:
            results.append(action(operand))
        except ShmError as problem:
            failure(current_command(), problem)
            failed = True
    return results, failed


def for_each(operands: Iterable[Operand], action: Callable[[Operand], None]) -> None:
    """Do ``action`` with every operand; report each that fails, go on, and end with status 1 if any did."""
    _, failed = try_each(operands, action)
    if failed:
        fail()


def missing(names: Sequence[Name]) -> bool:
    """Report names that do not exist; whether there are any."""
    for name in names:
        failure(current_command(), ShmError("fstatat", name, errno.ENOENT))
    return bool(names)


def end_with(status: int) -> NoReturn:
    """End the command with the status of a program that it ran."""
    raise click.exceptions.Exit(status)


def fail() -> NoReturn:
    """End the command with status 1; what went wrong has been said."""
    raise click.exceptions.Exit(ExitStatus.FAILED)


def current_command() -> str | None:
    """The name of the command that is running."""
    context = click.get_current_context(silent=True)
    return context.command_path.split()[1] if context else None


def flush_output() -> None:
    """Write out standard output now, so that what follows on standard error comes after it."""
    sys.stdout.flush()


class UmaskNotice:
    """Tells once, of all the objects of one command, that the umask took bits away from ``wanted``."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._checked = False

    def __call__(self, target: "OpenObject") -> None:
        """Compare the mode of an object that was just made with what was wanted."""
        if target.created and not self._checked:
            self.compare(target.name, target.stat().st_mode)

    def compare(self, name: Name, st_mode: int) -> None:
        """The same, for a mode that is known."""
        missing = self._wanted & ~st_mode & 0o777
        if missing and not self._checked:
            error(
                f"{escape(name)}: made with mode {self._wanted & ~missing:04o}, "
                f"for the umask takes {missing:03o} from {self._wanted:04o}",
                "'shmctl chmod' sets a mode whatever the umask",
                current_command(),
            )
        self._checked = True
