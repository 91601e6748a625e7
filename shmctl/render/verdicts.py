"""Verdicts with their reasons, the plan to remove orphans, and its results."""

from collections.abc import Sequence
from typing import Any

from shmctl.core.inspect.gc import Removal
from shmctl.core.inspect.verdicts import Judgement, Verdict
from shmctl.core.names import escape, printable
from shmctl.render.columns import write_table
from shmctl.render.output import Heading, Output
from shmctl.render.records import object_record

VERDICT_STYLES = {
    Verdict.HELD: "green",
    Verdict.ORPHAN: "bold red",
    Verdict.KEPT: "cyan",
    Verdict.UNKNOWN: "yellow",
}


def judgement_record(judgement: Judgement, holders: Sequence[int]) -> dict[str, Any]:
    """An object with its verdict, by the keys that scripts rely on."""
    return {
        **object_record(judgement.info),
        "verdict": judgement.verdict.value,
        "reasons": list(judgement.reasons),
        "holders": list(holders),
        "software": judgement.software,
        "creator_pid": judgement.creator_pid,
    }


def removal_record(removal: Removal) -> dict[str, Any]:
    """Return the record of a removal."""
    record = judgement_record(removal.judgement, [])
    return {**record, "removed": removal.left is None, "freed": removal.freed, "left": removal.left}


def write_judgements(output: Output, judgements: Sequence[Judgement]) -> None:
    """Write objects with their verdicts and reasons, and the totals."""
    headings = [Heading("NAME"), Heading("ALLOCATED", right=True), Heading("VERDICT"), Heading("REASONS")]
    write_table(output, headings, [_row(output, each) for each in judgements])
    if output.headings:
        output.stream.write("\n")
        write_totals(output, judgements)


def _row(output: Output, judgement: Judgement) -> list[tuple[str, str]]:
    reasons = "; ".join(map(printable, judgement.reasons))
    return [
        (escape(judgement.info.name), "bold"),
        (output.size(judgement.info.allocated), "green"),
        (judgement.verdict.value, VERDICT_STYLES[judgement.verdict]),
        (reasons, ""),
    ]


def write_totals(output: Output, judgements: Sequence[Judgement]) -> None:
    """Write how many objects and bytes each verdict has."""
    headings = [Heading("VERDICT"), Heading("OBJECTS", right=True), Heading("ALLOCATED", right=True)]
    rows = []
    for verdict in Verdict:
        of_it = [each for each in judgements if each.verdict is verdict]
        allocated = sum(each.info.allocated for each in of_it)
        rows.append(
            [
                (verdict.value, VERDICT_STYLES[verdict]),
                (str(len(of_it)), ""),
                (output.size(allocated), "green"),
            ]
        )
    write_table(output, headings, rows)


def write_plan(output: Output, orphans: Sequence[Judgement], judged: int) -> None:
    """Write what would be removed, out of how many objects that were looked at."""
    if orphans:
        headings = [Heading("NAME"), Heading("ALLOCATED", right=True), Heading("OWNER"), Heading("REASONS")]
        write_table(output, headings, [_plan_row(output, each) for each in orphans])
        output.stream.write("\n")
    allocated = output.size(sum(each.info.allocated for each in orphans))
    unit = "" if output.human_sizes else " bytes"
    output.stream.write(f"{len(orphans)} of {judged} objects are orphans to remove, {allocated}{unit}\n")


def _plan_row(output: Output, judgement: Judgement) -> list[tuple[str, str]]:
    name, size, _, reasons = _row(output, judgement)
    return [name, size, (escape(judgement.info.owner), ""), reasons]
