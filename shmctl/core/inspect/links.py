"""Objects of several names (hard links): one verdict for all of them."""

from collections.abc import Sequence

from shmctl.core.inspect.verdicts import Judgement, Verdict
from shmctl.core.models import FileStat, Identity
from shmctl.core.names import escape


def agreeing(judgements: Sequence[Judgement]) -> list[Judgement]:
    """The judgements, each with the other names of its object: it is an orphan only if it is one by all."""
    by_object: dict[Identity, list[Judgement]] = {}
    for each in judgements:
        if each.info.st.st_nlink > 1:
            by_object.setdefault(each.info.identity, []).append(each)
    return [_agreeing(each, by_object.get(each.info.identity, ())) for each in judgements]


def _agreeing(judgement: Judgement, same: Sequence[Judgement]) -> Judgement:
    if len(same) < 2:
        return judgement
    names = tuple(each.info.name for each in same if each is not judgement)
    reasons = [*judgement.reasons, f"also named {', '.join(map(escape, names))}"]
    verdict = judgement.verdict
    if verdict is Verdict.ORPHAN:
        staying = next((each for each in same if each.verdict is not verdict), judgement)
        verdict = staying.verdict
        if staying is not judgement:
            reasons.append(f"as {escape(staying.info.name)} it is {verdict}")
    return judgement._replace(verdict=verdict, reasons=tuple(reasons), names=names)


def once_each(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Each object once, by the first of its names."""
    seen: dict[int, set[int]] = {}  # inodes by device: half the memory of identities
    return [each for each in judgements if _is_new(each.info.st, seen)]


def _is_new(st: FileStat, seen: dict[int, set[int]]) -> bool:
    inodes = seen.setdefault(st.st_dev, set())
    known = len(inodes)
    inodes.add(st.st_ino)
    return len(inodes) > known
