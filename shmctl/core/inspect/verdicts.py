"""The verdict on each object: in use, leaked, or meant to stay. In doubt an object stays."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from shmctl.core.inspect.age import age_of
from shmctl.core.inspect.families import Families, Lifetime, Match
from shmctl.core.inspect.folders import Folder, ask_files
from shmctl.core.inspect.lease import State, Usage, UsageTest
from shmctl.core.inspect.pids import PidTable
from shmctl.core.inspect.trackers import Trackers
from shmctl.core.models import DEV_SHM, Directory, ObjectInfo
from shmctl.core.names import Name, is_semaphore
from shmctl.core.objects.describe import removal_command
from shmctl.core.objects.semaphore_file import may_be_of_musl
from shmctl.core.sizes import counted

DEFAULT_MIN_AGE = 600.0


class Verdict(StrEnum):
    """The verdict on an object."""

    HELD = "held"
    ORPHAN = "orphan"
    KEPT = "kept"
    UNKNOWN = "unknown"


class Judgement(NamedTuple):
    """The verdict on an object, with its reasons in words.

    The name says which ``software`` created the object and with which
    ``creator_pid``. Objects with an equal ``set_key`` are one set. Each is None
    where the name does not tell. ``names`` are the object's other names in the
    directory. A directory has ``content``, the bytes of memory that is in it.
    """

    info: ObjectInfo
    verdict: Verdict
    reasons: tuple[str, ...]
    software: str | None = None
    creator_pid: int | None = None
    set_key: tuple[str, str] | None = None
    names: tuple[Name, ...] = ()
    content: int = 0

    @property
    def allocated(self) -> int:
        """Its memory in bytes, with that of what is in it."""
        return self.info.allocated + self.content


@dataclass(slots=True)
class _Case:
    """An object before its verdict.

    ``spreads`` is false where the reason why it stays says nothing about the rest of its set.
    """

    info: ObjectInfo
    match: Match | None
    age: float = 0.0
    verdict: Verdict = Verdict.ORPHAN
    spreads: bool = True
    reasons: tuple[str, ...] = ()

    def settle(self, verdict: Verdict, reason: str) -> None:
        self.verdict = verdict
        self.add(reason)

    def add(self, reason: str) -> None:
        self.reasons = _shared((*self.reasons, reason))


@lru_cache(maxsize=1024)
def _shared(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """One copy for all objects that have the same reasons, as most do."""
    return reasons


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of verdicts that users can change.

    ``min_age`` is in seconds: a younger object stays. ``semaphores``: one that
    is not in use may be an orphan. ``trackers``: a live resource tracker keeps
    no object.
    """

    min_age: float = DEFAULT_MIN_AGE
    semaphores: bool = False
    trackers: bool = False


class _Evidence(NamedTuple):
    """The rules, the live processes, and the time at which the objects were listed (ns since the epoch)."""

    rules: Rules
    pids: PidTable
    trackers: Trackers
    now_ns: int


def judge(
    infos: Iterable[ObjectInfo],
    others: Iterable[ObjectInfo],
    ask_each: Callable[[Sequence[ObjectInfo]], list[Usage]],
    families: Families,
    rules: Rules = Rules(),
    *,
    directory: Directory = DEV_SHM,
) -> list[Judgement]:
    """Return the verdict on each object of ``infos``, in their order.

    ``others`` are what else ``directory`` contains: a set is judged as a whole. ``ask_each`` tells
    which objects are in use, as `UsageTest.ask_each` does.
    """
    evidence = _Evidence(rules, PidTable(), Trackers(directory), time.time_ns())
    cases = [_Case(info, families.match(info.name)) for info in infos if info.is_object]
    wanted = len(cases)
    if sets := {_set_of(case) for case in cases} - {None}:
        beside = (_Case(info, families.match(info.name)) for info in others if info.is_object)
        cases += [case for case in beside if _set_of(case) in sets]
    usages = ask_each([case.info for case in cases])
    for case, usage in zip(cases, usages, strict=True):
        _judge_alone(case, usage, evidence)
    _keep_sets_together(cases)
    # Each case goes when its judgement comes: of very many objects, both would take much memory.
    cases[:] = cases[wanted - 1 :: -1] if wanted else []
    return [_judgement(cases.pop()) for _ in range(wanted)]


def judge_folders(folders: Sequence[Folder], test: UsageTest, rules: Rules) -> list[Judgement]:
    """A verdict on each directory. Without a creator in its name it is never an orphan."""
    pids = PidTable()
    return [_judge_folder(folder, ask_files(folder, test), pids, rules) for folder in folders]


def _judge_folder(folder: Folder, usage: Usage, pids: PidTable, rules: Rules) -> Judgement:
    case, match = _Case(folder.info, folder.match), folder.match
    now_ns = time.time_ns()
    case.age = min(age_of(info, now_ns, 0) for info in (folder.info, *folder.inside))
    if usage.state is not State.FREE:
        case.settle(Verdict(usage.state.value), usage.evidence)
    else:
        case.add(usage.evidence)
        if match is not None and match.family.lifetime is Lifetime.PERSISTENT:
            case.settle(Verdict.KEPT, f"{match.family.software} keeps it by design")
        elif case.age < rules.min_age:
            case.settle(Verdict.KEPT, f"it is younger than {_duration(rules.min_age)} (see --min-age)")
        elif match is not None and match.pid is not None:
            _ask_creator(case, match, pids)
        else:
            case.settle(Verdict.UNKNOWN, "a program may need it, and its name does not say which")
    if match is not None:
        case.add(f"made by {match.family.software}, going by its name")
    if case.verdict is Verdict.ORPHAN:
        command = removal_command(folder.info.name, folder.info.directory)
        case.add(f"gc removes no directory: '{command}' does")
    return _judgement(case)._replace(content=folder.allocated - folder.info.allocated)


def _set_of(case: _Case) -> tuple[str, str] | None:
    if case.match is None or case.match.set_key is None:
        return None
    return case.match.family.software, case.match.set_key


def _judge_alone(case: _Case, usage: Usage, evidence: _Evidence) -> None:
    if usage.state is State.HELD:
        case.settle(Verdict.HELD, usage.evidence)
    elif usage.state is State.UNKNOWN:
        case.settle(Verdict.UNKNOWN, usage.evidence)
    else:
        case.add(usage.evidence)
        _find_reason_to_stay(case, evidence)
        if case.verdict is not Verdict.KEPT and not evidence.rules.semaphores:
            _keep_idle_semaphore(case)
    if case.match is not None:
        case.add(f"made by {case.match.family.software}, going by its name")


def _find_reason_to_stay(case: _Case, evidence: _Evidence) -> None:
    """Settle a case by the first reason that holds."""
    info, match, min_age = case.info, case.match, evidence.rules.min_age
    enough = min_age if info.size else max(min_age, DEFAULT_MIN_AGE)
    case.age = age_of(info, evidence.now_ns, enough)
    if match is not None and match.family.lifetime is Lifetime.PERSISTENT:
        case.settle(Verdict.KEPT, f"{match.family.software} keeps it by design")
    elif case.age < min_age:
        case.settle(Verdict.KEPT, f"it is younger than {_duration(min_age)} (see --min-age)")
    elif info.size == 0 and case.age < DEFAULT_MIN_AGE:
        case.settle(Verdict.KEPT, "it is empty and fresh: somebody may be about to set its size")
    elif match is not None:
        _ask_creator(case, match, evidence.pids)
        if case.verdict is Verdict.ORPHAN and not evidence.rules.trackers:
            _ask_tracker(case, match, evidence)


def _ask_creator(case: _Case, match: Match, pids: PidTable) -> None:
    needed = match.family.lifetime is Lifetime.CREATOR
    if match.pid is None:
        if needed:
            reason = "its creator may need it unmapped, and its name does not say who that is"
            case.settle(Verdict.UNKNOWN, reason)
        return
    started = pids.started(match.pid)
    if started is not None:
        later = started > case.info.st.st_ctime_ns / 10**9 + 2
        doubt = ", or another process that has its PID by now" if later else ""
        case.settle(Verdict.KEPT, f"its creator, PID {match.pid}{doubt}, is alive")
    elif pids.blind_spot is None:
        case.add(f"its creator, PID {match.pid}, is dead")
    elif needed:
        case.settle(Verdict.UNKNOWN, f"its creator, PID {match.pid}, is not visible, but {pids.blind_spot}")
    else:
        case.add(f"its creator, PID {match.pid}, is not visible from here")


def _ask_tracker(case: _Case, match: Match, evidence: _Evidence) -> None:
    """A process that has closed an object may still need it by name; its live tracker shows that."""
    if match.family.tracker is None:
        return
    changed = evidence.now_ns / 10**9 - case.age
    pid = evidence.trackers.find(match.family.tracker, case.info, changed)
    if pid is not None:
        whose = f"a live resource tracker of its owner, PID {pid}, may have it (see --trackers)"
        case.settle(Verdict.KEPT, whose)
    elif (doubt := evidence.trackers.blind_spot(case.info)) is not None:
        reason = f"no resource tracker of its owner is visible, but {doubt} (see --trackers)"
        case.settle(Verdict.UNKNOWN, reason)


def _keep_idle_semaphore(case: _Case) -> None:
    """Keep a semaphore, or what may be one. That it is idle is no reason for the rest of its set to stay."""
    spreads = case.verdict is not Verdict.ORPHAN
    if is_semaphore(case.info.name):
        case.settle(Verdict.KEPT, "a semaphore is idle between uses by nature (see --semaphores)")
        case.spreads = spreads
    elif case.match is None and may_be_of_musl(case.info):
        reason = "it may be a semaphore of a program built with musl, idle between uses (see --semaphores)"
        case.settle(Verdict.KEPT, reason)


def _keep_sets_together(cases: Sequence[_Case]) -> None:
    """Keep the orphans of a set while another member stays for a reason that holds for all."""
    staying = {_set_of(case): case for case in cases if case.verdict is not Verdict.ORPHAN and case.spreads}
    for case in cases:
        key = _set_of(case)
        if case.verdict is Verdict.ORPHAN and key is not None and key in staying:
            other = os.fsdecode(staying[key].info.name)
            case.settle(Verdict.KEPT, f"it belongs together with {other}, which is {staying[key].verdict}")


def _judgement(case: _Case) -> Judgement:
    if case.verdict is Verdict.ORPHAN:
        case.add(f"last changed {_duration(int(case.age))} ago")
    return Judgement(
        case.info,
        case.verdict,
        case.reasons,
        case.match.family.software if case.match else None,
        case.match.pid if case.match else None,
        _set_of(case),
    )


@lru_cache(maxsize=1024)
def _duration(seconds: float) -> str:
    """``45 seconds``, ``10 minutes``, ``3 hours``, ``12 days``."""
    amount, unit = seconds, "second"
    for size, larger in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            amount, unit = seconds / size, larger
            break
    return counted(int(amount), unit)
