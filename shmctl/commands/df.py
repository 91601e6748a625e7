"""shmctl df."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import click

from shmctl.cli import messages
from shmctl.cli.inspection import Inspection
from shmctl.cli.options import json_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.core.inspect.listing import scan
from shmctl.core.inspect.usage import Mounted, Usage, all_mounted, measure
from shmctl.core.inspect.verdicts import Rules
from shmctl.core.models import Directory


@click.command(cls=Command)
@click.option(
    "-a", "--all", "everywhere", is_flag=True, help="Every /dev/shm on the host, other containers' too."
)
@json_option
@pass_session
def command(session: Session, everywhere: bool, as_json: bool) -> None:
    """Show what fills /dev/shm (statvfs, /proc).

    Capacity, what is used by kind, by owner and by verdict, objects without a name that processes
    still hold, and what nothing explains. The parts add up to what the file system says is used.
    """
    with _mounted(session, everywhere) as mounted:
        fillings = [(where, *_measure(where.directory)) for where in mounted]
    if as_json:
        from shmctl.render.jsonlines import write_array
        from shmctl.render.usage import filling_record

        write_array(sys.stdout, (filling_record(*each) for each in fillings))
    else:
        from shmctl.render.usage import write_filling

        with session.paged() as output:
            for number, each in enumerate(fillings):
                if number:
                    output.stream.write("\n")
                write_filling(output, *each)
    messages.uninspected(max((filling.uninspected for _, filling, _ in fillings), default=0))


@contextmanager
def _mounted(session: Session, everywhere: bool) -> Iterator[list[Mounted]]:
    if not everywhere:
        yield [Mounted(session.directory, None, None)]
        return
    mounted, _ = all_mounted()
    try:
        yield mounted
    finally:
        for where in mounted:
            if where.directory.fd is not None:
                os.close(where.directory.fd)


def _measure(directory: Directory) -> tuple[Usage, Counter[str]]:
    """What fills it, and the bytes of each verdict."""
    by_verdict: Counter[str] = Counter()
    # An object of two names takes its memory once.
    by_inode = {each.info.st.st_ino: each for each in Inspection(directory, (), Rules()).judgements}
    for judgement in by_inode.values():
        by_verdict[judgement.verdict.value] += judgement.info.allocated
    return measure(directory, list(scan(directory))), by_verdict
