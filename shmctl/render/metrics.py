"""The sums of a /dev/shm as Prometheus metrics: all of them gauges, each told what it is."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shmctl import __version__
from shmctl.core.inspect.totals import Amount, Amounts, Totals, sum_up, sum_up_everywhere
from shmctl.core.inspect.usage import Mounted
from shmctl.core.inspect.verdicts import Rules
from shmctl.core.models import Directory

PREFIX = "shmctl_"

Sample = tuple[tuple[str, ...], float]
"""The values of a metric's labels, and what was measured."""
Samples = Callable[[Totals], Iterable[Sample]]


class Metric(NamedTuple):
    """A gauge: its name without the prefix, what it tells, its labels, and how totals make its samples."""

    name: str
    meaning: str
    samples: Samples
    labels: tuple[str, ...] = ()


def _one(measure: Callable[[Totals], float]) -> Samples:
    return lambda totals: [((), measure(totals))]


def _if_limited(limit: Callable[[Totals], int], measure: Callable[[Totals], int]) -> Samples:
    """Nothing where the file system has no such limit: 0 would make it look full."""
    return lambda totals: [((), measure(totals))] if limit(totals) else []


def _each(amounts: Callable[[Totals], Amounts], measure: Callable[[Amount], int]) -> Samples:
    return lambda totals: [
        ((name, verdict.value), measure(amount)) for (name, verdict), amount in amounts(totals).items()
    ]


def _three(
    name: str, what: str, label: str, amounts: Callable[[Totals], Amounts]
) -> tuple[Metric, Metric, Metric]:
    """How many objects, their length and their memory, by ``label`` and verdict."""
    labels = (label, "verdict")
    return (
        Metric(f"{name}objects", f"Objects, {what}.", _each(amounts, lambda a: a.objects), labels),
        Metric(
            f"{name}objects_size_bytes",
            f"Length of the objects, {what}.",
            _each(amounts, lambda a: a.size),
            labels,
        ),
        Metric(
            f"{name}objects_allocated_bytes",
            f"Memory that the objects take, {what}.",
            _each(amounts, lambda a: a.allocated),
            labels,
        ),
    )


METRICS = (
    Metric(
        "capacity_bytes",
        "Memory that /dev/shm may take; absent where it has no limit.",
        _if_limited(lambda t: t.usage.capacity, lambda t: t.usage.capacity),
    ),
    Metric("used_bytes", "Memory that /dev/shm takes.", _one(lambda t: t.usage.used)),
    Metric(
        "free_bytes",
        "Memory that /dev/shm may still take; absent where it has no limit.",
        _if_limited(lambda t: t.usage.capacity, lambda t: t.usage.free),
    ),
    Metric(
        "inodes",
        "Inodes that /dev/shm may have; absent where it has no limit.",
        _if_limited(lambda t: t.usage.inodes, lambda t: t.usage.inodes),
    ),
    Metric(
        "inodes_used",
        "Inodes that /dev/shm has; absent where it has no limit.",
        _if_limited(lambda t: t.usage.inodes, lambda t: t.usage.inodes_used),
    ),
    *_three("", "by kind and verdict", "kind", lambda t: t.by_kind),
    *_three("owner_", "by owner and verdict", "owner", lambda t: t.by_owner),
    *_three("software_", "by the software that made them and verdict", "software", lambda t: t.by_software),
    Metric(
        "other_allocated_bytes",
        "Memory that directories and their content, links and the like take.",
        _one(lambda t: t.other_allocated),
    ),
    Metric(
        "unlinked_objects",
        "Unlinked objects that a process holds.",
        _one(lambda t: t.unlinked.objects),
    ),
    Metric(
        "unlinked_objects_size_bytes",
        "Length of the unlinked objects.",
        _one(lambda t: t.unlinked.size),
    ),
    Metric(
        "unlinked_objects_allocated_bytes",
        "Memory that objects without a name take until their holders let go.",
        _one(lambda t: t.unlinked.allocated),
    ),
    Metric(
        "unlinked_objects_unmeasured",
        "Objects without a name that could not be asked for their size.",
        _one(lambda t: t.unmeasured),
    ),
    Metric(
        "unexplained_bytes",
        "Memory that is used and in no other metric.",
        _one(lambda t: t.usage.unexplained),
    ),
    Metric(
        "given_back_bytes",
        "Memory that was given back while the rest was counted: the other metrics exceed what is used by it.",
        _one(lambda t: t.usage.given_back),
    ),
    Metric(
        "uninspected_processes",
        "Processes that could not be inspected, and may hold objects unseen.",
        _one(lambda t: t.uninspected),
    ),
    Metric(
        "lease_usable",
        "Whether the kernel can be asked who uses an object (1) or not (0); without it there are no orphans.",
        _one(lambda t: t.lease_problem is None),
    ),
    Metric(
        "collection_timestamp_seconds",
        "When the metrics were collected, in seconds since the epoch.",
        _one(lambda t: t.started),
    ),
    Metric("collection_duration_seconds", "How long collecting the metrics took.", _one(lambda t: t.seconds)),
)


class Collected(NamedTuple):
    """The totals of each /dev/shm with the values of its labels, and how many were left out."""

    totals: Sequence[tuple[tuple[str, ...], Totals]]
    left_out: int = 0


PLACE_LABELS = ("device", "container", "pod")
"""The labels of a /dev/shm among all of a host; the device alone tells each from the others."""


def collect(directory: Directory, rules: Rules) -> Collected:
    """What there is in one directory. Raises ShmError, InputError."""
    return Collected([((), sum_up(directory, rules))])


def collect_everywhere(rules: Rules) -> Collected:
    """Every /dev/shm of the host, with the values of PLACE_LABELS. Raises ShmError, InputError."""
    found, left_out = sum_up_everywhere(rules)
    return Collected([(_place(where, totals), totals) for where, totals in found], left_out)


def _place(where: Mounted, totals: Totals) -> tuple[str, ...]:
    device = f"{os.major(totals.device)}:{os.minor(totals.device)}"
    return device, where.place.container or "", where.place.pod or ""


def _families(
    found: Collected | None, common: Mapping[str, str], labels: Sequence[str]
) -> Iterator[GaugeMetricFamily]:
    """Every metric, the ``common`` labels on each; with nothing found those alone that tell of the failure.

    ``labels`` tell one /dev/shm from another.
    """
    for metric in METRICS:
        each = metric._replace(labels=(*labels, *metric.labels))
        totals = found.totals if found else ()
        yield _family(
            each,
            [((*place, *own), value) for place, total in totals for own, value in metric.samples(total)],
            common,
        )
    count = Metric("directories", "Every /dev/shm that was found.", _nothing)
    yield _family(count, [((), len(found.totals) + found.left_out)] if found else [], common)
    left_out = Metric("directories_left_out", "Those of them that no other metric is about.", _nothing)
    yield _family(left_out, [((), found.left_out)] if found else [], common)
    success = Metric(
        "collection_success", "Whether collecting the metrics succeeded (1) or failed (0).", _nothing
    )
    yield _family(success, [((), found is not None)], common)
    build = Metric(
        "build_info",
        "Always 1; its labels are the versions of shmctl and Python.",
        _nothing,
        ("version", "python"),
    )
    yield _family(build, [((__version__, platform.python_version()), 1)], common)


def _nothing(totals: Totals) -> Iterable[Sample]:
    return ()


def _family(metric: Metric, samples: Iterable[Sample], common: Mapping[str, str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + metric.name, metric.meaning, labels=[*common, *metric.labels])
    for values, measured in samples:
        family.add_metric([*common.values(), *values], float(measured))
    return family


class TotalsCollector(Collector):
    """Collects anew whenever it is asked, once at a time.

    ``gather`` gives what there is, or None if that fails; ``labels`` tell one /dev/shm from another.
    """

    def __init__(
        self, gather: Callable[[], Collected | None], common: Mapping[str, str], labels: Sequence[str] = ()
    ) -> None:
        self._gather = gather
        self._common = common
        self._labels = labels
        self._lock = Lock()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metrics without samples."""
        return _families(None, self._common, self._labels)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The metrics as they are now."""
        with self._lock:
            found = self._gather()
        return _families(found, self._common, self._labels)


def metrics_text(found: Collected, common: Mapping[str, str], labels: Sequence[str] = ()) -> bytes:
    """The metrics in Prometheus's text format, with the ``common`` labels on each."""
    return generate_latest(TotalsCollector(lambda: found, common, labels))
