"""A verdict on each object: is it held, leaked, or meant to stay? Doubt always goes to the safe side."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shmctl.core.inspect.age import age_of
from shmctl.core.inspect.families import Families, Lifetime, Match
from shmctl.core.inspect.lease import State, UsageTest
from shmctl.core.inspect.pids import PidTable
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.objects.semaphore_file import may_be_of_musl

DEFAULT_MIN_AGE = 600.0


class Verdict(StrEnum):
    """What is to be thought of an object."""

    HELD = "held"
    ORPHAN = "orphan"
    KEPT = "kept"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict on an object, with its reasons in words.

    ``software`` made it, going by its name; ``creator_pid`` stands in the
    name; objects with an equal ``set_key`` belong together. Each is None
    where nothing tells.
    """

    info: ObjectInfo
    verdict: Verdict
    reasons: tuple[str, ...]
    software: str | None = None
    creator_pid: int | None = None
    set_key: tuple[str, str] | None = None


@dataclass(slots=True)
class _Case:
    """An object on its way to a verdict."""

    info: ObjectInfo
    match: Match | None
    age: float = 0.0
    verdict: Verdict = Verdict.ORPHAN
    reasons: list[str] = field(default_factory=list)

    def settle(self, verdict: Verdict, reason: str) -> None:
        self.verdict = verdict
        self.reasons.append(reason)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is young, in seconds, and whether a semaphore that nobody holds may count as leaked."""

    min_age: float = DEFAULT_MIN_AGE
    semaphores: bool = False


def judge(
    infos: Sequence[ObjectInfo],
    everything: Sequence[ObjectInfo],
    test: UsageTest,
    families: Families,
    rules: Rules = Rules(),
) -> list[Judgement]:
    """A verdict on each of ``infos``, in their order.

    ``everything`` is the whole directory: what belongs to one set is judged together.
    """
    pids = PidTable()
    now_ns = time.time_ns()
    cases = {info.name: _Case(info, families.match(info.name)) for info in everything if info.kind.is_object}
    wanted = {info.name for info in infos}
    wanted_sets = {_set_of(cases[name]) for name in wanted if name in cases} - {None}
    for name, case in cases.items():
        if name in wanted or _set_of(case) in wanted_sets:
            _judge_alone(case, test, pids, rules, now_ns)
    _keep_sets_together([case for case in cases.values() if case.reasons])
    return [_judgement(cases[info.name]) for info in infos if info.name in cases]


def _set_of(case: _Case) -> tuple[str, str] | None:
    if case.match is None or case.match.set_key is None:
        return None
    return case.match.family.software, case.match.set_key


def _judge_alone(case: _Case, test: UsageTest, pids: PidTable, rules: Rules, now_ns: int) -> None:
    usage = test.ask(case.info)
    if usage.state is State.HELD:
        case.settle(Verdict.HELD, usage.evidence)
    elif usage.state is State.UNKNOWN:
        case.settle(Verdict.UNKNOWN, usage.evidence)
    else:
        case.reasons.append(usage.evidence)
        _look_for_a_reason_to_keep(case, pids, rules, now_ns)
    _tell_origin(case)


def _look_for_a_reason_to_keep(case: _Case, pids: PidTable, rules: Rules, now_ns: int) -> None:
    """The first that is found decides."""
    info, match = case.info, case.match
    enough = rules.min_age if info.size else max(rules.min_age, DEFAULT_MIN_AGE)
    age = case.age = age_of(info, now_ns, enough)
    if info.kind is Kind.SEMAPHORE and not rules.semaphores:
        case.settle(Verdict.KEPT, "a semaphore is idle between uses by nature")
    elif match is not None and match.family.lifetime is Lifetime.PERSISTENT:
        case.settle(Verdict.KEPT, f"{match.family.software} keeps it by design")
    elif age < rules.min_age:
        case.settle(Verdict.KEPT, f"it is younger than {_duration(rules.min_age)}")
    elif info.size == 0 and age < DEFAULT_MIN_AGE:
        case.settle(Verdict.KEPT, "it is empty and fresh: somebody may be about to set its size")
    elif match is not None and match.pid is not None:
        _ask_creator(case, match, match.pid, pids)
    elif match is not None and match.family.lifetime is Lifetime.CREATOR:
        case.settle(
            Verdict.UNKNOWN, "its creator may need it unmapped, and its name does not say who that is"
        )
    elif match is None and not rules.semaphores and may_be_of_musl(info):
        case.settle(Verdict.KEPT, "it may be a semaphore of a program built with musl, idle between uses")


def _ask_creator(case: _Case, match: Match, pid: int, pids: PidTable) -> None:
    started = pids.started(pid)
    if started is not None:
        later = started > case.info.st.st_ctime + 2
        doubt = ", or another process that has its PID by now" if later else ""
        case.settle(Verdict.KEPT, f"its creator, PID {pid}{doubt}, is alive")
    elif pids.blind_spot is None:
        case.reasons.append(f"its creator, PID {pid}, is dead")
    elif match.family.lifetime is Lifetime.CREATOR:
        case.settle(Verdict.UNKNOWN, f"its creator, PID {pid}, is not to be seen, but {pids.blind_spot}")
    else:
        case.reasons.append(f"its creator, PID {pid}, is not to be seen here")


def _tell_origin(case: _Case) -> None:
    if case.match is not None:
        case.reasons.append(f"made by {case.match.family.software}, going by its name")


def _keep_sets_together(cases: Sequence[_Case]) -> None:
    """An orphan stays while another member of its set does."""
    staying = {_set_of(case): case for case in cases if case.verdict is not Verdict.ORPHAN}
    for case in cases:
        key = _set_of(case)
        if case.verdict is Verdict.ORPHAN and key is not None and key in staying:
            other = os.fsdecode(staying[key].info.name)
            case.settle(Verdict.KEPT, f"it belongs together with {other}, which is {staying[key].verdict}")


def _judgement(case: _Case) -> Judgement:
    if case.verdict is Verdict.ORPHAN:
        case.reasons.append(f"last changed {_duration(case.age)} ago")
    return Judgement(
        case.info,
        case.verdict,
        tuple(case.reasons),
        case.match.family.software if case.match else None,
        case.match.pid if case.match else None,
        _set_of(case),
    )


def _duration(seconds: float) -> str:
    """``45 seconds``, ``10 minutes``, ``3 hours``, ``12 days``."""
    amount, unit = seconds, "second"
    for size, larger in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            amount, unit = seconds / size, larger
            break
    count = int(amount)
    return f"{count} {unit}{'' if count == 1 else 's'}"
