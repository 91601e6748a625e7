"""Fixtures: the program that holds objects, the /dev/shm of the machine, and one of our own."""

from collections.abc import Iterator

import pytest

from tests.e2e.inspect.holding import HOLDER, Holder, Place, PrivatePlace, private_place
from tests.support import compile_c, let_all_in


@pytest.fixture(scope="session")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    """Starts processes that hold an object."""
    folder = tmp_path_factory.mktemp("holder")
    # Other users run it, too.
    let_all_in(folder)
    return Holder(compile_c(HOLDER, folder, "holder"))


@pytest.fixture
def shared() -> Place:
    """The machine's own /dev/shm: tests use names of their own only."""
    return Place()


@pytest.fixture
def private() -> Iterator[PrivatePlace]:
    """A fresh /dev/shm of 16 MiB that nobody else sees; it takes root."""
    with private_place() as place:
        yield place


@pytest.fixture
def names(names: list[str]) -> list[str]:
    """Three names in the order in which commands show them."""
    return sorted(names)
