"""Fixtures: names of objects for a test, and the sweep that removes what a test leaves."""

import itertools
import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support import PREFIX

# Few have it set, and with it the order of what is printed is not what they get.
os.environ.pop("PYTHONUNBUFFERED", None)

_numbers = itertools.count()


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say by name why a test that needs root skips."""
    if os.geteuid() != 0:
        for item in items:
            if "needs_root" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="needs root: another user or a mount namespace"))
