"""shmctl df."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from shmctl.cli import messages
from shmctl.cli.options import json_option, uninspected_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.core.inspect.snapshot import snapshots
from shmctl.core.inspect.usage import Mounted, all_mounted
from shmctl.core.proc import Uninspected


@click.command(cls=Command)
@click.option(
    "-a", "--all", "everywhere", is_flag=True, help="Every /dev/shm on the host, other containers' too."
)
@json_option
@uninspected_option
@pass_session
def command(session: Session, everywhere: bool, as_json: bool, verbose: bool) -> None:
    """Show what fills /dev/shm (statvfs, /proc).

    Capacity, what is used by kind, by owner and by verdict, objects without a name that processes
    still hold, and what nothing explains. The parts add up to what the file system says is used.
    """
    with _mounted(session, everywhere) as (mounted, uninspected):
        looks = snapshots([where.directory for where in mounted])
        # Verdicts first: of what is asked about later, more has gone by then.
        by_verdict = [look.by_verdict for look in looks]
        found = list(zip(mounted, (look.usage for look in looks), by_verdict, strict=True))
    for look in looks:
        messages.no_lease(look.test.lease_problem)
    if as_json:
        from shmctl.render.jsonlines import write_array
        from shmctl.render.usage import usage_record

        write_array(sys.stdout, (usage_record(*each) for each in found))
    else:
        from shmctl.render.usage import write_usage

        with session.paged() as output:
            for number, each in enumerate(found):
                if number:
                    output.stream.write("\n")
                write_usage(output, *each)
    # What adds up is held by nobody else.
    unexplained = [usage.uninspected for _, usage, _ in found if usage.unexplained > 0]
    messages.uninspected(max(uninspected, *unexplained, (), key=len), by_pid=verbose)


@contextmanager
def _mounted(session: Session, everywhere: bool) -> Iterator[tuple[list[Mounted], list[Uninspected]]]:
    """Where to look, and the processes that may see another /dev/shm."""
    if not everywhere:
        yield [Mounted(session.directory, None, None)], []
        return
    mounted, uninspected = all_mounted()
    try:
        yield mounted, uninspected
    finally:
        for where in mounted:
            if where.directory.fd is not None:
                os.close(where.directory.fd)
