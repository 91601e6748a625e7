"""What several commands look at: the verdicts of a directory's objects, and who holds them."""

from collections.abc import Sequence

from shmctl import report
from shmctl.core.inspect.family_files import load_families
from shmctl.core.inspect.listing import matcher, scan
from shmctl.core.inspect.processes import Holder, Scan, find_holders
from shmctl.core.inspect.usage import UsageTest, holders_of
from shmctl.core.inspect.verdicts import Judgement, Rules, Verdict, judge
from shmctl.core.models import Directory, ObjectInfo
from shmctl.core.names import Name
from shmctl.render.listing import Column, gathered_columns


def judge_directory(
    directory: Directory, patterns: Sequence[str], rules: Rules
) -> tuple[list[Judgement], dict[Name, list[int]]]:
    """The verdicts on the objects that match, by name, and the PIDs that hold those that are held.

    /proc is looked through only if something is held, or if the kernel cannot be asked.
    """
    matches = matcher(patterns)
    everything = [info for info in scan(directory) if info.kind.is_object]
    chosen = sorted((info for info in everything if matches(info.name)), key=lambda info: info.name)
    scans: list[Scan] = []

    def find_all_holders() -> Scan:
        if not scans:
            scans.append(find_holders(everything))
        return scans[0]

    test = UsageTest(directory, find_all_holders)
    if test.lease_problem:
        report.error(
            f"the kernel cannot be asked who uses an object: {test.lease_problem}",
            "without its answer nothing is called an orphan",
            report.current_command(),
        )
    judgements = judge(chosen, everything, test, load_families(), rules)
    held = [each.info for each in judgements if each.verdict is Verdict.HELD]
    return judgements, holders_of(find_all_holders(), held) if held else {}


def gather_columns(directory: Directory, patterns: Sequence[str]) -> dict[str, Column]:
    """The listing's columns that take a look at processes."""
    judgements, holders = judge_directory(directory, patterns, Rules())
    return gathered_columns(holders, {each.info.name: each for each in judgements})


def gather_holders(infos: Sequence[ObjectInfo]) -> dict[Name, list[Holder]]:
    """The holders of each object; how many processes would not be inspected is said on standard error."""
    scan = find_holders(infos)
    report.uninspected(scan.uninspected)
    holders: dict[Name, list[Holder]] = {info.name: [] for info in infos}
    by_identity = {(info.st.st_dev, info.st.st_ino): info.name for info in infos}
    for holder in scan.holders:
        if holder.identity in by_identity:
            holders[by_identity[holder.identity]].append(holder)
    return holders
