"""The command group: global options and the table of commands."""

from importlib import import_module
from typing import TYPE_CHECKING

import click

from shmctl import __version__
from shmctl.cli.parsing import Group
from shmctl.cli.session import Session
from shmctl.cli.types import WholeNumber, completed_by

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


# A command NAME lives in shmctl/commands/NAME.py, as ``command``.
_SECTIONS = {
    "Objects": {
        "create": "Create shared memory objects (shm_open, ftruncate).",
        "truncate": "Set the size of objects (ftruncate).",
        "write": "Store data in an object (mmap).",
        "read": "Show what an object holds (mmap).",
        "stat": "Show the metadata of objects (fstat).",
        "ls": "List objects (readdir, fstatat).",
        "unlink": "Remove one object (shm_unlink).",
    },
    "Names and owners": {
        "rm": "Remove objects by name or pattern (unlink).",
        "mv": "Rename an object (renameat2).",
        "cp": "Copy an object (copy_file_range).",
        "chmod": "Change the permissions of objects (fchmod).",
        "chown": "Change the owner and group of objects (fchown).",
    },
    "Look": {
        "holders": "Show the processes that have objects open or mapped (/proc).",
        "locks": "Show the locks on and in objects: who has them, who waits (/proc/locks).",
        "events": "Show what happens to objects as it happens (inotify, fanotify).",
        "layout": "Show where each field of a structure stands: offset, size, type, holes.",
    },
    "Synchronise": {
        "wait": "Wait until an object is there, gone, unused, changed, or holds a value.",
        "lock": "Run CMD holding the lock of an object (flock).",
        "sem": "Use POSIX named semaphores (sem_open).",
    },
    "Look after": {
        "leaks": "Show which objects are leaked, and why (the kernel's write lease).",
        "gc": "Remove orphans: objects that nobody uses and nothing says to keep.",
        "df": "Show what fills /dev/shm (statvfs, /proc).",
        "metrics": "Show the totals of /dev/shm as Prometheus metrics (statvfs, /proc).",
        "doctor": "Check what makes shared memory unsafe or fragile on this host.",
        "rescue": "Copy what an object holds that has no name any more (/proc).",
    },
    "Compose": {
        "run": "Run CMD with an object that lives exactly as long (shm_open, shm_unlink).",
        "batch": "Run commands from a file, a pipe or a prompt, one a line, in one process.",
    },
    "Set up": {
        "completion": "Print the script that makes a shell complete shmctl: bash, zsh or fish.",
    },
}
COMMANDS = {name: summary for commands in _SECTIONS.values() for name, summary in commands.items()}
"""What each command does, in the order of the help."""


class LazyGroup(Group):
    """Imports a command's module when the command is asked for: start-up time is a feature."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all command names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"shmctl.commands.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - tells the type checker what import_module cannot
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Complete options, or command names from the table without importing any command."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=summary)
            for name, summary in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, section by section."""
        width = max(map(len, COMMANDS))
        for section, commands in _SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"shmctl {__version__}")
        ctx.exit()


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
    type=WholeNumber(1),
    metavar="PID",
    shell_complete=completed_by("complete_pids"),
    help="Work in the /dev/shm that process PID sees.",
)
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    metavar="WHEN",
    help="Use colour: auto (on a terminal), always or never.",
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context, trace: bool, target_pid: int | None, color: str | None) -> None:
    """Work with POSIX shared-memory objects: the files in /dev/shm."""
    # A batch line starts from the batch's session; its own options override it.
    session = ctx.obj or Session()
    if target_pid is not None:
        from shmctl.core.target import directory_of

        session = session._replace(directory=ctx.with_resource(directory_of(target_pid)))
    if color is not None:
        session = session._replace(color=color)
    ctx.obj = session
    if trace:
        from shmctl.cli.trace import traced

        ctx.with_resource(traced())
