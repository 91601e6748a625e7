"""shmctl gc."""

import sys
from collections.abc import Callable, Sequence

import click

from shmctl.cli import messages
from shmctl.cli.options import json_option, min_age_option, owner_option, verdict_options
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import PATTERN
from shmctl.core.inspect.gc import Removal, choose_orphans, remove_orphan
from shmctl.core.inspect.listing import matcher, missing_names
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.inspect.verdicts import Judgement, Rules, Verdict
from shmctl.core.models import ObjectInfo
from shmctl.core.names import escape, shell_words
from shmctl.core.sizes import counted, human_size


@click.command(cls=Command)
@click.argument("patterns", metavar="[PATTERN]...", type=PATTERN, nargs=-1)
@click.option("--yes", is_flag=True, help="Remove without asking.")
@min_age_option
@owner_option
@verdict_options
@click.option(
    "--keep", type=PATTERN, multiple=True, metavar="PATTERN", help="Keep what matches; may be repeated."
)
@json_option
@pass_session
def command(
    session: Session,
    patterns: tuple[str, ...],
    yes: bool,
    min_age: float,
    owner: int | None,
    semaphores: bool,
    trackers: bool,
    keep: tuple[str, ...],
    as_json: bool,
) -> None:
    """Remove orphans: objects that nobody uses and nothing says to keep.

    Shows what it would remove, and asks; without a terminal it removes nothing unless --yes is
    given. Each object is looked at once more under the kernel's lease when its turn comes, and left
    if it is now in use or has been replaced.
    """
    matches, rules, keeps = matcher(patterns), Rules(min_age, semaphores, trackers), _keeper(keep, owner)
    snapshot = Snapshot(session.directory, matches, rules)
    judgements = snapshot.judged_once
    orphans = choose_orphans(judgements, keeps)
    messages.no_lease(snapshot.test.lease_problem)
    if not as_json:
        _show_plan(session, orphans, len(judgements))
    missing = messages.missing(missing_names(patterns, snapshot.entries))
    removals = []
    if yes:
        removals = [_remove(each) for each in orphans]
    elif orphans and as_json:
        removals = [Removal(each, left="nothing is removed without --yes") for each in orphans]
    elif orphans and _confirmed(len(orphans)):
        now = Snapshot(session.directory, matches, rules).judged_once
        removals = _look_again(orphans, now, choose_orphans(now, keeps))
    # A timer's daily run is no place for advice.
    if not orphans and not as_json and not (yes and not sys.stdout.isatty()):
        _tell_what_would(snapshot, patterns, rules, keeps)
    if as_json:
        _write_json(removals)
    elif removals:
        _show_outcome(session, removals)
    if missing or any(removal.error for removal in removals):
        messages.fail()


def _tell_what_would(
    snapshot: Snapshot, patterns: Sequence[str], rules: Rules, keeps: Callable[[ObjectInfo], bool]
) -> None:
    """Say which options would find orphans where there are none."""
    from dataclasses import replace

    for option, others in (
        ("--min-age 0", replace(rules, min_age=0.0)),
        ("--semaphores", replace(rules, semaphores=True)),
        ("--trackers", replace(rules, trackers=True)),
        ("--min-age 0 --semaphores", replace(rules, min_age=0.0, semaphores=True)),
    ):
        if others != rules and (found := choose_orphans(snapshot.judged_by(others), keeps)):
            size = human_size(sum(each.allocated for each in found))
            what = counted(len(found), "object")
            words = f"shmctl gc {option} {shell_words(patterns)}".rstrip()
            messages.flush_output()
            click.echo(f"hint: {words} finds {what}, {size}", err=True)
            return


def _keeper(keep: Sequence[str], owner: int | None) -> Callable[[ObjectInfo], bool]:
    """Whether --keep or --owner keeps an object."""
    named = matcher(keep) if keep else lambda _: False
    return lambda info: named(info.name) or (owner is not None and info.st.st_uid != owner)


def _look_again(
    planned: Sequence[Judgement], now: Sequence[Judgement], orphans: Sequence[Judgement]
) -> list[Removal]:
    """Remove what was in the plan and still is an orphan: an answer may take its time."""
    still = {each.info.name for each in orphans}
    verdicts = {each.info.name: each.verdict for each in now}
    reasons = {None: "it is gone already", Verdict.HELD: "it is now in use"}
    removals = []
    for each in planned:
        verdict = verdicts.get(each.info.name)
        if each.info.name in still:
            removals.append(_remove(each))
        else:
            removals.append(Removal(each, left=reasons.get(verdict, f"it is now {verdict}")))
    return removals


def _show_plan(session: Session, orphans: Sequence[Judgement], judged: int) -> None:
    from shmctl.render.verdicts import write_plan

    write_plan(session.output(), orphans, judged)


def _confirmed(count: int) -> bool:
    """Ask on a terminal; elsewhere say how to go on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        messages.error("nothing is removed without --yes", command="gc")
        return False
    what = "this orphan" if count == 1 else f"these {count} orphans"
    try:
        return click.confirm(f"shmctl: gc: remove {what}?", err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _remove(orphan: Judgement) -> Removal:
    removal = remove_orphan(orphan)
    if removal.error is not None:
        messages.failure("gc", removal.error)
    return removal


def _write_json(removals: Sequence[Removal]) -> None:
    from shmctl.render.jsonlines import write_array
    from shmctl.render.verdicts import removal_record

    write_array(sys.stdout, map(removal_record, removals))


def _show_outcome(session: Session, removals: Sequence[Removal]) -> None:
    output = session.output()
    for removal in removals:
        if removal.left is not None:
            click.echo(f"left {escape(removal.judgement.info.name)}: {removal.left}")
    gone = [removal for removal in removals if removal.left is None]
    freed = sum(removal.freed for removal in gone)
    click.echo(f"removed {len(gone)} of {counted(len(removals), 'orphan')}; {output.amount(freed)} freed")
