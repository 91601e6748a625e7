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
from tests.support import path_of


@pytest.fixture
def watch(name: str) -> Iterator[NameWatch]:
    with NameWatch(parse_name(name), DEV_SHM) as made:
        yield made


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
    pacer = Pacer(parse_name(name), watch, seconds, spin=spin)
    times_out(pacer.pause, seconds)


@pytest.mark.parametrize("seconds", [0, 0.05])
def test_timeout_of_a_name(name: str, watch: NameWatch, seconds: float) -> None:
    times_out(Pacer(parse_name(name), watch, seconds).until_the_name_changes, seconds)


def test_a_wait_for_a_name_may_last_longer_than_a_poll(name: str, watch: NameWatch) -> None:
    """poll(2) takes milliseconds in an int, which are 24 days."""
    timer = later(path_of(name).touch)
    Pacer(parse_name(name), watch, DURATION_MAX).until_the_name_changes()
    timer.join()


def test_a_timeout_ends_a_long_interval(name: str, watch: NameWatch) -> None:
    times_out(Pacer(parse_name(name), watch, 0.05, interval=3600).pause, 0.05)


@pytest.mark.parametrize("spin", [False, True])
def test_timeout_after_looks_that_take_long(name: str, watch: NameWatch, spin: bool) -> None:
    """Each is followed by a look at the clock, though of short ones many are not."""
    pacer = Pacer(parse_name(name), watch, 0.05, spin=spin)
    looks = 0

    def look_and_pause() -> None:
        nonlocal looks
        looks += 1
        time.sleep(0.02)
        pacer.pause()

    times_out(look_and_pause, 0.05)
    assert looks <= 4


def sleeps(monkeypatch: pytest.MonkeyPatch, pacer: Pacer, count: int, cost: float = 0.0) -> list[float]:
    """How long each of ``count`` pauses slept, after looks that took ``cost``; else no time passes."""
    slept: list[float] = []
    clock = [time.monotonic() + 1]  # the first spin is over
    spent = [time.thread_time()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "thread_time", lambda: spent[0])

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    while len(slept) < count:
        spent[0] += cost
        pacer.pause()
    return slept


def test_sleeps_back_off_to_the_interval(
    name: str, watch: NameWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = sleeps(monkeypatch, Pacer(parse_name(name), watch, interval=0.004), 30)
    assert slept == sorted(slept)
    assert slept[0] <= 0.001
    assert slept[-1] == max(slept) == 0.004


def test_no_sleep_is_longer_than_the_interval(
    name: str, watch: NameWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(sleeps(monkeypatch, Pacer(parse_name(name), watch, interval=0.00001), 5)) == {0.00001}


def test_costly_looks_are_taken_less_often(
    name: str, watch: NameWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share of the processor stays small, and no sleep lasts for ever."""
    slept = sleeps(monkeypatch, Pacer(parse_name(name), watch), 20, cost=0.005)
    assert all(0.1 <= seconds <= 1 for seconds in slept[1:])
    assert max(sleeps(monkeypatch, Pacer(parse_name(name), watch), 5, cost=10)) <= 1


def test_spinning_never_sleeps(name: str, watch: NameWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError("it slept")

    monkeypatch.setattr(time, "sleep", sleep)
    pacer = Pacer(parse_name(name), watch, spin=True)
    looks = [pacer.pause() for _ in range(10_000)]
    assert 10 < sum(looks) < 1000, "now and then the name is looked at, too"


def test_the_name_is_looked_at_now_and_then(
    name: str, watch: NameWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    pacer = Pacer(parse_name(name), watch)
    sleeps(monkeypatch, pacer, 20)
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
        Pacer(parse_name(names[0]), watch, 30).until_the_name_changes()
        timer.join()
        assert path.exists() == (event in ("made", "moved there"))


def test_what_happens_to_others_does_not_wake(names: list[str]) -> None:
    with NameWatch(parse_name(names[0]), DEV_SHM) as watch:
        for each in (names[1], names[0] + "x", names[0][:-1]):
            path_of(each).touch()
            path_of(each).unlink()
        times_out(Pacer(parse_name(names[0]), watch, 0.05).until_the_name_changes, 0.05)


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
        times_out(Pacer(parse_name(name), watch, 0.05).until_the_name_changes, 0.05)


def test_it_gives_its_descriptor_back(name: str) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with NameWatch(parse_name(name), DEV_SHM) as watch:
            assert not watch.wait(0)
    assert os.listdir("/proc/self/fd") == before


def test_last_look_comes_after_the_last_sleep(name: str, watch: NameWatch) -> None:
    """What happens while it sleeps for the last time is seen, and does not time out."""
    pacer = Pacer(parse_name(name), watch, 0.05, interval=3600)
    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        looked_at = pacer.pause()
    assert looked_at, "the name and the size are looked at, too"
    with pytest.raises(ShmError, match="timed out"):
        pacer.pause()
