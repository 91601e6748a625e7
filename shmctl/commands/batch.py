"""shmctl batch."""

import os
import sys
from collections.abc import Iterator

import click

from shmctl.cli import messages
from shmctl.cli.batch import opened_script, read_lines, run_line
from shmctl.cli.interrupts import Interrupted, listen_for_signals
from shmctl.cli.messages import ExitStatus
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import FILE
from shmctl.core.errors import InputError

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
        messages.end_with(_converse(_root(session)))
    with opened_script(script) as (fd, name):
        root = _root(session._replace(script_is_input=session.script_is_input or script == "-"))
        messages.end_with(_run_all(root, read_lines(fd, name), keep_going=keep_going))


def _root(session: Session) -> click.Context:
    """What the lines' contexts descend from, as that of a command line does from the group's."""
    group = click.get_current_context().find_root().command
    session = session._replace(scripts=session.scripts + 1)
    return click.Context(group, info_name="shmctl", obj=session, **group.context_settings)


def _run_all(root: click.Context, lines: Iterator[bytes], *, keep_going: bool) -> int:
    first_failure: int = ExitStatus.DONE
    output = sys.stdout
    for number, line in enumerate(lines, 1):
        with messages.at_line(number):
            status = run_line(root, os.fsdecode(line))
        if status and not first_failure:
            first_failure = status
        # Where output is lost there is nothing to keep going for.
        if status and (not keep_going or sys.stdout is not output):
            break
    return first_failure


def _converse(root: click.Context) -> int:
    """Run what is typed at a prompt; returns the status of the last command."""
    from shmctl.cli.prompt import line_editor

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
