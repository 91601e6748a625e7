"""What several commands look at: the verdicts of a directory's objects, and who holds them."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from shmctl.cli import messages
from shmctl.core.inspect.holders import Holder, find_holders
from shmctl.core.inspect.lease import UsageTest
from shmctl.core.inspect.listing import matcher, missing_names, scan
from shmctl.core.models import Directory, ObjectInfo
from shmctl.core.names import Name

if TYPE_CHECKING:
    from shmctl.core.inspect.verdicts import Judgement, Rules


class Inspection:
    """One look at a directory: the verdicts on its objects that match, by name.

    /proc is looked through only for `pids`, or where the kernel cannot be asked.
    """

    def __init__(self, directory: Directory, patterns: Sequence[str], rules: "Rules") -> None:
        from shmctl.core.inspect.family_files import load_families
        from shmctl.core.inspect.verdicts import judge

        matches = matcher(patterns)
        found = list(scan(directory))
        everything = [info for info in found if info.kind.is_object]
        chosen = sorted((info for info in everything if matches(info.name)), key=lambda info: info.name)
        self._missing = missing_names(patterns, found)
        test = UsageTest(directory, lambda: find_holders(everything))
        if test.lease_problem:
            messages.error(
                f"the kernel cannot be asked who uses an object: {test.lease_problem}",
                "without its answer nothing is called an orphan",
                messages.current_command(),
            )
        self.judgements = judge(chosen, everything, test, load_families(), rules)

    def pids(self) -> dict[Name, list[int]]:
        """The PIDs that hold each object that is held."""
        held = [each.info for each in self.judgements if each.verdict == "held"]
        if not held:
            return {}
        holders, _ = gather_holders(held)
        return {name: sorted(holder.pid for holder in holders[name]) for name in holders}

    def report_missing(self) -> None:
        """End with status 1 if a plain name that was asked for is not there."""
        messages.missing(self._missing)


def gather_holders(infos: Collection[ObjectInfo]) -> tuple[dict[Name, list[Holder]], int]:
    """The holders of each object, and how many processes would not be inspected.

    An object may have several names: each has all its holders.
    """
    found = find_holders(infos)
    by_identity: dict[tuple[int, int], list[Holder]] = {}
    for holder in found.holders:
        by_identity.setdefault(holder.identity, []).append(holder)
    holders = {info.name: by_identity.get((info.st.st_dev, info.st.st_ino), []) for info in infos}
    return holders, found.uninspected


def keep_sets_whole(chosen: Sequence["Judgement"], kept: Sequence["Judgement"]) -> list["Judgement"]:
    """``chosen`` without what belongs together with something in ``kept``."""
    sets = {each.set_key for each in kept} - {None}
    return [each for each in chosen if each.set_key not in sets]
