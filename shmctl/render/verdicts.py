"""Verdicts with their reasons, the plan to remove orphans, and its results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shmctl.core.inspect.gc import Removal
from shmctl.core.inspect.lease import GRANTED, REFUSED
from shmctl.core.inspect.verdicts import Judgement, Verdict
from shmctl.core.names import Name, escape, printable
from shmctl.core.sizes import counted
from shmctl.render.aligned import write_columns, write_table
from shmctl.render.output import Heading, Output
from shmctl.render.records import object_record

VERDICT_STYLES = {
    Verdict.HELD: "green",
    Verdict.ORPHAN: "bold red",
    Verdict.KEPT: "cyan",
    Verdict.UNKNOWN: "yellow",
}


def judgement_record(judgement: Judgement, holders: Sequence[int] | None) -> dict[str, Any]:
    """An object with its verdict, by the keys that scripts rely on; ``holders`` is None if nobody looked."""
    return {
        **object_record(judgement.info),
        "allocated": judgement.allocated,
        "verdict": judgement.verdict.value,
        "reasons": list(judgement.reasons),
        "holders": None if holders is None else list(holders),
        "software": judgement.software,
        "creator_pid": judgement.creator_pid,
    }


def removal_record(removal: Removal) -> dict[str, Any]:
    """Return the record of a removal."""
    record = judgement_record(removal.judgement, None)
    return {**record, "removed": removal.left is None, "freed": removal.freed, "left": removal.left}


_WORST_FIRST = (Verdict.ORPHAN, Verdict.UNKNOWN, Verdict.HELD, Verdict.KEPT)
_FEW = 5
"""So many objects are shown with all of their reasons."""


def write_judgements(
    output: Output, judgements: Sequence[Judgement], pids: Mapping[Name, Sequence[int]]
) -> None:
    """Write objects with their verdicts and reasons, and the totals.

    A terminal gets the worst and largest first, and of more than a few objects one line each. ``pids`` are
    those of holders, as far as they are known.
    """
    if output.terminal and judgements:
        ordered = sorted(
            judgements,
            key=lambda each: (_WORST_FIRST.index(each.verdict), -each.allocated, each.info.name),
        )
        _write_for_people(output, ordered, pids)
    else:
        _write_all(output, judgements, pids)


def _write_for_people(
    output: Output, judgements: Sequence[Judgement], pids: Mapping[Name, Sequence[int]]
) -> None:
    from shmctl.render.table import console

    rows = [_row(output, each) for each in judgements]
    for row, each in zip(rows, judgements, strict=True):
        row[-1] = _short_reasons(each, pids.get(each.info.name, ())), ""
    headings = [Heading("NAME"), Heading("ALLOCATED", right=True), Heading("VERDICT"), Heading("REASONS")]
    widths = [
        max(len(heading.text), *(len(row[at][0]) for row in rows)) for at, heading in enumerate(headings)
    ]
    room = max(16, console(output).width - sum(widths[:-1]) - _GAP * 3)
    cut = len(rows) > _FEW and widths[-1] > room
    if cut:
        rows = [[*row[:-1], (_cut(row[-1][0], room), "")] for row in rows]
    write_table(output, headings, rows)
    output.stream.write(
        ", ".join(_totals(output, judgements)) + "; no process uses an orphan or a kept object\n"
    )
    if cut:
        output.stream.write("hint: 'shmctl leaks NAME' shows an object's reasons whole\n")


_GAP = 2  # between the columns of a table for people


def _short_reasons(judgement: Judgement, pids: Sequence[int]) -> str:
    """The reasons without what the verdict says already, and the PIDs of those who hold it."""
    said = {GRANTED, REFUSED} if pids else {GRANTED}
    reasons = [printable(reason) for reason in judgement.reasons if reason not in said]
    return "; ".join(([f"PID {', '.join(map(str, pids))}"] if pids else []) + reasons)


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _totals(output: Output, judgements: Sequence[Judgement]) -> Iterator[str]:
    for verdict in _WORST_FIRST:
        of_it = [each for each in judgements if each.verdict is verdict]
        if of_it:
            yield f"{len(of_it)} {verdict} {output.size(sum(each.allocated for each in of_it))}"


def _write_all(output: Output, judgements: Sequence[Judgement], pids: Mapping[Name, Sequence[int]]) -> None:
    headings = [Heading("NAME"), Heading("ALLOCATED", right=True), Heading("VERDICT"), Heading("REASONS")]
    # Most objects share their reasons with many others.
    texts = {each.reasons: _reasons(each) for each in judgements}
    sizes = {size: output.size(size) for size in {each.allocated for each in judgements}}

    def reasons(judgement: Judgement) -> str:
        if (found := pids.get(judgement.info.name)) and REFUSED in judgement.reasons:
            return f"{texts[judgement.reasons]}; PID {', '.join(map(str, found))}"
        return texts[judgement.reasons]

    columns = [
        [escape(each.info.name) for each in judgements],
        [sizes[each.allocated] for each in judgements],
        [each.verdict.value for each in judgements],
        list(map(reasons, judgements)),
    ]
    write_columns(output, headings, columns, ())
    if output.headings:
        output.stream.write("\n")
        write_totals(output, judgements)


def _row(output: Output, judgement: Judgement) -> list[tuple[str, str]]:
    return [
        (escape(judgement.info.name), "bold"),
        (output.size(judgement.allocated), "green"),
        (judgement.verdict.value, VERDICT_STYLES[judgement.verdict]),
        (_reasons(judgement), ""),
    ]


def _reasons(judgement: Judgement) -> str:
    return "; ".join(map(printable, judgement.reasons))


def write_totals(output: Output, judgements: Sequence[Judgement]) -> None:
    """Write how many objects and bytes each verdict has."""
    headings = [Heading("VERDICT"), Heading("OBJECTS", right=True), Heading("ALLOCATED", right=True)]
    rows = []
    for verdict in Verdict:
        of_it = [each for each in judgements if each.verdict is verdict]
        allocated = sum(each.allocated for each in of_it)
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
    freed = output.amount(sum(each.allocated for each in orphans))
    are = "is an orphan" if 1 in (len(orphans), judged) else "are orphans"
    output.stream.write(f"{len(orphans)} of {counted(judged, 'object')} {are} to remove, {freed}\n")


def _plan_row(output: Output, judgement: Judgement) -> list[tuple[str, str]]:
    name, size, _, reasons = _row(output, judgement)
    return [name, size, (escape(judgement.info.owner), ""), reasons]
