"""Names of objects for a test, the sweep that removes what it leaves, and which tests run, beside which."""

import ctypes
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import PREFIX

# Few have it set, and with it the order of what is printed is not what they get.
os.environ.pop("PYTHONUNBUFFERED", None)
# Under nohup, or in the background of a script, these are ignored, and so they would be in what runs here.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

_CLONE_NEWNS = 0x20000
# As many digits as any, so that names sort as they come.
_numbers = itertools.count(10_000)


@pytest.fixture
def name() -> str:
    """A name, with its slash, that no other test has; nothing bears it yet."""
    return f"/{PREFIX}{next(_numbers)}"


@pytest.fixture
def names() -> list[str]:
    """Three such names."""
    return [f"/{PREFIX}{next(_numbers)}" for _ in range(3)]


@pytest.fixture(autouse=True)
def sweep() -> Iterator[None]:
    """After each test, remove whatever bears this run's prefix."""
    yield
    for entry in os.listdir(b"/dev/shm"):
        if PREFIX.encode() in entry:
            path = b"/dev/shm/" + entry
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="leave out the tests that are marked long")


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several workers (pytest-xdist) a /dev/shm of its own: none sees the objects of others."""
    if hasattr(config, "workerinput") and os.geteuid() == 0:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
            why = os.strerror(ctypes.get_errno())
            raise pytest.UsageError(f"no mount namespace for a worker: {why}: run with -n 0")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", "/dev/shm"], check=True
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is long where that is asked for; say by name why a test that needs root skips."""
    if config.getoption("quick"):
        long = [item for item in items if "long" in item.keywords]
        items[:] = [item for item in items if "long" not in item.keywords]
        config.hook.pytest_deselected(items=long)
    if os.geteuid() != 0:
        for item in items:
            if "needs_root" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs root: another user or a mount namespace"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Among several workers, run a test that is marked so while no other runs."""
    with _turn(alone="alone" in item.keywords):
        return (yield)


@contextmanager
def _turn(*, alone: bool) -> Iterator[None]:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        yield
        return
    # Whoever waits to be alone keeps the gate, or the others would never all be out.
    with (
        _locked("support.py", fcntl.LOCK_EX) as gate,
        _locked("conftest.py", fcntl.LOCK_EX if alone else fcntl.LOCK_SH),
    ):
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextmanager
def _locked(file: str, operation: int) -> Iterator[int]:
    fd = os.open(Path(__file__).with_name(file), os.O_RDONLY)
    try:
        fcntl.flock(fd, operation)
        yield fd
    finally:
        os.close(fd)
