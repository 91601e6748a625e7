"""shmctl batch."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from shmctl import report
from shmctl.boundary import Interrupted, listen_for_signals, run_line
from shmctl.core.errors import InputError, failing_as
from shmctl.options import FILE, Session, pass_session
from shmctl.parsing import Command
from shmctl.report import ExitStatus
from shmctl.scripts import read_lines
from shmctl.sources import opened_input

# A script that runs itself ends here.
_DEPTH_MAX = 20


@click.command(cls=Command)
@click.argument("script", metavar="[FILE]", type=FILE, default="-")
@click.option(
    "-k", "--keep-going", is_flag=True, help="Go on after a failure; end with the first one's status."
)
@pass_session
def command(session: Session, script: str, keep_going: bool) -> None:
    """Run commands from a file, a pipe or a prompt, one a line, in one process.

    Each line is a command with its options and arguments, quoted as in a shell; # begins a comment.
    FILE is standard input unless given: on a terminal that is a prompt, with history and completion. The
    first command that fails ends it, with its status.
    """
    if session.scripts >= _DEPTH_MAX:
        raise InputError(f"{_DEPTH_MAX} batches run each other already")
    if script == "-" and sys.stdin.isatty() and sys.stdout.isatty():
        report.end_with(_converse(_root(session)))
    with _opened_script(script) as (fd, name):
        root = _root(session._replace(script_is_input=session.script_is_input or script == "-"))
        report.end_with(_run_all(root, read_lines(fd, name), keep_going=keep_going))


def _root(session: Session) -> click.Context:
    """What the lines' contexts descend from, as that of a command line does from the group's."""
    group = click.get_current_context().find_root().command
    session = session._replace(scripts=session.scripts + 1)
    return click.Context(group, info_name="shmctl", obj=session, **group.context_settings)


@contextmanager
def _opened_script(script: str) -> Iterator[tuple[int, bytes]]:
    """The script's descriptor and name; no command that it runs can read from it, too."""
    with opened_input(script) as source:
        if script != "-":
            yield source.fd, source.name
            return
        with failing_as("dup", source.name):
            fd = os.dup(source.fd)
        try:
            with failing_as("open", os.devnull.encode()):
                null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                with failing_as("dup2", source.name):
                    os.dup2(null, source.fd)
                yield fd, source.name
            finally:
                _close(null)
        finally:
            # Nothing more is read from it: a process that ends now can do without.
            with suppress(OSError):
                os.dup2(fd, source.fd)
            _close(fd)


def _close(fd: int) -> None:
    with suppress(OSError):  # nothing was written through it
        os.close(fd)


def _run_all(root: click.Context, lines: Iterator[bytes], *, keep_going: bool) -> int:
    first_failure: int = ExitStatus.DONE
    output = sys.stdout
    for number, line in enumerate(lines, 1):
        with report.at_line(number):
            status = run_line(root, os.fsdecode(line))
        if status and not first_failure:
            first_failure = status
        # Where output is lost there is nothing to keep going for.
        if status and (not keep_going or sys.stdout is not output):
            break
    return first_failure


def _converse(root: click.Context) -> int:
    """Run what is typed at a prompt; returns the status of the last command."""
    from shmctl.prompt import line_editor

    status: int = ExitStatus.DONE
    with line_editor(root) as read_line:
        click.echo("'help' shows the commands, 'exit' or Ctrl-D leaves")
        while True:
            try:
                line = read_line()
                if line is None:
                    return status
                status = run_line(root, line)
            except Interrupted as interrupted:
                if interrupted.status != ExitStatus.INTERRUPTED:
                    raise
                listen_for_signals()
                click.echo()
                status = interrupted.status
