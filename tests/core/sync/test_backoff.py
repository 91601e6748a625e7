"""How a wait passes its time."""

import errno
import os
import resource
import threading
import time
from collections.abc import Iterator

import pytest

from shmctl.core.errors import ShmError
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import Name, parse_name
from shmctl.core.sizes import DURATION_MAX
from shmctl.core.sync.backoff import NameWatch, Pacer
from shmctl.core.sync.wait_request import DEFAULT_INTERVAL
from tests.support import path_of


@pytest.fixture
def watch(name: str) -> Iterator[NameWatch]:
    with NameWatch(parse_name(name), DEV_SHM) as made:
        yield made


def pacer_of(
    name: str,
    watch: NameWatch,
    timeout: float | None = None,
    interval: float = DEFAULT_INTERVAL,
    *,
    spin: bool = False,
) -> Pacer:
    return Pacer(parse_name(name), watch, timeout, interval, spin=spin)


def times_out(action: object, seconds: float) -> None:
    """It raises ETIMEDOUT, not before its time and not never."""
    begun = time.monotonic()
    with pytest.raises(ShmError) as caught:
        while True:
            action()  # type: ignore[operator]
    assert caught.value.errno == errno.ETIMEDOUT
    assert caught.value.detail == f"timed out after {seconds:g} s"
    assert seconds <= time.monotonic() - begun < 20


@pytest.mark.parametrize("seconds", [0, 0.05])
@pytest.mark.parametrize("spin", [False, True])
def test_timeout_of_pauses(name: str, watch: NameWatch, seconds: float, spin: bool) -> None:
    pacer = pacer_of(name, watch, seconds, spin=spin)
    times_out(pacer.pause, seconds)


@pytest.mark.parametrize("seconds", [0, 0.05])
def test_timeout_of_a_name(name: str, watch: NameWatch, seconds: float) -> None:
    times_out(pacer_of(name, watch, seconds).until_the_name_changes, seconds)


def test_a_wait_for_a_name_may_last_longer_than_a_poll(name: str, watch: NameWatch) -> None:
    """poll(2) takes milliseconds in an int, which are 24 days."""
    timer = later(path_of(name).touch)
    pacer_of(name, watch, DURATION_MAX).until_the_name_changes()
    timer.join()


def test_a_timeout_ends_a_long_interval(name: str, watch: NameWatch) -> None:
    times_out(pacer_of(name, watch, 0.05, interval=3600).pause, 0.05)


@pytest.mark.parametrize("spin", [False, True])
def test_timeout_after_looks_that_take_long(name: str, watch: NameWatch, spin: bool) -> None:
    """Each is followed by a look at the clock, though of short ones many are not."""
    pacer = pacer_of(name, watch, 0.05, spin=spin)
    looks = 0

    def look_and_pause() -> None:
        nonlocal looks
        looks += 1
        time.sleep(0.02)
        pacer.pause()

    times_out(look_and_pause, 0.05)
    assert looks <= 4


class Clock:
    """Time passes in sleeps alone, and by hand; so does the processor's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        self.spent = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "thread_time", lambda: self.spent)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def sleeps(self, pacer: Pacer, count: int, cost: float = 0.0) -> list[float]:
        """How long each of ``count`` pauses slept, after looks that took ``cost``; the first spin is over."""
        self.slept = []
        self.now += 0.001
        while len(self.slept) < count:
            self.spent += cost
            pacer.pause()
        return self.slept


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_sleeps_grow_with_the_wait_up_to_the_interval(name: str, watch: NameWatch, clock: Clock) -> None:
    """What happens while it sleeps is found late by no more than a twentieth of the wait."""
    pacer = pacer_of(name, watch, interval=0.004)
    begun = clock.now
    slept = clock.sleeps(pacer, 200)
    assert slept == sorted(slept)
    assert slept[-1] == max(slept) == 0.004
    waited = [clock.now - begun - sum(slept[at:]) for at in range(len(slept))]
    assert all(sleep <= max(0.0001, before / 19) for sleep, before in zip(slept, waited, strict=True))


def test_an_idle_wait_wakes_seldom(name: str, watch: NameWatch, clock: Clock) -> None:
    begun = clock.now
    clock.sleeps(pacer_of(name, watch), 400)
    assert clock.now - begun > 10


def test_it_looks_often_again_once_something_has_happened(name: str, watch: NameWatch, clock: Clock) -> None:
    pacer = pacer_of(name, watch)
    assert clock.sleeps(pacer, 1000)[-1] == DEFAULT_INTERVAL
    pacer.restart()
    assert clock.sleeps(pacer, 1)[0] < 0.001


def test_no_sleep_is_longer_than_the_interval(name: str, watch: NameWatch, clock: Clock) -> None:
    assert set(clock.sleeps(pacer_of(name, watch, interval=0.00001), 5)) == {0.00001}


def test_costly_looks_are_taken_less_often(name: str, watch: NameWatch, clock: Clock) -> None:
    """The share of the processor stays small, and no sleep lasts for ever."""
    slept = clock.sleeps(pacer_of(name, watch), 20, cost=0.005)
    assert all(0.1 <= seconds <= 1 for seconds in slept[1:])
    assert max(clock.sleeps(pacer_of(name, watch), 5, cost=10)) <= 1


def test_spinning_never_sleeps(name: str, watch: NameWatch, clock: Clock) -> None:
    pacer = pacer_of(name, watch, spin=True)
    looks = 0
    for _ in range(10_000):
        clock.now += 0.000002
        looks += pacer.pause()
    assert not clock.slept
    assert 50 <= looks <= 200, "now and then the name is looked at, too"


def test_the_name_is_looked_at_now_and_then(name: str, watch: NameWatch, clock: Clock) -> None:
    pacer = pacer_of(name, watch, interval=0.001)
    clock.sleeps(pacer, 100)
    looks = [pacer.pause() for _ in range(100)]
    assert 5 <= sum(looks) <= 20


# -- names


def later(action: object) -> threading.Timer:
    timer = threading.Timer(0.05, action)  # type: ignore[arg-type]
    timer.start()
    return timer


@pytest.mark.parametrize("event", ["made", "removed", "moved there", "moved away"])
def test_what_happens_to_the_name_wakes(names: list[str], event: str) -> None:
    path, other = (path_of(each) for each in names[:2])
    action = {
        "made": path.touch,
        "removed": path.unlink,
        "moved there": lambda: other.rename(path),
        "moved away": lambda: path.rename(other),
    }[event]
    if event in ("removed", "moved away"):
        path.touch()
    if event == "moved there":
        other.touch()
    with NameWatch(parse_name(names[0]), DEV_SHM) as watch:
        timer = later(action)
        pacer_of(names[0], watch, 30).until_the_name_changes()
        timer.join()
        assert path.exists() == (event in ("made", "moved there"))


def test_what_happens_to_others_does_not_wake(names: list[str]) -> None:
    with NameWatch(parse_name(names[0]), DEV_SHM) as watch:
        for each in (names[1], names[0] + "x", names[0][:-1]):
            path_of(each).touch()
            path_of(each).unlink()
        times_out(pacer_of(names[0], watch, 0.05).until_the_name_changes, 0.05)


def test_nothing_between_the_watch_and_the_wait_is_lost(name: str, watch: NameWatch) -> None:
    path_of(name).touch()
    assert watch.wait(0)
    assert not watch.wait(0)


def test_a_name_that_is_not_utf8(name: str) -> None:
    raw = name.encode() + b"\xff"
    with NameWatch(Name(raw), DEV_SHM) as watch:
        with open(b"/dev/shm" + raw, "xb"):
            pass
        assert watch.wait(5)


def test_a_directory_by_its_descriptor(name: str) -> None:
    fd = os.open("/dev/shm", os.O_PATH)
    try:
        with NameWatch(parse_name(name), Directory(b"/elsewhere", fd)) as watch:
            path_of(name).touch()
            assert watch.wait(5)
    finally:
        os.close(fd)


def test_without_a_watch_it_looks_now_and_then(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """fs.inotify.max_user_instances is not large, and EMFILE is like it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with NameWatch(parse_name(name), DEV_SHM):
        pass  # what it needs is imported by now
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        made = NameWatch(parse_name(name), DEV_SHM)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with made as watch:
        assert watch.wait(None), "it says to look"
        times_out(pacer_of(name, watch, 0.05).until_the_name_changes, 0.05)


def test_it_gives_its_descriptor_back(name: str) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with NameWatch(parse_name(name), DEV_SHM) as watch:
            assert not watch.wait(0)
    assert os.listdir("/proc/self/fd") == before


def test_last_look_comes_after_the_last_sleep(name: str, watch: NameWatch) -> None:
    """What happens while it sleeps for the last time is seen, and does not time out."""
    pacer = pacer_of(name, watch, 0.05, interval=3600)
    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        looked_at = pacer.pause()
    assert looked_at, "the name and the size are looked at, too"
    with pytest.raises(ShmError, match="timed out"):
        pacer.pause()
