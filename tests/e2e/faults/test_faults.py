"""A fault at every call: SIGKILL, and one error of the kernel's after another, by strace's injection.

Each command line is recorded once. Then it is run again for each of its calls, from the first on /dev/shm
to the last, to be killed there, and to be told ENOSPC, EIO, EINTR, EACCES, EMFILE, ENOMEM there. The
usual run tries all of that where objects are made, stored into and removed, and elsewhere SIGKILL and two
of the errors at each call, in turn; SHMCTL_FAULTS=full tries all of it everywhere, for thrice as long.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.e2e.faults.harness import ERRORS, Answer, Fault, Runner, faults_of, problems
from tests.e2e.faults.scenarios import LOOKING, MUTATING, Scenario

pytestmark = [pytest.mark.needs_root, pytest.mark.long]
FULL = os.environ.get("SHMCTL_FAULTS") == "full"
WORKERS = 2
Tried = list[tuple[Fault, Answer]]


class Runners:
    """Several runners, which share the faults to try."""

    def __init__(self, stack: ExitStack) -> None:
        self._runners = [stack.enter_context(Runner()) for _ in range(WORKERS)]
        self._pool = stack.enter_context(ThreadPoolExecutor(WORKERS))

    def undisturbed(self, scenario: Scenario) -> Answer:
        """The run that the others are measured by."""
        return self._runners[0].ask(scenario)

    def try_all(self, scenario: Scenario, faults: list[Fault]) -> Tried:
        """Each fault, and what came of it."""

        def share(index: int) -> Tried:
            runner = self._runners[index]
            return [
                (fault, runner.ask(scenario, fault.inject, leaks=fault.error is None))
                for fault in faults[index::WORKERS]
            ]

        return [each for some in self._pool.map(share, range(WORKERS)) for each in some]


@pytest.fixture(scope="module")
def runners() -> Iterator[Runners]:
    with ExitStack() as stack:
        yield Runners(stack)


@pytest.mark.parametrize("name", MUTATING)
def test_what_changes_something(runners: Runners, name: str) -> None:
    scenario = MUTATING[name]
    undisturbed = runners.undisturbed(scenario)
    assert undisturbed["status"] == 0, undisturbed
    errors_each = len(ERRORS) if FULL or scenario.every_error else 2
    tried = runners.try_all(scenario, faults_of(undisturbed["calls"], errors_each, killing=True))
    assert complaints(scenario, undisturbed, tried) == []
    assert sum(answer["hit"] for _, answer in tried) > len(tried) * 0.8, "the faults did not happen"
    # It was a trial: some failed, and told why.
    assert {answer["status"] for _, answer in tried} >= {-9, 1}


@pytest.mark.parametrize("name", LOOKING)
def test_what_looks(runners: Runners, name: str) -> None:
    """Nothing changes; what other processes have open is for each run to find."""
    scenario = LOOKING[name]
    undisturbed = runners.undisturbed(scenario)
    assert undisturbed["status"] == 0, undisturbed
    faults = faults_of(
        undisturbed["calls"], len(ERRORS) if FULL else 1, killing=False, most=None if FULL else 20
    )
    tried = runners.try_all(scenario, faults)
    assert complaints(scenario, undisturbed, tried) == []
    for fault, answer in tried:
        if answer["status"] == 0 and not (scenario.cautious or "proc" in fault.line):
            assert answer["out"].count("\n") == undisturbed["out"].count("\n"), (fault, answer)


def complaints(scenario: Scenario, undisturbed: Answer, tried: Tried) -> list[str]:
    return [
        f"{fault.inject} at {fault.line}: {'; '.join(found)}: status {answer['status']}, {answer['err']!r}"
        for fault, answer in tried
        if (found := problems(scenario, undisturbed, fault, answer))
    ]
