"""A process of Python's multiprocessing that has closed an object and needs it again by its name."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import SEES_ALL, Holding, Place, PrivatePlace, private_place, sleeper

pytestmark = pytest.mark.needs_root

UNUSED = "orphan" if SEES_ALL else "unknown"

# Closes an object, and opens it again by its name once it is told to; removes it, and says what it found.
JOB = """
import os, sys
from multiprocessing.shared_memory import SharedMemory
memory = SharedMemory(create=True, size=4096)
memory.buf[:5] = b"hello"
memory.close()
print(os.getpid(), flush=True)
sys.stdin.readline()
again = SharedMemory(memory.name)
found = bytes(again.buf[:5]).decode()
again.close()
again.unlink()
print(found, flush=True)
sys.stdin.read()
"""


def job(place: Place) -> Holding:
    return Holding([*place.enter, sys.executable, "-c", JOB])


def psm(place: Place) -> str:
    (name,) = [entry.name for entry in place.path("/").iterdir() if entry.name.startswith("psm_")]
    return f"/{name}"


def tracker_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_closed_and_still_needed(private: PrivatePlace) -> None:
    with job(private) as running:
        name = psm(private)
        reason = private.reasons()[name]
        assert f"a live resource tracker of its owner, PID {tracker_of(running.pid)}, may have it" in reason
        assert private.verdicts() == {name: "kept"}
        assert private.verdicts("--trackers") == {name: "orphan"}
        assert private.run("gc", "--min-age", "0", "--yes").status == 0
        assert running.ask() == "hello"
        assert not private.path(name).exists()


def test_killed_with_its_tracker(private: PrivatePlace) -> None:
    """What it leaves is freed, and it starts again."""
    with job(private) as running:
        name = psm(private)
        os.kill(tracker_of(running.pid), signal.SIGKILL)
        running.kill()
    assert private.verdicts() == {name: UNUSED}
    result = private.run("gc", "--min-age", "0", "--yes", *(() if SEES_ALL else ("--trackers",)))
    assert (result.status, private.path(name).exists()) == (0, False), result
    with job(private) as running:
        assert running.ask() == "hello"


def test_a_tracker_elsewhere_keeps_nothing(private: PrivatePlace) -> None:
    """In another /dev/shm, or of another user."""
    private.make("/psm_0a1b2c3d")
    with private_place() as other, job(other):
        assert private.verdicts() == {"/psm_0a1b2c3d": UNUSED}
    with job(private) as running:
        os.chown(private.path("/psm_0a1b2c3d"), 65534, 65534)
        assert private.verdicts("/psm_0a1b2c3d") == {"/psm_0a1b2c3d": UNUSED}
        assert running.ask() == "hello"


def test_where_not_every_tracker_is_visible(private: PrivatePlace) -> None:
    """From another PID namespace: it is unknown whether one lives."""
    private.make("/psm_0a1b2c3d")
    private.enter = (*private.enter, "unshare", "-p", "-f", "--mount-proc")
    assert "it may live in a PID namespace" in private.reasons()["/psm_0a1b2c3d"]
    assert private.verdicts() == {"/psm_0a1b2c3d": "unknown"}
    assert private.verdicts("--trackers") == {"/psm_0a1b2c3d": "orphan"}


def test_a_process_of_the_owner_that_cannot_be_inspected(private: PrivatePlace) -> None:
    """It may be a tracker."""
    private.make("/psm_0a1b2c3d")
    with sleeper() as pid:
        mount = ["mount", "--bind", f"/proc/{pid}/mem", f"/proc/{pid}/cmdline"]
        subprocess.run([*private.enter, *mount], check=True)
        if SEES_ALL:
            assert "not every process of its owner can be inspected" in private.reasons()["/psm_0a1b2c3d"]
        assert private.verdicts() == {"/psm_0a1b2c3d": "unknown"}


def test_semaphores_that_are_asked_for(private: PrivatePlace) -> None:
    """leaks judges as gc --semaphores would."""
    private.make("/sem.x", bytes(32))
    assert private.verdicts() == {"/sem.x": "kept"}
    assert private.verdicts("--semaphores") == {"/sem.x": "orphan"}
    assert private.run("gc", "--min-age", "0", "--semaphores", "--yes").status == 0
    assert not private.path("/sem.x").exists()
