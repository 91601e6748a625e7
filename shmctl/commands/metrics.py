"""shmctl metrics."""

import os
import sys

import click

from shmctl.cli.addresses import Address, parse_address
from shmctl.cli.options import Combine, min_age_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import Parsed
from shmctl.core.inspect.verdicts import Rules
from shmctl.core.rules import exclude


@click.command(cls=Command, finish=Combine(exclude("output", "listen")))
@click.option(
    "--output",
    type=click.Path(),
    metavar="FILE",
    help="Replace FILE in one step, for node_exporter's textfile collector.",
)
@click.option(
    "--listen",
    type=Parsed("address", parse_address),
    metavar="ADDR:PORT",
    help="Serve the metrics by HTTP at /metrics, collected anew for each request.",
)
@min_age_option
@pass_session
def command(session: Session, output: str | None, listen: Address | None, min_age: float) -> None:
    """Show the totals of /dev/shm as Prometheus metrics (statvfs, /proc).

    Capacity and use; objects and their bytes by kind, owner, software and verdict; objects without a
    name that processes still hold; and how much could not be inspected. The text goes to standard
    output, into a file for node_exporter, or by HTTP.
    """
    directory = session.directory
    common = {} if directory.pid is None else {"target": str(directory.pid)}
    rules = Rules(min_age)
    if listen is not None:
        from shmctl.cli.metrics_server import serve

        serve(listen, directory, rules, common)
        return
    from shmctl.core.inspect.totals import sum_up
    from shmctl.render.metrics import metrics_text

    text = metrics_text(sum_up(directory, rules), common)
    if output is None or output == "-":
        sys.stdout.buffer.write(text)
    else:
        from shmctl.core.files import replace_file

        replace_file(os.fsencode(output), text, 0o644)
