"""Fixtures: the C program that does what a test tells it."""

from collections.abc import Iterator

import pytest

from tests.e2e.sync.processes import SERVANT, Servant
from tests.support import compile_c


@pytest.fixture(scope="session")
def servant_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c("#define _GNU_SOURCE\n" + SERVANT, tmp_path_factory.mktemp("servant"), "servant")


@pytest.fixture
def c(servant_program: str) -> Iterator[Servant]:
    """A C program, on the other side of an object or a semaphore."""
    with Servant(servant_program) as servant:
        yield servant
