"""Run a command; turn every error into a message and an exit status."""

import codecs
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from shmctl.cli import interrupts, messages
from shmctl.cli.group import cli
from shmctl.cli.interrupts import Interrupted
from shmctl.cli.messages import ExitStatus
from shmctl.cli.parsing import COMMAND_PATH
from shmctl.core.errors import STANDARD_OUTPUT, FileError, InputError, ShmError
from shmctl.core.names import printable, spelled_out


def run_process(args: Sequence[str]) -> int:
    """Run one command as the whole work of this process; returns its exit status."""
    _open_closed_streams()
    _buffer_output()
    # An exception raised by a handler inside a callback is lost; `Interrupted.last` keeps it.
    sys.unraisablehook = lambda _: None
    interrupts.take_over_signals()
    return run(args)


def run(args: Sequence[str], session: object = None) -> int:
    """Run one command and report its errors; returns its exit status.

    ``session`` has the defaults of the global options.
    """
    context: click.Context | None = None
    try:
        context = cli.make_context("shmctl", list(args), obj=session)
        with context:
            cli.invoke(context)
        sys.stdout.flush()
    except BaseException as problem:
        command = full_name(context, context.invoked_subcommand) if context else None
        return end(problem, command, args)
    return ExitStatus.DONE


def full_name(context: click.Context, command: str | None) -> str | None:
    """Return a command's name, with its subcommand's: ``sem create``."""
    found: str = context.meta.get(COMMAND_PATH, "")
    return found if command and found.startswith(f"{command} ") else command


def end(problem: BaseException, command: str | None, args: Sequence[str] = ()) -> int:
    """Report why a command ended early; returns its exit status. ``args`` are all of its words."""
    try:
        _advise(problem, command, args)
        if isinstance(problem, click.exceptions.Exit):
            sys.stdout.flush()
            return problem.exit_code
        return _explain(problem, command)
    except OSError as error:
        # Standard output or standard error cannot be written.
        return _output_failed(error, command)


def _advise(problem: BaseException, command: str | None, args: Sequence[str]) -> None:
    """Give an error the whole command as its hint, where it can be guessed what was meant."""
    if isinstance(problem, click.UsageError | InputError | ShmError):
        from shmctl.cli.habits import advice

        hint = advice(command, args, problem)
        if hint:
            problem.hint = hint  # type: ignore[union-attr] # click's errors have none of their own


def _explain(problem: BaseException, command: str | None) -> int:  # noqa: C901, PLR0911 - a case for each kind of error
    match problem:
        case Interrupted():
            if Interrupted.output_error:
                raise Interrupted.output_error
            return problem.status
        case KeyboardInterrupt() | click.Abort() | EOFError():
            return ExitStatus.INTERRUPTED
        case InputError():
            messages.error(str(problem), problem.hint, command, problem.transcript)
            return ExitStatus.USAGE
        case click.ClickException():
            _usage_error(problem, command)
            return ExitStatus.USAGE
        case ShmError():
            if problem.errno == errno.EPIPE:
                raise problem
            if Interrupted.last:
                return Interrupted.last.status
            messages.failure(command, problem)
            return ExitStatus.TIMED_OUT if problem.errno == errno.ETIMEDOUT else ExitStatus.FAILED
        case OSError() if problem.filename is not None:
            return _file_failed(problem, command)
        case OSError():
            return _output_failed(problem, command)
        case MemoryError():
            messages.error("out of memory (ENOMEM)", command=command)
            return ExitStatus.FAILED
        case Exception():
            messages.internal_error(problem, command)
            return ExitStatus.FAILED
    raise problem


def _usage_error(problem: click.ClickException, command: str | None) -> None:
    context = getattr(problem, "ctx", None)
    path = context.command_path if context else "shmctl"
    message = printable(" ".join(problem.format_message().split())).removesuffix(".")
    hint = getattr(problem, "hint", None) or f"see '{path} --help'"
    messages.error(message[:1].lower() + message[1:], hint, command)


def _output_failed(error: OSError, command: str | None) -> int:
    """Report that standard output is full; a closed pipe ends the process by SIGPIPE, as in C."""
    if error.errno == errno.EPIPE:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    _discard_output()
    with suppress(OSError):  # standard error may be full as well
        failure = FileError("write", STANDARD_OUTPUT, error.errno or errno.EIO, error.strerror)
        messages.failure(command, failure)
    return ExitStatus.FAILED


def _file_failed(error: OSError, command: str | None) -> int:
    """Report that a system file, such as one below /proc, cannot be used."""
    path = error.filename if isinstance(error.filename, str | bytes) else str(error.filename)
    messages.failure(command, FileError("open", os.fsencode(path), error.errno or errno.EIO, error.strerror))
    return ExitStatus.FAILED


def _discard_output() -> None:
    """Drop buffered output that cannot be written, so that nothing writes it again."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it replaces standard output until the process ends


def _open_closed_streams() -> None:
    """Open closed standard streams, so that no object gets descriptor 0, 1 or 2 and with it messages.

    Each is open on /dev/null in the wrong direction: using it still fails.
    """
    for stream, fd, oflag in (
        ("stdin", 0, os.O_WRONLY),
        ("stdout", 1, os.O_RDONLY),
        ("stderr", 2, os.O_WRONLY),
    ):
        if getattr(sys, stream) is None:
            os.open(os.devnull, oflag)
            mode = "r" if fd == 0 else "w"
            setattr(sys, stream, open(fd, mode, encoding="utf-8", errors="surrogateescape", closefd=False))  # noqa: SIM115 - as above
    for output in (sys.stdout, sys.stderr):
        # A name that the locale cannot encode must not end in a traceback.
        if output.encoding != "utf-8":
            output.reconfigure(errors=_SPELLED_OUT)  # type: ignore[union-attr]


_SPELLED_OUT = "shmctl.spelled-out"


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Replace a character that the locale cannot encode with its escaped bytes."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101 - tells the type checker what codecs cannot
    return spelled_out(error.object[error.start : error.end]), error.end


codecs.register_error(_SPELLED_OUT, _spell_out)


def _buffer_output() -> None:
    """Buffer standard output, so that a short write is continued or fails.

    Without a buffer (PYTHONUNBUFFERED) Python ignores short writes, and a full disk goes unnoticed.
    """
    if isinstance(sys.stdout.buffer, io.RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(1, "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115 - as above
