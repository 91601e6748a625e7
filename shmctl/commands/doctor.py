"""shmctl doctor."""

import sys

import click

from shmctl.cli import messages
from shmctl.cli.options import json_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.core.inspect.doctor.checks import examine


@click.command(cls=Command)
@json_option
@click.option("--exit-code", is_flag=True, help="End with status 1 if there is a warning or a problem.")
@pass_session
def command(session: Session, as_json: bool, exit_code: bool) -> None:
    """Check what makes shared memory unsafe or fragile on this host.

    A finding for each check: ok, note (good to know), warning (fragile), problem (unsafe, or it
    fails already) or unknown (it could not be checked), what was seen, and what to do about it.
    """
    findings = examine(session.directory)
    if as_json:
        from shmctl.render.doctor import finding_record
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, map(finding_record, findings))
    else:
        from shmctl.render.doctor import write_findings

        with session.paged() as output:
            write_findings(output, findings)
    if exit_code and any(finding.outcome.status.is_bad for finding in findings):
        messages.fail()
