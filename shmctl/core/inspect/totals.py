"""The totals of a /dev/shm: few enough numbers to record every minute on every host."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shmctl.core import posix
from shmctl.core.inspect.snapshot import Snapshot, snapshots
from shmctl.core.inspect.usage import Mounted, Usage, mounted_everywhere
from shmctl.core.inspect.verdicts import Judgement, Rules, Verdict
from shmctl.core.models import Directory, Kind, login_name
from shmctl.core.names import printable

TOP = 20
"""The number of owners and of software listed separately; the rest is summed up."""
TOP_OF_EACH, MOST_DIRECTORIES = 3, 250
"""The same for each of all directories, and how many of those there are at most."""
REST = "other"
UNRECOGNISED = "unknown"
"""The software of an object that matches no family."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How many objects, their length and the memory that they take, in bytes."""

    objects: int = 0
    size: int = 0
    allocated: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.objects + other.objects, self.size + other.size, self.allocated + other.allocated)


Amounts = Mapping[tuple[str, Verdict], Amount]
"""Amounts by a name and a verdict. Each name has all verdicts, with nothing where there is nothing."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of one /dev/shm at one time.

    ``by_kind``, ``by_owner`` and ``by_software`` divide the same objects;
    one that has two names counts once. Names are printable text; owners and
    software beyond the `TOP` (or `TOP_OF_EACH`) that take most memory are summed up as `REST`.
    ``unlinked`` objects have no name; of them the size of ``unmeasured`` many
    is not known. ``other_allocated`` is the memory of what is no object:
    directories, their files, links. ``uninspected`` processes may hold objects
    unseen. ``device`` is the st_dev. ``started`` is in seconds since the epoch,
    ``seconds`` the duration.
    """

    usage: Usage
    by_kind: Amounts
    by_owner: Amounts
    by_software: Amounts
    unlinked: Amount
    unmeasured: int
    other_allocated: int
    uninspected: int
    lease_problem: str | None
    device: int
    started: float
    seconds: float


def sum_up(directory: Directory, rules: Rules) -> Totals:
    """Look at everything in ``directory`` and at who holds it; ``rules`` are those of the verdicts.

    Raises ShmError if the directory cannot be read, and InputError for a
    families file that makes no sense.
    """
    return _sum_up([directory], rules, TOP)[0]


def sum_up_everywhere(rules: Rules) -> tuple[list[tuple[Mounted, Totals]], int]:
    """The same of every /dev/shm on the host, and how many were left out.

    Those are the ones with the least in use beyond MOST_DIRECTORIES.
    """
    with mounted_everywhere() as (mounted, _):
        shown = sorted(mounted, key=_used, reverse=True)[:MOST_DIRECTORIES]
        found = _sum_up([where.directory for where in shown], rules, TOP_OF_EACH)
    return list(zip(shown, found, strict=True)), len(mounted) - len(shown)


def _used(where: Mounted) -> int:
    vfs = posix.statvfs(where.directory)
    return (vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize


def _sum_up(directories: Sequence[Directory], rules: Rules, top: int) -> list[Totals]:
    started, clock = time.time(), time.monotonic()
    # A server that runs for weeks must notice new users.
    login_name.cache_clear()
    return [_total(look, top, started, clock) for look in snapshots(directories, rules)]


def _total(snapshot: Snapshot, top: int, started: float, clock: float) -> Totals:
    judgements, usage = snapshot.distinct_judgements, snapshot.usage
    return Totals(
        usage=usage,
        by_kind=_by_verdict(judgements, lambda each: each.info.kind, (Kind.SHM, Kind.SEMAPHORE)),
        by_owner=_largest(_by_verdict(judgements, lambda each: printable(each.info.owner)), top),
        by_software=_largest(
            _by_verdict(judgements, lambda each: printable(each.software or UNRECOGNISED)), top
        ),
        unlinked=_sum(Amount(1, each.size or 0, each.allocated or 0) for each in usage.unlinked),
        unmeasured=sum(each.allocated is None for each in usage.unlinked),
        other_allocated=sum(
            size for kind, size in usage.by_kind.items() if kind not in (Kind.SHM, Kind.SEMAPHORE)
        ),
        # For its verdicts it may have looked, where no object can be without a name.
        uninspected=len(snapshot.holders.uninspected if snapshot.knows_holders else usage.uninspected),
        lease_problem=snapshot.test.lease_problem,
        device=snapshot.device,
        started=started,
        seconds=time.monotonic() - clock,
    )


def _by_verdict(
    judgements: Iterable[Judgement], name: Callable[[Judgement], str], names: Iterable[str] = ()
) -> dict[tuple[str, Verdict], Amount]:
    """Sums by ``name``, with those in ``names`` whether there are objects or not."""
    sums = _nothing(names)
    for each in judgements:
        info = each.info
        if (name(each), each.verdict) not in sums:
            sums |= _nothing([name(each)])
        sums[name(each), each.verdict] += Amount(1, info.size, info.allocated)
    return sums


def _nothing(names: Iterable[str]) -> dict[tuple[str, Verdict], Amount]:
    return {(str(name), verdict): Amount() for name in names for verdict in Verdict}


def _largest(sums: Amounts, top: int) -> Amounts:
    """The ``top`` names that take most, and the rest, into which who is called like it falls, too."""
    whole: defaultdict[str, Amount] = defaultdict(Amount)
    for (name, _), amount in sums.items():
        whole[name] += amount
    ranked = sorted(whole, key=lambda name: (-whole[name].allocated, -whole[name].objects, name))
    shown = _nothing([*sorted(ranked[:top]), REST])
    for (name, verdict), amount in sums.items():
        shown[name if (name, verdict) in shown else REST, verdict] += amount
    return shown


def _sum(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, start=Amount())
