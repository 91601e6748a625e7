"""shmctl completion."""

import click

from shmctl.cli.completion.shells import SHELLS, script
from shmctl.cli.parsing import Command


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL")
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete shmctl: bash, zsh or fish.

    Commands, options, the names of objects that are there, owners, types, fields and PIDs.
    """
    click.echo(script(context.find_root().command, shell), nl=False)
