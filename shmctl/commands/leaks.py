"""shmctl leaks."""

import gc
import sys

import click

from shmctl.cli import messages
from shmctl.cli.options import json_option, min_age_option, verdict_options
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import PATTERN
from shmctl.core.inspect.listing import matcher, missing_names
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.inspect.verdicts import Rules, Verdict


@click.command(cls=Command)
@click.argument("patterns", metavar="[PATTERN]...", type=PATTERN, nargs=-1)
@min_age_option
@verdict_options
@json_option
@click.option("--exit-code", is_flag=True, help="End with status 1 if an orphan is found.")
@pass_session
def command(
    session: Session,
    patterns: tuple[str, ...],
    min_age: float,
    semaphores: bool,
    trackers: bool,
    as_json: bool,
    exit_code: bool,
) -> None:
    """Show which objects are leaked, and why (the kernel's write lease).

    A verdict for each object: held (in use), orphan (nobody uses it, and nothing says that it
    should stay), kept (nobody uses it, but it is meant to stay) or unknown, with the reasons.
    """
    # Records make no cycles, and looking for some takes a tenth of the time of very many objects.
    gc.disable()
    click.get_current_context().call_on_close(gc.enable)
    snapshot = Snapshot(session.directory, matcher(patterns), Rules(min_age, semaphores, trackers))
    judgements = snapshot.judged_once + snapshot.judged_folders
    messages.no_lease(snapshot.test.lease_problem)
    if as_json:
        from shmctl.render.jsonlines import write_array
        from shmctl.render.verdicts import judgement_record

        pids = snapshot.pids
        write_array(
            sys.stdout,
            (
                judgement_record(
                    each, pids.get(each.info.name, None if each.verdict is Verdict.UNKNOWN else ())
                )
                for each in judgements
            ),
        )
    else:
        from shmctl.render.verdicts import write_judgements

        # A look through /proc of its own is for people: scripts that want holders take --json.
        pids = snapshot.pids if session.on_terminal or snapshot.knows_holders else {}
        with session.paged() as output:
            write_judgements(output, judgements, pids)
    missing = messages.missing(missing_names(patterns, snapshot.entries))
    if missing or (exit_code and any(each.verdict is Verdict.ORPHAN for each in judgements)):
        messages.fail()
