"""Which processes count as a live tracker of an object."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shmctl.core import proc
from shmctl.core.inspect.pids import boot_time
from shmctl.core.inspect.trackers import Trackers
from shmctl.core.models import DEV_SHM, Directory
from shmctl.core.names import parse_name
from shmctl.core.objects.describe import describe

MARK = f"tracker of test {os.getpid()}"
PATTERN = re.compile(f"{MARK};")
# It waits for the end of its input, and says first which PID it has.
CODE = f"import os, sys; print(os.getpid(), flush=True); sys.stdin.read()  # {MARK};"


@contextmanager
def tracker(argv: list[str]) -> Iterator[int]:
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield int(process.stdout.readline())


def find(name: str, changed: float, directory: Directory = DEV_SHM) -> int | None:
    return Trackers(directory).find(PATTERN, describe(parse_name(name)), changed)


@pytest.fixture
def name(name: str) -> str:
    Path(f"/dev/shm{name}").write_bytes(b"x")
    return name


def test_the_process_that_started_it_is_older_than_the_object(name: str) -> None:
    """This one. The tracker itself starts after its first object."""
    with tracker([sys.executable, "-c", CODE]) as pid:
        started = boot_time() + proc.stat(os.getpid()).start
        assert find(name, time.time()) == find(name, started) == pid
        assert find(name, started - 60) is None
    assert find(name, time.time()) is None


def test_the_process_that_started_it_has_ended(name: str) -> None:
    """Then the tracker may be some seconds younger than the object."""
    parent = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
    with tracker([sys.executable, "-c", parent, CODE]) as pid:
        deadline = time.monotonic() + 20
        while proc.stat(pid).parent != 1 and time.monotonic() < deadline:
            if proc.program(proc.stat(pid).parent)[1] != proc.program(pid)[1]:
                break  # what reaps here is not init(1)
            time.sleep(0.01)
        started = boot_time() + proc.stat(pid).start
        assert find(name, started) == find(name, started - 5) == pid
        assert find(name, started - 20) is None


@pytest.mark.needs_root
def test_another_users_tracker(name: str) -> None:
    with tracker([sys.executable, "-c", CODE]):
        os.chown(f"/dev/shm{name}", 65534, 65534)
        assert find(name, time.time()) is None


@pytest.mark.needs_root
def test_a_tracker_that_sees_another_directory(name: str) -> None:
    script = 'mount -t tmpfs tmpfs /dev/shm && exec "$@"'
    with tracker(["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", CODE]):
        assert find(name, time.time()) is None
