"""shmctl metrics."""

import os
import sys
from typing import TYPE_CHECKING

import click

from shmctl.cli.addresses import Address, parse_address
from shmctl.cli.options import Combine, min_age_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import Parsed
from shmctl.core.inspect.verdicts import Rules
from shmctl.core.rules import exclude

if TYPE_CHECKING:
    from shmctl.render.metrics import Collected


@click.command(cls=Command, finish=Combine(exclude("output", "listen")))
@click.option(
    "-a", "--all", "everywhere", is_flag=True, help="Every /dev/shm on the host, by container and pod."
)
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
def command(
    session: Session, everywhere: bool, output: str | None, listen: Address | None, min_age: float
) -> None:
    """Show the totals of /dev/shm as Prometheus metrics (statvfs, /proc).

    Capacity and use; objects and their bytes by kind, owner, software and verdict; objects without a
    name that processes still hold; and how much could not be inspected. The text goes to standard
    output, into a file for node_exporter, or by HTTP.
    """
    from shmctl.render.metrics import PLACE_LABELS, collect, collect_everywhere, metrics_text

    directory, rules = session.directory, Rules(min_age)
    if everywhere and directory.pid is not None:
        raise click.UsageError("--all and --target exclude each other")
    common = {} if directory.pid is None else {"target": str(directory.pid)}
    labels = PLACE_LABELS if everywhere else ()

    def gather() -> "Collected":
        return collect_everywhere(rules) if everywhere else collect(directory, rules)

    if listen is not None:
        from shmctl.cli.metrics_server import serve

        serve(listen, gather, common, labels)
        return
    text = metrics_text(gather(), common, labels)
    if output is None or output == "-":
        sys.stdout.buffer.write(text)
    else:
        from shmctl.core.files import replace_file

        replace_file(os.fsencode(output), text, 0o644)
