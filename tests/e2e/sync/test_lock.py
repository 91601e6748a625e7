"""shmctl lock, read --lock and write --lock: one lock, which is flock(1)'s."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.sync.processes import Background, ignoring, open_descriptors, started, until
from tests.support import TIMEOUT, Result, done, path_of, race_rounds, run, run_command, shmctl_argv

SIZE = 1 << 20


@pytest.fixture
def target(name: str) -> str:
    """An object to lock."""
    path_of(name).write_bytes(b"x" * 64)
    return name


def holding(name: str) -> Background:
    """A flock(1) that has the lock, until it is killed."""
    script = "echo; exec sleep 60"
    holder = Background(["flock", "--no-fork", str(path_of(name)), "sh", "-c", script])
    assert holder.line() == b"\n"
    return holder


def let_go(holder: Background) -> None:
    holder.signal(signal.SIGKILL)
    holder.end()


# -- who excludes whom


@pytest.mark.parametrize("command", ["lock", "read", "write"])
def test_flock_excludes(target: str, command: str) -> None:
    arguments = {
        "lock": ["lock", target, "--", "echo", "in"],
        "read": ["read", "--lock", target, "-n", "2"],
        "write": ["write", "--lock", target, "in"],
    }[command]
    with holding(target) as holder, started(*arguments) as ours:
        ours.until_in("flock")
        time.sleep(0.05)
        assert ours.running
        assert path_of(target).read_bytes() == b"x" * 64
        let_go(holder)
        result = ours.end()
        assert (result.status, result.errors) == (0, ""), result
        assert result.text == {"lock": "in\n", "read": "xx", "write": ""}[command]


def test_flock_is_excluded(target: str) -> None:
    flock = ["flock", "--nonblock", str(path_of(target)), "true"]
    with started("lock", target, "--", "sh", "-c", "echo; exec sleep 60") as ours:
        assert ours.line() == b"\n"
        assert run_command(flock).status == 1
        assert run_command(["flock", "--shared", *flock[1:]]).status == 1
        ours.signal(signal.SIGTERM)
        assert ours.end().status == 143
    assert run_command(flock).status == 0


def test_shared(target: str) -> None:
    with started("lock", target, "--shared", "--", "sh", "-c", "echo; exec sleep 60") as ours:
        assert ours.line() == b"\n"
        assert done("lock", target, "--shared", "--nonblock", "--", "echo", "in") == "in\n"
        assert done("read", target, "--lock", "-n", "1") == "x"
        assert run_command(["flock", "-s", "-n", str(path_of(target)), "true"]).status == 0
        assert run_command(["flock", "-n", str(path_of(target)), "true"]).status == 1
        assert run("lock", target, "--nonblock", "--", "true").status == 1
        with started("write", target, "--lock", "y") as writer:
            writer.until_in("flock")
            ours.signal(signal.SIGTERM)
            assert ours.end().status == 143
            assert writer.end().status == 0


def test_locks_of_different_objects_are_different(names: list[str]) -> None:
    for each in names:
        path_of(each).touch()
    with holding(names[0]):
        assert done("lock", names[1], "--nonblock", "--", "echo", "in") == "in\n"


# -- when it is not to be had


def test_nonblock(target: str) -> None:
    with holding(target):
        result = run("lock", target, "--nonblock", "--", "echo", "in")
        assert (result.status, result.text) == (1, "")
        assert result.errors.startswith(f"shmctl: lock: {target}: ")
        assert "lock" in result.errors.removeprefix("shmctl: lock: ")
    assert done("lock", target, "--nonblock", "--", "echo", "in") == "in\n"


@pytest.mark.parametrize("seconds", ["0", "0.3"])
def test_timeout(target: str, seconds: str) -> None:
    with holding(target):
        begun = time.monotonic()
        result = run("lock", target, "--timeout", seconds, "--", "echo", "in")
        assert float(seconds) <= time.monotonic() - begun < 20
    assert (result.status, result.text) == (124, "")
    assert result.errors.startswith(f"shmctl: lock: {target}: timed out after {seconds} s"), result
    assert done("lock", target, "--timeout", seconds, "--", "echo", "in") == "in\n"


def test_free_before_the_timeout(target: str) -> None:
    with holding(target) as holder, started("lock", target, "--timeout", "50", "--", "echo", "in") as ours:
        ours.until_in("nanosleep")
        let_go(holder)
        assert ours.end(20) == Result(0, b"in\n", b"")


def test_timeout_is_not_for_the_command(target: str) -> None:
    assert done("lock", target, "--timeout", "0.05", "--", "sh", "-c", "sleep 0.3; echo late") == "late\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("options", [[], ["--timeout", "60"]], ids=["for ever", "timeout"])
def test_a_signal_while_it_waits(target: str, number: int, status: int, options: list[str]) -> None:
    with holding(target), started("lock", target, *options, "--", "echo", "in") as ours:
        ours.until_in("nanosleep" if options else "flock")
        ours.signal(number)
        assert ours.end(20) == Result(status, b"", b"")


def test_a_missing_object(name: str) -> None:
    result = run("lock", name, "--", "echo", "in")
    assert result == Result(1, b"", f"shmctl: lock: {name}: No such file or directory (ENOENT)\n".encode())
    assert not path_of(name).exists(), "flock(1) would make it; an object is made by create"


def test_an_object_of_no_size_and_mode(name: str) -> None:
    path_of(name).touch()
    path_of(name).chmod(0o400)
    assert done("lock", name, "--", "echo", "in") == "in\n"


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link"])
def test_what_is_planted(name: str, kind: str, tmp_path: Path) -> None:
    if kind == "FIFO":
        os.mkfifo(path_of(name))
    else:
        path_of(name).symlink_to(tmp_path)
    result = run("lock", name, "--", "echo", "in")
    assert (result.status, result.text) == (1, "")
    assert f"{name}: it is a {kind}" in result.errors


@pytest.mark.parametrize(
    "arguments",
    [[], ["--"], ["--nonblock", "--timeout", "1", "--", "true"], ["--timeout", "x", "--", "true"]],
)
def test_usage_errors(target: str, arguments: list[str]) -> None:
    result = run("lock", target, *arguments)
    assert (result.status, result.text) == (2, ""), result


# -- CMD


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -9 $$", 137)],
)
def test_the_status_of_the_command(target: str, script: str, status: int) -> None:
    assert run("lock", target, "--", "sh", "-c", script) == Result(status, b"", b"")


def test_a_command_that_cannot_be_run(target: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("not a program\n")
    for program, status, symbol in (
        ("no-such-command-anywhere", 127, "ENOENT"),
        (str(tmp_path / "none"), 127, "ENOENT"),
        (str(plain), 126, "EACCES"),
        (str(tmp_path), 126, "EACCES"),
    ):
        result = run("lock", target, "--", program)
        assert (result.status, result.text) == (status, ""), result
        assert result.errors.startswith(f"shmctl: lock: {program}: "), result
        assert f"({symbol})" in result.errors
    assert done("lock", target, "--nonblock", "--", "echo", "in") == "in\n"


def test_the_command_gets_its_words_as_they_are(target: str) -> None:
    assert done("lock", target, "--", "printf", "%s|", "-n", "--shared", "a b", "{}", "$x", "") == (
        "-n|--shared|a b|{}|$x||"
    )


def test_the_command_has_its_standard_streams(target: str) -> None:
    result = run("lock", target, "--", "sh", "-c", "cat; echo err >&2", stdin=b"through")
    assert result == Result(0, b"through", b"err\n")


@pytest.mark.parametrize("wait", [["--nonblock"], ["-n"], ["--timeout", "0.05"], ["-w", "0"]], ids=" ".join)
def test_the_status_of_a_lock_that_is_not_had_can_be_chosen(target: str, wait: list[str]) -> None:
    with path_of(target).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = run("lock", target, *wait, "-E", "77", "echo", "in")
        assert (result.status, result.text) == (77, "")
        assert "somebody else has the lock" in result.errors
    assert run("lock", target, *wait, "-E", "77", "sh", "-c", "exit 5").status == 5
    assert run("lock", f"{target}-not-there", "-E", "77", "true").status == 1


def test_what_cmd_leaves_running_has_no_lock_with_close(target: str) -> None:
    leave = "sleep 30 >/dev/null 2>&1 & echo $!"
    for option, status in (([], 1), (["--close"], 0)):
        left = int(done("lock", target, *option, "--", "sh", "-c", leave))
        try:
            assert run("lock", target, "--nonblock", "true").status == status
        finally:
            os.kill(left, signal.SIGKILL)


SAY = 'for s in INT TERM HUP USR1; do trap "echo $s" $s; done; echo ready; while :; do sleep 0.01; done'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(target: str, number: signal.Signals) -> None:
    """The command decides what they mean; shmctl stays until it ends, and the lock with it."""
    with started("lock", target, "--", "bash", "-c", SAY) as ours:
        assert ours.line() == b"ready\n"
        ours.signal(number)
        assert ours.line() == number.name.removeprefix("SIG").encode() + b"\n"
        assert ours.running
        assert run("lock", target, "--nonblock", "--", "true").status == 1
        pid = int(Path(f"/proc/{ours.pid}/task/{ours.pid}/children").read_text())
        os.kill(pid, signal.SIGKILL)
        assert ours.end().status == 137


def test_the_command_begins_with_the_signals_as_shmctl_got_them(target: str) -> None:
    """None blocked, and what was ignored still is: nohup(1) works."""
    show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]
    with Background(ignoring(signal.SIGHUP, shmctl_argv("lock", target, "--", *show))) as ours:
        blocked, ignored = ours.end().text.splitlines()
    assert int(blocked.split()[1], 16) == 0
    # The C library keeps two signals above these to itself.
    assert int(ignored.split()[1], 16) % (1 << 31) == 1 << signal.SIGHUP - 1


def test_a_parent_that_ignores_sigchld(target: str) -> None:
    """It is inherited, and would let the kernel take CMD's status away."""
    argv = shmctl_argv("lock", target, "--", "sh", "-c", "exit 3")
    with Background(ignoring(signal.SIGCHLD, argv)) as ours:
        assert ours.end(15).status == 3


def test_what_the_command_leaves_running_keeps_the_lock(target: str) -> None:
    """As with flock(1): the lock goes with the last who inherited it."""
    script = "sleep 60 >/dev/null 2>&1 & echo $!"
    pid = int(done("lock", target, "--", "sh", "-c", script))
    try:
        assert str(path_of(target)) in open_descriptors(pid)
        assert run("lock", target, "--nonblock", "--", "true").status == 1
        assert run_command(["flock", "-n", str(path_of(target)), "true"]).status == 1
    finally:
        os.kill(pid, signal.SIGKILL)
    until(lambda: run("lock", target, "--nonblock", "--", "true").status == 0, "the lock is free")


def test_sigkill_of_shmctl_leaves_the_lock_with_the_command(target: str) -> None:
    with started("lock", target, "--", "sh", "-c", "echo $$; exec sleep 60") as ours:
        pid = int(ours.line())
        try:
            ours.signal(signal.SIGKILL)
            until(lambda: not ours.running, "killed")
            assert run("lock", target, "--nonblock", "--", "true").status == 1
        finally:
            os.kill(pid, signal.SIGKILL)
    until(lambda: run("lock", target, "--nonblock", "--", "true").status == 0, "the lock is free")


def test_a_lock_in_a_lock_of_another_object(names: list[str]) -> None:
    for each in names:
        path_of(each).touch()
    inner = [str(word) for word in shmctl_argv("lock", names[1], "--nonblock", "--", "echo", "both")]
    assert done("lock", names[0], "--", *inner) == "both\n"
    inner[inner.index(names[1])] = names[0]
    assert run("lock", names[0], "--", *inner).status == 1


# -- torn reads

LOOP = """
import os, sys
from shmctl.cli.main import run

role, name, size, rounds, own = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
lock = sys.argv[6:]
result = os.dup(1)
out = os.memfd_create("out")
os.dup2(out, 1)
os.write(result, b"ready\\n")

def write(number):
    byte = 1 + (own * 50 + number % 50) % 255
    if own % 2:
        return run(["write", name, "--fill", str(byte), "-n", str(size), *lock])
    data = os.memfd_create("data")
    os.write(data, bytes([byte]) * size)
    status = run(["write", name, "-i", f"/proc/self/fd/{data}", *lock])
    os.close(data)
    return status

torn = 0
if role == "write":
    number = 0
    while True:
        assert write(number) == 0
        number += 1
for number in range(rounds):
    os.ftruncate(out, 0)
    os.lseek(out, 0, os.SEEK_SET)
    assert run(["read", name, *lock]) == 0
    data = os.pread(out, size + 1, 0)
    assert len(data) == size
    torn += data.count(data[0]) != size
os.write(result, b"%d torn\\n" % torn)
"""
"""Runs commands one after another in one process: starting one for each leaves little time for the race."""


def torn_reads(name: str, rounds: int, *lock: str) -> int:
    """How many of ``rounds`` reads are torn when four loops read and four write."""
    path_of(name).write_bytes(b"\1" * SIZE)

    def loop(role: str, number: int) -> Background:
        argv = [sys.executable, "-c", LOOP, role, name, str(SIZE), str(rounds // 4), str(number), *lock]
        return Background(argv)

    with ExitStack() as stack:
        writers = [stack.enter_context(loop("write", number)) for number in range(4)]
        for writer in writers:
            assert writer.line() == b"ready\n"
        readers = [stack.enter_context(loop("read", number)) for number in range(4)]
        results = [reader.end() for reader in readers]
        assert all(writer.running for writer in writers)
    for result in results:
        assert (result.status, result.errors) == (0, ""), result
    return sum(int(result.text.split()[1]) for result in results)


def test_nothing_is_torn_under_the_lock(name: str) -> None:
    assert torn_reads(name, race_rounds(1000), "--lock") == 0


def test_without_the_lock_reads_are_torn(name: str) -> None:
    """So the test above can fail."""
    assert torn_reads(name, 200) > 0


def test_a_locked_read_into_a_pipe_is_whole(name: str) -> None:
    """What is still in the pipe when the lock is given back must not be the object's own pages."""
    path_of(name).write_bytes(b"A" * SIZE)
    argv = shmctl_argv("read", "--lock", name)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, bufsize=0) as reader:
        assert reader.stdout
        left = SIZE - 65536
        while left:
            left -= len(os.read(reader.stdout.fileno(), left))
        assert reader.wait(TIMEOUT) == 0
        done("write", name, "--lock", "--fill", "B")
        rest = b""
        while data := os.read(reader.stdout.fileno(), 65536):
            rest += data
    assert (len(rest), rest.count(b"A")) == (65536, 65536)
