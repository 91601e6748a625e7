"""Verdicts as rules: what is known of an object and of its set goes in, a verdict with reasons comes out."""

import os
import stat
import subprocess
import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shmctl.core.inspect.families import Families
from shmctl.core.inspect.family_files import parse_families
from shmctl.core.inspect.lease import GRANTED, REFUSED, State, Usage
from shmctl.core.inspect.verdicts import DEFAULT_MIN_AGE, Judgement, Rules, Verdict, judge
from shmctl.core.models import DEV_SHM, FileStat, ObjectInfo
from shmctl.core.names import Name

FAMILIES = Families(
    parse_families(
        """
[[family]]
software = "Users"
match = ['users-(?P<pid>[0-9]+)', 'plain-.*']
lifetime = "users"
[[family]]
software = "Creators"
match = ['creators-(?P<pid>[0-9]+)']
lifetime = "creator"
[[family]]
software = "Persistent"
match = ['persistent-(?P<pid>[0-9]+)', '(?:sem\\.)?persistent']
lifetime = "persistent"
[[family]]
software = "Sets"
match = ['set-(?P<set>[a-z]+)(?:_[a-z]+)?', 'sem\\.set-(?P<set>[a-z]+)_mutex']
lifetime = "users"
[[family]]
software = "Other sets"
match = ['other-(?P<set>[a-z]+)']
lifetime = "users"
""",
        "here",
    )
)

OLD = 10 * DEFAULT_MIN_AGE
DEFAULT = Rules()
NOW = Rules(min_age=0)
FREE = Usage(State.FREE, GRANTED)
HELD = Usage(State.HELD, REFUSED)
UNKNOWN = Usage(State.UNKNOWN, "nobody was asked")


class Told:
    """Stands for the test of usage: it knows what it was told, and counts what it is asked."""

    def __init__(self, usages: dict[str, Usage]) -> None:
        self.usages = usages
        self.asked: list[str] = []

    def ask_each(self, infos: Sequence[ObjectInfo]) -> list[Usage]:
        names = [info.name.decode() for info in infos]
        self.asked += names
        return [self.usages.get(name, FREE) for name in names]


def info(
    name: str, *, age: float = OLD, size: int = 4096, mode: int = stat.S_IFREG, mtime_age: float | None = None
) -> ObjectInfo:
    """An object that was last changed ``age`` seconds ago."""
    changed = time.time_ns() - int(age * 10**9)
    modified = changed if mtime_age is None else time.time_ns() - int(mtime_age * 10**9)
    inode, blocks = abs(hash(name)) % 2**31, -(-size // 512)
    st = FileStat(mode | 0o600, inode, 1, 1, 0, 0, size, blocks, 4096, 0, changed, modified, changed)
    return ObjectInfo(Name(name.encode()), DEV_SHM, st)


def verdicts_on(
    infos: Sequence[ObjectInfo], usages: dict[str, Usage] | None = None, rules: Rules = DEFAULT
) -> dict[str, Judgement]:
    told = Told(usages or {})
    return {each.info.name.decode(): each for each in judge(infos, [], told.ask_each, FAMILIES, rules)}


def verdict_on(info: ObjectInfo, usage: Usage = FREE, rules: Rules = DEFAULT) -> Judgement:
    (judgement,) = verdicts_on([info], {info.name.decode(): usage}, rules).values()
    return judgement


@pytest.fixture(scope="module")
def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_what_nobody_holds_and_nothing_keeps_is_an_orphan() -> None:
    found = verdict_on(info("/x", age=3 * 86400 + 60))
    assert found.verdict is Verdict.ORPHAN
    assert found.reasons == (GRANTED, "last changed 3 days ago")
    assert (found.software, found.creator_pid) == (None, None)


@pytest.mark.parametrize("name", ["/x", "/sem.x", "/users-1", "/creators-1", "/persistent", "/set-a"])
@pytest.mark.parametrize("rules", [Rules(), NOW, Rules(0, semaphores=True), Rules(10**9)])
def test_what_is_held_is_held(name: str, rules: Rules) -> None:
    found = verdict_on(info(name), HELD, rules)
    assert found.verdict is Verdict.HELD
    assert found.reasons[0] == REFUSED


@pytest.mark.parametrize("name", ["/x", "/sem.x", "/users-1", "/creators-1", "/persistent", "/set-a"])
@pytest.mark.parametrize("rules", [Rules(), NOW, Rules(0, semaphores=True)])
def test_what_cannot_be_told_is_unknown(name: str, rules: Rules) -> None:
    found = verdict_on(info(name), UNKNOWN, rules)
    assert found.verdict is Verdict.UNKNOWN
    assert found.reasons[0] == "nobody was asked"


@pytest.mark.parametrize(
    ("age", "min_age", "verdict"),
    [
        (0, 0, "orphan"), (1, 2, "kept"), (3, 2, "orphan"), (599, 600, "kept"), (601, 600, "orphan"),
        (86400, 2 * 86400, "kept"), (-3600, 600, "kept"), (-3600, 0, "orphan"),
    ],
)  # fmt: skip
def test_age(age: float, min_age: float, verdict: str) -> None:
    """All times in the future: the clock was set back, and the object is as young as can be."""
    assert verdict_on(info("/x", age=age), rules=Rules(min_age)).verdict == verdict


def test_the_latest_past_time_counts() -> None:
    """chmod, chown and rename change ctime alone, and so does setting mtime back."""
    assert verdict_on(info("/x", age=1, mtime_age=OLD)).verdict is Verdict.KEPT
    assert verdict_on(info("/x", age=OLD, mtime_age=1)).verdict is Verdict.KEPT
    assert verdict_on(info("/x", age=OLD, mtime_age=OLD)).verdict is Verdict.ORPHAN
    # One in the future does not keep it for ever, whichever it is.
    assert verdict_on(info("/x", age=OLD, mtime_age=-3600)).verdict is Verdict.ORPHAN
    assert verdict_on(info("/x", age=-3600, mtime_age=OLD)).verdict is Verdict.ORPHAN
    assert verdict_on(info("/x", age=OLD, mtime_age=-1)).verdict is Verdict.KEPT
    for birth_age, verdict in ((1, Verdict.KEPT), (OLD, Verdict.ORPHAN), (-3600, Verdict.ORPHAN)):
        born = info("/x", age=OLD)._replace(btime_ns=time.time_ns() - int(birth_age * 10**9))
        assert verdict_on(born).verdict is verdict


@pytest.mark.parametrize(("age", "verdict"), [(1, "kept"), (599, "kept"), (601, "orphan")])
def test_empty(age: float, verdict: str) -> None:
    """Ten minutes are for its creator to set the size, whatever --min-age is."""
    found = verdict_on(info("/x", age=age, size=0), rules=NOW)
    assert found.verdict == verdict
    assert ("empty" in " ".join(found.reasons)) == (verdict == "kept")


def test_semaphores() -> None:
    """Kept however old, unless they are asked for; then as any object."""
    found = verdict_on(info("/sem.x", age=10**8))
    assert found.verdict is Verdict.KEPT
    assert "semaphore" in " ".join(found.reasons)
    assert verdict_on(info("/sem.x"), rules=Rules(semaphores=True)).verdict is Verdict.ORPHAN
    assert verdict_on(info("/sem.x", age=1), rules=Rules(semaphores=True)).verdict is Verdict.KEPT
    assert verdict_on(info("/sem.persistent"), rules=Rules(0, semaphores=True)).verdict is Verdict.KEPT


def test_what_persists_by_design(dead_pid: int) -> None:
    """However dead its creator is."""
    for name in ("/persistent", f"/persistent-{dead_pid}"):
        found = verdict_on(info(name, age=10**8), rules=NOW)
        assert found.verdict is Verdict.KEPT
        assert "Persistent keeps it by design" in found.reasons


@pytest.mark.parametrize("family", ["users", "creators"])
def test_a_creator_that_lives(family: str) -> None:
    """Whether or not it has closed the object: it may want it again."""
    found = verdict_on(info(f"/{family}-{os.getpid()}", age=0), rules=NOW)
    assert found.verdict is Verdict.KEPT
    assert f"its creator, PID {os.getpid()}, is alive" in found.reasons
    assert found.creator_pid == os.getpid()
    assert found.software == family.capitalize()


def test_a_recycled_pid_keeps_and_is_told() -> None:
    """This process started after the object was last touched: it did not make it."""
    found = verdict_on(info(f"/creators-{os.getpid()}", age=10**8))
    assert found.verdict is Verdict.KEPT
    assert any("another process that has its PID by now" in reason for reason in found.reasons)


def test_a_dead_creator(dead_pid: int) -> None:
    """From where not all processes are to be seen, it cannot be known to be dead."""
    sees_all = os.readlink("/proc/self/ns/pid") == "pid:[4026531836]"
    creators = verdict_on(info(f"/creators-{dead_pid}"))
    assert creators.verdict is (Verdict.ORPHAN if sees_all else Verdict.UNKNOWN)
    users = verdict_on(info(f"/users-{dead_pid}"))
    assert users.verdict is Verdict.ORPHAN
    assert f"PID {dead_pid}" in " ".join(users.reasons)
    assert "made by Users, going by its name" in users.reasons


@pytest.mark.parametrize("pid", ["0", "01", "4194305", "99999999999999999999"])
def test_what_cannot_be_a_pid(pid: str) -> None:
    found = verdict_on(info(f"/users-{pid}"))
    assert (found.verdict, found.creator_pid) == (Verdict.ORPHAN, None)
    # Whoever needs it unmapped cannot be asked.
    found = verdict_on(info(f"/creators-{pid}"))
    assert (found.verdict, found.creator_pid) == (Verdict.UNKNOWN, None)


# Sets

MEMBERS = ["/set-a", "/set-a_el", "/set-a_sl", "/sem.set-a_mutex"]


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("usage", [HELD, UNKNOWN], ids=["held", "unknown"])
def test_a_set_stays_with_any_of_its_members(member: str, usage: Usage) -> None:
    others = ["/set-b", "/set-b_el", "/other-a", "/plain-a", "/x"]
    found = verdicts_on([info(name) for name in MEMBERS + others], {member: usage}, Rules(0, semaphores=True))
    assert found[member].verdict == usage.state.value
    for name in MEMBERS:
        if name != member:
            assert found[name].verdict is Verdict.KEPT, name
            assert any(member in reason and usage.state.value in reason for reason in found[name].reasons)
    for name in others:
        assert found[name].verdict is Verdict.ORPHAN, name


def test_a_set_that_nobody_holds_goes_as_a_whole() -> None:
    found = verdicts_on([info(name) for name in MEMBERS], rules=Rules(semaphores=True))
    assert {each.verdict for each in found.values()} == {Verdict.ORPHAN}


def test_an_idle_semaphore_says_nothing_about_its_set() -> None:
    """It stays, as every semaphore does; the rest goes. A reason of its own keeps them all."""
    found = verdicts_on([info(name) for name in MEMBERS])
    assert found.pop(MEMBERS[-1]).verdict is Verdict.KEPT
    assert {each.verdict for each in found.values()} == {Verdict.ORPHAN}
    young = [info(name) for name in MEMBERS[:-1]] + [info(MEMBERS[-1], age=1)]
    assert {each.verdict for each in verdicts_on(young).values()} == {Verdict.KEPT}
    for usage in (HELD, UNKNOWN):
        found = verdicts_on([info(name) for name in MEMBERS], {MEMBERS[-1]: usage})
        assert {each.verdict for each in found.values()} == {Verdict.KEPT, Verdict(usage.state.value)}


def test_a_young_member_keeps_its_set() -> None:
    found = verdicts_on([info("/set-a"), info("/set-a_el", age=1)])
    assert {name: each.verdict for name, each in found.items()} == {"/set-a": "kept", "/set-a_el": "kept"}


def test_members_that_were_not_asked_for_count() -> None:
    """Nor are they shown; what belongs to no set that was asked for is not even looked at."""
    everything = [info(name) for name in ("/set-a", "/set-a_el", "/set-b", "/x", "/sem.y")]
    told = Told({"/set-a_el": HELD})
    found = judge(everything[:1], everything[1:], told.ask_each, FAMILIES, NOW)
    assert [(each.info.name, each.verdict) for each in found] == [(b"/set-a", Verdict.KEPT)]
    assert sorted(told.asked) == ["/set-a", "/set-a_el"]


def test_each_is_asked_once_and_the_order_is_kept() -> None:
    everything = [info(name) for name in ("/z", "/set-a", "/a", "/set-a_el")]
    told = Told({})
    found = judge(everything, [], told.ask_each, FAMILIES, NOW)
    assert [each.info.name for each in found] == [each.name for each in everything]
    assert sorted(told.asked) == sorted(each.name.decode() for each in everything)


def test_what_is_no_object_is_not_judged() -> None:
    everything = [
        info("/directory", mode=stat.S_IFDIR),
        info("/link", mode=stat.S_IFLNK),
        info("/set-a", mode=stat.S_IFSOCK),
    ]
    told = Told({})
    assert judge(everything, [], told.ask_each, FAMILIES, NOW) == []
    assert told.asked == []


def test_reasons_are_sentences_of_their_own() -> None:
    """Each kind of verdict has at least one, and none is empty or said twice."""
    everything = [info(name) for name in (*MEMBERS, "/x", "/persistent", f"/users-{os.getpid()}")]
    for judgement in verdicts_on(everything, {"/set-a": HELD, "/x": UNKNOWN}).values():
        assert judgement.reasons
        assert all(judgement.reasons)
        assert len(set(judgement.reasons)) == len(judgement.reasons)


# The one rule above all

NAMES = [
    *MEMBERS, "/set-b", "/set-b_el", "/other-a", "/x", "/sem.x", "/users-1", "/creators-1", "/users-4194000",
    "/creators-4194000", "/persistent",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    usages=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([HELD, UNKNOWN, FREE])),
    ages=st.dictionaries(st.sampled_from(NAMES), st.sampled_from([-100.0, 0.5, 300.0, OLD, 1e9])),
    empty=st.sets(st.sampled_from(NAMES)),
    min_age=st.sampled_from([0.0, 1.0, 600.0, 1e8]),
    semaphores=st.booleans(),
    asked_for=st.sets(st.sampled_from(NAMES), min_size=1),
)
def test_nothing_that_is_not_known_to_be_free_is_ever_an_orphan(
    usages: dict[str, Usage],
    ages: dict[str, float],
    empty: set[str],
    min_age: float,
    semaphores: bool,
    asked_for: set[str],
) -> None:
    everything = [info(name, age=ages.get(name, OLD), size=0 if name in empty else 1) for name in NAMES]
    told = Told(usages)
    wanted = [each for each in everything if each.name.decode() in asked_for]
    others = [each for each in everything if each not in wanted]
    rules = Rules(min_age, semaphores)
    found = {each.info.name.decode(): each for each in judge(wanted, others, told.ask_each, FAMILIES, rules)}
    assert set(found) == asked_for
    sets = [set(MEMBERS), {"/set-b", "/set-b_el"}]
    for name, judgement in found.items():
        usage = usages.get(name, FREE)
        assert judgement.reasons[0] == usage.evidence
        if usage is HELD:
            assert judgement.verdict is Verdict.HELD
        elif usage is UNKNOWN:
            assert judgement.verdict is Verdict.UNKNOWN
        else:
            assert judgement.verdict is not Verdict.HELD
        if judgement.verdict is Verdict.ORPHAN:
            assert max(0, ages.get(name, OLD)) >= min_age
            assert name != "/persistent"
            assert semaphores or not name.startswith("/sem.")
            for members in sets:
                if name in members:
                    assert all(usages.get(each, FREE) is FREE for each in members)
