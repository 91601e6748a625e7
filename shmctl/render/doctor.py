"""The findings of doctor, a row a check."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from shmctl.core.inspect.doctor.findings import Finding, Scope, Status
from shmctl.core.sizes import counted
from shmctl.render.aligned import write_table
from shmctl.render.output import Cell, Heading, Output
from shmctl.render.records import name_fields

_STYLES = {
    Status.OK: "green",
    Status.NOTE: "cyan",
    Status.WARNING: "yellow",
    Status.PROBLEM: "bold red",
    Status.UNKNOWN: "magenta",
}


def finding_record(finding: Finding) -> dict[str, Any]:
    """A finding by the keys that scripts rely on."""
    outcome = finding.outcome
    return {
        "check": finding.check,
        "status": outcome.status.value,
        "scope": finding.scope.value,
        "seen": outcome.seen,
        "advice": outcome.advice or None,
        "objects": [name_fields(info.name) for info in outcome.objects],
    }


_WORST_FIRST = (Status.PROBLEM, Status.WARNING, Status.UNKNOWN, Status.NOTE, Status.OK)


def write_findings(output: Output, unsorted: Sequence[Finding]) -> None:
    """Write a row for each check, the worst first.

    For people, what to do stands below what was seen, and totals follow.
    """
    findings = sorted(unsorted, key=lambda finding: _WORST_FIRST.index(finding.outcome.status))
    if output.terminal:
        from shmctl.render.table import console

        headings = [Heading("STATUS"), Heading("CHECK"), Heading("SEEN")]
        write_table(output, headings, [_screen_row(finding) for finding in findings])
        counts = Counter(finding.outcome.status for finding in findings)
        same = {status: status.value if status in (Status.OK, Status.UNKNOWN) else "" for status in Status}
        totals = ", ".join(counted(counts[each], each.value, same[each]) for each in Status if counts[each])
        console(output).print(f"\n{totals}")
    else:
        headings = [Heading(text) for text in ("STATUS", "CHECK", "SCOPE", "SEEN", "ADVICE")]
        write_table(output, headings, [_plain_row(finding) for finding in findings])


def _screen_row(finding: Finding) -> list[Cell]:
    outcome = finding.outcome
    style = _STYLES[outcome.status]
    scope = "" if finding.scope is Scope.DIRECTORY else f" ({finding.scope.value})"
    text = outcome.seen + (f"\nhint: {outcome.advice}" if outcome.advice else "")
    return [
        (outcome.status.value, style),
        (finding.check + scope, "bold"),
        (text, style if outcome.status.is_bad else ""),
    ]


def _plain_row(finding: Finding) -> list[Cell]:
    outcome = finding.outcome
    texts = (outcome.status.value, finding.check, finding.scope.value, outcome.seen, outcome.advice or "-")
    return [(text, "") for text in texts]
