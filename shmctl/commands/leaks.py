"""shmctl leaks."""

import sys

import click

from shmctl.cli import messages
from shmctl.cli.inspection import Inspection
from shmctl.cli.options import json_option, min_age_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import PATTERN
from shmctl.core.inspect.verdicts import Rules, Verdict


@click.command(cls=Command)
@click.argument("patterns", metavar="[PATTERN]...", type=PATTERN, nargs=-1)
@min_age_option
@json_option
@click.option("--exit-code", is_flag=True, help="End with status 1 if an orphan is found.")
@pass_session
def command(
    session: Session, patterns: tuple[str, ...], min_age: float, as_json: bool, exit_code: bool
) -> None:
    """Tell which objects are leaked, and why (the kernel's write lease).

    A verdict for each object: held (in use), orphan (nobody uses it, and nothing says that it
    should stay), kept (nobody uses it, but it is meant to stay) or unknown, with the reasons.
    """
    inspection = Inspection(session.directory, patterns, Rules(min_age))
    judgements = inspection.judgements
    if as_json:
        from shmctl.render.jsonlines import write_array
        from shmctl.render.verdicts import judgement_record

        holders = inspection.pids()
        write_array(
            sys.stdout, (judgement_record(each, holders.get(each.info.name, [])) for each in judgements)
        )
    else:
        from shmctl.render.verdicts import write_judgements

        with session.paged() as output:
            write_judgements(output, judgements)
    inspection.report_missing()
    if exit_code and any(each.verdict is Verdict.ORPHAN for each in judgements):
        messages.fail()
