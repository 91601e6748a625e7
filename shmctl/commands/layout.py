"""shmctl layout."""

import sys

import click

from shmctl.cli.options import Combine, source_options
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import WholeNumber, completed_by
from shmctl.core.requests import LAYOUT_RULES, LayoutSource
from shmctl.core.rules import exclude


@click.command(
    cls=Command, finish=Combine(*LAYOUT_RULES, exclude("pid", "header", "elf"), layout=LayoutSource)
)
@click.argument("declaration", metavar="DECL|TYPE", shell_complete=completed_by("complete_struct"))
@source_options
@click.option("--pid", type=WholeNumber(1), metavar="PID", help="Look TYPE up in the program of process PID.")
@click.option(
    "--cacheline",
    "cache_line",
    type=WholeNumber(1, 1 << 20),
    default=64,
    metavar="N",
    help="The bytes of a cache line (64).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object.")
@pass_session
def command(session: Session, layout: LayoutSource, pid: int | None, cache_line: int, as_json: bool) -> None:
    """Show where each field of a structure stands: offset, size, type, holes.

    DECL is C declarations, as in read --struct; TYPE is a type's name in a --header, an --elf file or
    the program of a --pid. Borders of cache lines are shown, too.
    """
    found = layout.load() if pid is None else layout.load_from_processes([pid])
    if as_json:
        import json

        from shmctl.render.layout import layout_record

        sys.stdout.write(json.dumps(layout_record(found)) + "\n")
        return
    from shmctl.render.layout import write_layout

    with session.paged() as output:
        write_layout(output, found, cache_line)
