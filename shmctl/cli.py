"""The command group: global options, the table of commands, and the one place where errors end."""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FrameType

import click

from shmctl import __version__, report
from shmctl.core import tracing
from shmctl.core.errors import STANDARD_OUTPUT, FileError, InputError, ShmError
from shmctl.core.models import DEV_SHM
from shmctl.core.names import printable
from shmctl.core.target import directory_of
from shmctl.options import Session
from shmctl.report import ExitStatus


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: the section of the help it stands in, and what it does in a line."""

    section: str
    summary: str


# A command NAME lives in shmctl/commands/NAME.py, as ``command``.
COMMANDS = {
    "create": Entry("Make and resize", "Make shared-memory objects (shm_open, ftruncate)."),
    "truncate": Entry("Make and resize", "Set the size of objects (ftruncate)."),
    "write": Entry("Write and read", "Store data in an object (mmap)."),
    "read": Entry("Write and read", "Show what an object holds (mmap)."),
    "ls": Entry("Look", "List objects (readdir, fstatat)."),
    "stat": Entry("Look", "Show all that the system knows of objects (fstat)."),
    "chmod": Entry("Own", "Change the permissions of objects (fchmod)."),
    "chown": Entry("Own", "Change the owner and group of objects (fchown)."),
    "holders": Entry("Look", "Show the processes that have objects open or mapped (/proc)."),
    "wait": Entry("Synchronise", "Wait until an object is there, gone, unused, changed, or holds a value."),
    "lock": Entry("Synchronise", "Run CMD holding the lock of an object (flock)."),
    "sem": Entry("Synchronise", "Use POSIX named semaphores (sem_open)."),
    "run": Entry("Compose", "Run CMD with an object that lives exactly as long (shm_open, shm_unlink)."),
    "leaks": Entry("Look after", "Tell which objects are leaked, and why (the kernel's write lease)."),
    "gc": Entry("Look after", "Remove orphans: objects that nobody uses and nothing says to keep."),
    "df": Entry("Look after", "Show what fills /dev/shm (statvfs, /proc)."),
    "rm": Entry("Remove", "Remove objects by name or pattern (unlink)."),
    "unlink": Entry("Remove", "Remove one object (shm_unlink)."),
}


class Interrupted(BaseException):
    """A signal asks the process to end; ``status`` is what it ends with.

    ``last`` is the one that came last: some calls swallow what a signal handler raises, and fail.
    """

    last: "Interrupted | None" = None

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status
        Interrupted.last = self


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for: start-up time is a feature."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"shmctl.commands.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - tells the type checker what import_module cannot
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with near names from the table."""
        if args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(f"no such command '{args[0]}'{_did_you_mean(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            sections.setdefault(entry.section, []).append((name, entry.summary))
        width = max(map(len, COMMANDS))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in rows])


def _did_you_mean(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="An object's name is /shmtest; shmtest and /dev/shm/shmtest mean the same. See shmctl(1).",
)
@click.option("--trace", is_flag=True, help="Show each POSIX call as it is made, on standard error.")
@click.option(
    "-t",
    "--target",
    "target_pid",
    type=click.IntRange(min=1),
    metavar="PID",
    help="Work in the /dev/shm that process PID sees, in another container, say.",
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    metavar="WHEN",
    help="Use colour: auto (on a terminal, unless NO_COLOR is set), always or never.",
)
@click.version_option(__version__, "--version", prog_name="shmctl", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, trace: bool, target_pid: int | None, color: str) -> None:
    """Work with POSIX shared-memory objects: the things under /dev/shm.

    Make them, write and read them, see who owns them and how large they are, and remove them.
    """
    directory = DEV_SHM if target_pid is None else ctx.with_resource(directory_of(target_pid))
    ctx.obj = Session(directory, color)
    if trace:
        tracing.trace_to(_print_trace)
        ctx.call_on_close(lambda: tracing.trace_to(None))


def _print_trace(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def run_process(args: Sequence[str]) -> int:
    """Run one command as this process's whole work; returns its exit status."""
    _open_closed_streams()
    # What a handler raises inside a callback cannot go up from there; `Interrupted.last` remembers it.
    sys.unraisablehook = lambda _: None
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signal_number) is signal.SIG_DFL:
            signal.signal(signal_number, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, _interrupt)
    return run(args)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    # A second signal must not break into the cleaning up after the first.
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(128 + signal_number)


def run(args: Sequence[str]) -> int:
    """Run one command and report what goes wrong; returns its exit status."""
    context: click.Context | None = None
    try:
        context = cli.make_context("shmctl", list(args))
        with context:
            cli.invoke(context)
        sys.stdout.flush()
    except BaseException as problem:
        command = context.invoked_subcommand if context else None
        return _end(problem, command)
    return ExitStatus.DONE


def _end(problem: BaseException, command: str | None) -> int:
    """Report why a command ended early; its exit status."""
    try:
        if isinstance(problem, click.exceptions.Exit):
            sys.stdout.flush()
            return problem.exit_code
        return _explain(problem, command)
    except OSError as error:
        # Standard output, or standard error, cannot take any more.
        return _output_failed(error, command)


def _explain(problem: BaseException, command: str | None) -> int:  # noqa: PLR0911 - a return for each kind of error
    match problem:
        case Interrupted():
            return problem.status
        case KeyboardInterrupt() | click.Abort() | EOFError():
            return ExitStatus.INTERRUPTED
        case InputError():
            report.error(str(problem), problem.hint, command)
            return ExitStatus.USAGE
        case click.ClickException():
            _usage_error(problem, command)
            return ExitStatus.USAGE
        case ShmError():
            if problem.errno == errno.EPIPE:
                raise problem
            if Interrupted.last:
                return Interrupted.last.status
            report.failure(command, problem)
            return ExitStatus.TIMED_OUT if problem.errno == errno.ETIMEDOUT else ExitStatus.FAILED
        case OSError():
            return _output_failed(problem, command)
        case MemoryError():
            report.error("out of memory (ENOMEM)", command=command)
            return ExitStatus.FAILED
        case Exception():
            report.internal_error(problem, command)
            return ExitStatus.FAILED
    raise problem


def _usage_error(problem: click.ClickException, command: str | None) -> None:
    context = getattr(problem, "ctx", None)
    path = context.command_path if context else "shmctl"
    message = printable(" ".join(problem.format_message().split())).removesuffix(".")
    report.error(message[:1].lower() + message[1:], f"'{path} --help' tells how it is used", command)


def _output_failed(error: OSError, command: str | None) -> int:
    """Standard output is gone or full: a closed pipe ends the process by SIGPIPE, as it would a C program."""
    if error.errno == errno.EPIPE:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    _discard_output()
    report.failure(command, FileError("write", STANDARD_OUTPUT, error.errno or errno.EIO, error.strerror))
    return ExitStatus.FAILED


def _discard_output() -> None:
    """Forget what standard output could not take, so that nothing tries again."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it stands in for the real one to the end


def _open_closed_streams() -> None:
    """Keep an object from getting descriptor 0, 1 or 2, where a stray message would be written into it.

    Each stands open on /dev/null, the wrong way round: using it still fails.
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
        # A locale that cannot spell a name must not end in a traceback.
        if output.encoding != "utf-8":
            output.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
