"""Messages on standard error: the one place where errors become sentences."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from shmctl.core.errors import FileError, ShmError, tell_by
from shmctl.core.models import DEV_SHM
from shmctl.core.names import Name, escape, printable, shell_words

if TYPE_CHECKING:
    from shmctl.core.objects.open import OpenObject
    from shmctl.core.proc import Uninspected

Operand = TypeVar("Operand")
Result = TypeVar("Result")


class ExitStatus:
    """The exit statuses of shmctl itself. Plain numbers, since building an Enum takes part of every start."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    TIMED_OUT = 124
    INTERRUPTED = 130


# The errors of a missing /dev/shm.
_ABSENCES = (errno.ENOENT, errno.ENOTDIR, errno.ETIMEDOUT)
# The object's name says enough for these calls; messages name the others.
_LOOKUP_CALLS = frozenset(
    {
        *("shm_open", "shm_unlink", "unlink", "open", "stat", "lstat", "fstat", "fstatat"),
        *("linkat", "renameat", "renameat2", "sem_open", "sem_unlink"),
    }
)
_HINTS = {
    ("create", "shm_open", errno.EEXIST): "--no-excl opens the object that exists; 'shmctl rm' removes it",
    ("create", "linkat", errno.EEXIST): "--replace swaps the object that exists for the new one",
    ("write", "linkat", errno.EEXIST): "--replace swaps the object that exists for the new one",
    (
        "mv",
        "renameat2",
        errno.EEXIST,
    ): "--replace takes the name from the object that exists, --exchange swaps",
    ("cp", "linkat", errno.EEXIST): "--replace swaps the object that exists for the copy",
    ("sem create", "sem_open", errno.EEXIST): "--no-excl leaves one that exists as it is",
    ("run", "shm_open", errno.EEXIST): "without --name the object gets a name that nobody has",
    ("write", "shm_open", errno.ENOENT): "--create makes the object",
}
_DIRECTORY_HINT = "'shmctl doctor' shows what is wrong with it"
# The line of the script that is running: ``line 3: ``.
_place = ""
_LONGEST = 2400  # room for two names with every byte escaped
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
    # One write, so that no other program's output comes between.
    sys.stderr.write(text)
    sys.stderr.flush()


@contextmanager
def at_line(number: int) -> Iterator[None]:
    """Prefix messages with the script's line number while the body runs."""
    global _place
    before = _place
    _place = f"{before}line {number}: "
    try:
        yield
    finally:
        _place = before


def _shortened(text: str) -> str:
    """Shorten a long sentence in its middle."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 2 :]}"


def notice(name: bytes, text: str) -> None:
    """Print what should be known of an object, and is no error."""
    error(f"{escape(name)}: {text}", command=current_command())


tell_by(notice)


def internal_error(problem: Exception, command: str | None) -> None:
    """Report a defect of shmctl itself in one line that a bug report can quote."""
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
        text, next_step = _no_space()
        what, hint = problem.detail or text, hint or next_step
    elif problem.errno == errno.EDQUOT and about_object:
        what = problem.detail or "Quota on /dev/shm exceeded"
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


def _no_space() -> tuple[str, str]:
    """Return what ENOSPC means on /dev/shm, where it may be memory or inodes, and a hint."""
    from shmctl.cli.session import Session
    from shmctl.core.inspect.inodes import find_shortage

    context = click.get_current_context(silent=True)
    session = context.find_object(Session) if context else None
    try:
        shortage = find_shortage(session.directory if session else DEV_SHM)
    except ShmError:
        shortage = None
    if shortage is None:
        return "No space left on /dev/shm", _NO_SPACE_HINT
    what = f"No inode left on /dev/shm: all {shortage.total} are used"
    if 2 * shortage.taken < shortage.total or shortage.example is None:
        return (
            what,
            "most are in directories or have no name: see 'shmctl df' and 'shmctl holders --unlinked'",
        )
    kinds = {"shm": "objects", "semaphore": "semaphores", "directory": "directories"}
    taken = f"{shortage.taken} are {shortage.owner}'s {kinds.get(shortage.kind or '', 'other entries')}"
    return what, f"{taken}, such as {escape(shortage.example)}; 'shmctl gc' removes what no process uses"


def _is_size_limited() -> bool:
    import resource

    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def uninspected(processes: Sequence["Uninspected"], *, by_pid: bool = False) -> None:
    """Report in one line the processes that could not be inspected, and why."""
    from shmctl.core.proc import is_mounted, uninspected_text

    if not is_mounted():
        error("no process could be inspected: there is no /proc", command=current_command())
    elif processes:
        error(uninspected_text(processes, by_pid=by_pid), command=current_command())


def no_lease(problem: str | None) -> None:
    """Report why the kernel's lease does not show whether an object is in use, if it does not."""
    if problem:
        error(
            f"the kernel cannot be asked who uses an object: {problem}",
            "without its answer nothing is called an orphan",
            current_command(),
        )


def try_each(operands: Iterable[Operand], action: Callable[[Operand], Result]) -> tuple[list[Result], bool]:
    """Return the results of ``action`` for each operand, and whether any failed; failures are reported."""
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
    """Run ``action`` on every operand, report each failure and go on; exit with status 1 if any failed."""
    _, failed = try_each(operands, action)
    if failed:
        fail()


def missing(names: Sequence[Name]) -> bool:
    """Report names that do not exist; returns whether there are any."""
    for name in names:
        failure(current_command(), ShmError("fstatat", name, errno.ENOENT))
    return bool(names)


def end_with(status: int) -> NoReturn:
    """End the command with the status of a program that it ran."""
    raise click.exceptions.Exit(status)


def fail() -> NoReturn:
    """End the command with status 1, after its errors have been reported."""
    raise click.exceptions.Exit(ExitStatus.FAILED)


def current_command() -> str | None:
    """Return the name of the running command: ``sem create``."""
    context = click.get_current_context(silent=True)
    return " ".join(context.command_path.split()[1:]) or None if context else None


def flush_output() -> None:
    """Flush standard output, so that messages on standard error come after it."""
    sys.stdout.flush()


class ModeNotice:
    """Reports, once per command, that objects have another mode than ``wanted``; None if no mode was given.

    The umask cleared bits of it, or the object existed and keeps its own.
    """

    def __init__(self, wanted: int | None, default: int = 0o600) -> None:
        self._wanted = default if wanted is None else wanted
        self._given = wanted is not None
        self._checked = False

    def __call__(self, target: "OpenObject") -> None:
        """Check the mode of an object that was created or opened."""
        if target.created and not self._checked:
            self.compare(target.name, target.stat().st_mode)
        elif not target.created and self._given:
            self.left_alone(target.name, target.stat().st_mode)

    def left_alone(self, name: Name, st_mode: int) -> None:
        """Report the mode of an object that existed, where it is another."""
        mode = st_mode & 0o7777
        if self._given and mode != self._wanted:
            error(
                f"{escape(name)}: it exists and keeps its mode, {mode:04o}",
                f"shmctl chmod {self._wanted:04o} {shell_words([os.fsdecode(name)])}",
                current_command(),
            )

    def compare(self, name: Name, st_mode: int) -> None:
        """Check a mode that is known."""
        missing = self._wanted & ~st_mode & 0o777
        if missing and not self._checked:
            error(
                f"{escape(name)}: created with mode {self._wanted & ~missing:04o}: "
                f"the umask cleared {missing:03o} of {self._wanted:04o}",
                "'shmctl chmod' sets a mode whatever the umask",
                current_command(),
            )
        self._checked = True
