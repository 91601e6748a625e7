"""Which PIDs are alive, here and in other PID namespaces, and since when."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shmctl.core.inspect.pids import PidTable
from tests.support import as_nobody, python_for_all, run_command

HERE = f"""
import sys
sys.path[:0] = {sys.path!r}
from shmctl.core.inspect.pids import PidTable
table = PidTable()
"""


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_who_lives() -> None:
    table = PidTable()
    assert table.started(os.getpid()) is not None
    assert table.started(os.getppid()) is not None
    assert table.started(dead_pid()) is None
    assert table.started(2**22 + 1) is None


def test_a_child_that_is_reaped() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert PidTable().started(child.pid) is not None
        assert child.stdin
        child.stdin.close()
    assert PidTable().started(child.pid) is None


def test_a_zombie_is_dead() -> None:
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert PidTable().started(ended.pid) is None


def test_start_time_is_the_clocks() -> None:
    """Seconds since the epoch, to the tick."""
    before = time.time()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        after = time.time()
        started = PidTable().started(child.pid)
        assert started is not None
        tick = 1 / os.sysconf("SC_CLK_TCK")
        assert before - 2 * tick <= started <= after + 2 * tick
        own = PidTable().started(os.getpid())
        assert own is not None
        assert own < started


@pytest.mark.parametrize("command", [b"a b", b"x) S 1", b") R 2 3 4", b"(((", b"\xff\xfe", b"\n"])
def test_commands_that_look_like_fields(command: bytes) -> None:
    """comm stands in the middle of /proc/PID/stat, and may be anything."""
    code = f"""
import sys
open("/proc/self/comm", "wb").write({command!r})
print(flush=True)
sys.stdin.read()
"""
    before = time.time()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stdout.readline()
        started = PidTable().started(child.pid)
        assert started is not None
        assert abs(started - before) < 60
        assert child.stdin
        child.stdin.close()


def test_one_that_started_after_the_look_is_alive() -> None:
    """A table is one moment; it errs on the side of life."""
    table = PidTable()
    assert table.started(os.getpid())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert table.started(child.pid) is not None
        assert child.stdin
        child.stdin.close()


@pytest.mark.needs_root
def test_inside_a_pid_namespace() -> None:
    """Nobody outside is to be seen, and that is known."""
    script = HERE + f"print(table.started(1) is not None, table.started({os.getpid()}), table.blind_spot)"
    result = run_command(["unshare", "-p", "-f", "--mount-proc", sys.executable, "-c", script])
    assert result.text.startswith("True None it may live in a PID namespace"), result


@pytest.mark.needs_root
def test_each_namespaces_own_number() -> None:
    """A process in a namespace below is known by each of its numbers."""
    with subprocess.Popen(
        ["unshare", "-p", "-f", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            outer = int(file.read())
        table = PidTable()
        assert table.started(outer) is not None
        # Of several processes with the number 1, the first one counts.
        first = table.started(1)
        assert first is not None
        assert first <= (table.started(outer) or 0)
        process.stdin.close()


@pytest.mark.needs_root
def test_a_proc_that_knows_no_namespaces(tmp_path: Path) -> None:
    """As sandboxes make up: the number that /proc shows is all there is to go by."""
    (tmp_path / "status").write_text("Name:\tcat\n")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        script = HERE + f"print(table.started({child.pid}) is not None)"
        mount = f'mount --bind {tmp_path}/status /proc/{child.pid}/status && exec "$@"'
        result = run_command(["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-c", script])
        assert child.stdin
        child.stdin.close()
    assert result.text == "True\n", result


@pytest.mark.needs_root
def test_without_proc() -> None:
    script = HERE + "print(table.started(1) is not None, table.started(2**22 + 1), table.blind_spot)"
    argv = [
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount -t tmpfs tmpfs /proc && exec "$@"',
        "sh",
        sys.executable,
        "-c",
    ]
    result = run_command([*argv, script])
    assert result.text == "True None /proc is not there\n", result


@pytest.mark.needs_root
def test_hidden_processes_are_a_blind_spot() -> None:
    """Where hidepid hides others, that a PID is not listed says nothing."""
    script = HERE + f"print(table.started({os.getpid()}) is not None, table.blind_spot is not None)"
    argv = [
        "unshare", "-m", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh",
        *as_nobody([python_for_all(), "-c"]),
    ]  # fmt: skip
    result = run_command([*argv, script])
    assert result.text == "True True\n", result
