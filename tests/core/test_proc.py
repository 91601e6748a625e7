"""Reads of /proc: which processes count as not inspected, and what is said of them."""

import errno
import os
import subprocess
import sys

import pytest

from shmctl.core import proc
from shmctl.core.proc import Uninspected, survey, uninspected_text
from tests.support import run_command

DENIED, BROKEN = "Permission denied (EACCES)", "Input/output error (EIO)"


def refusing(number: int, *pids: int) -> tuple[list[int], list[Uninspected]]:
    """A survey of ``pids`` that all refuse with one error."""

    def refuse(pid: int) -> list[int]:
        raise OSError(number, os.strerror(number))

    return survey(pids, refuse)


def test_a_survey() -> None:
    own = os.getpid()
    assert survey([own, own], lambda pid: [pid, -pid]) == ([own, -own] * 2, [])
    assert refusing(errno.EACCES, own) == ([], [Uninspected(own, errno.EACCES)])
    assert refusing(errno.EMFILE, own) == ([], [Uninspected(own, errno.EMFILE)])


@pytest.mark.parametrize("gone", [errno.ENOENT, errno.ESRCH])
def test_a_process_that_has_ended_is_left_out(gone: int) -> None:
    assert refusing(gone, os.getpid()) == ([], [])
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert refusing(errno.EACCES, process.pid) == ([], [])


def test_a_zombie_hides_nothing() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert refusing(errno.EACCES, process.pid) == ([], [])


def test_other_processes() -> None:
    assert os.getpid() in proc.pids()
    assert os.getppid() in proc.other_pids()
    assert os.getpid() not in proc.other_pids()


@pytest.mark.needs_root
def test_this_process_as_proc_numbers_it() -> None:
    """In a PID namespace of its own, where /proc is still the one outside, its number is another's."""
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
from shmctl.core import proc
print(1 in proc.other_pids())
"""
    result = run_command(["unshare", "-p", "-f", sys.executable, "-c", script])
    assert result.text == "True\n", result


TEXTS = {
    ((1, errno.EACCES),): (f"1 process could not be inspected: {DENIED}", f"PID 1: {DENIED}"),
    ((1, errno.EACCES), (7, errno.EACCES)): (
        f"2 processes could not be inspected: {DENIED}",
        f"PID 1, 7: {DENIED}",
    ),
    ((1, errno.EIO), (2, errno.EACCES), (7, errno.EACCES)): (
        f"3 processes could not be inspected, 2 of them: {DENIED}",
        f"PID 2, 7: {DENIED}; PID 1: {BROKEN}",
    ),
}


@pytest.mark.parametrize("pairs", TEXTS)
def test_what_is_said(pairs: tuple[tuple[int, int], ...]) -> None:
    """The most frequent reason, or each process with its own."""
    short, by_pid = TEXTS[pairs]
    uninspected = [Uninspected(*pair) for pair in pairs]
    assert uninspected_text(uninspected) == short
    count = short.partition(" could")[0]
    assert uninspected_text(uninspected, by_pid=True) == f"{count} could not be inspected: {by_pid}"
