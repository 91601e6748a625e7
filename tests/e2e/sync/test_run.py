"""shmctl run: an object that lives exactly as long as a command."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sync.processes import Background, ignoring, started, until
from tests.e2e.terminal import Terminal
from tests.support import Result, done, path_of, run, run_command, shmctl_argv

WAITS = "echo $$ $SHM_NAME; exec sleep 60"


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Random names bear no test's prefix: whatever is new and bears the name of a run has to go, too."""
    before = runs()
    yield
    left = runs() - before
    for each in left:
        path_of(each).unlink(missing_ok=True)


def runs() -> set[str]:
    """The objects of random names."""
    return {f"/{entry}" for entry in os.listdir("/dev/shm") if entry.startswith("shmctl-run-")}


def begun(process: Background) -> tuple[int, str]:
    """The PID of CMD (WAITS), and the object's name."""
    pid, name = process.line().split()
    assert path_of(name.decode()).exists()
    return int(pid), name.decode()


def ended(pid: int) -> bool:
    """Whether a process is gone, or only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


# -- as long as CMD


def test_the_name_is_in_shm_name_and_braces(name: str) -> None:
    script = 'test -f "/dev/shm$SHM_NAME"; echo "$? $SHM_NAME $1 $2"'
    shown = done("run", "--", "sh", "-c", script, "sh", "{}", "a{}b{}")
    found, random, braces, twice = shown.split()
    assert found == "0"
    assert braces == random
    assert twice == f"a{random}b{random}"
    assert not path_of(random).exists()
    assert done("run", "--name", name, "--", "echo", "{}") == f"{name}\n"


def test_random_names_differ() -> None:
    assert len({done("run", "--", "echo", "{}") for _ in range(3)}) == 3


@pytest.mark.parametrize("status", [0, 3, 255])
def test_gone_after_exit(name: str, status: int) -> None:
    script = f"test -f /dev/shm{name} && exit {status}"
    assert run("run", "--name", name, "--", "sh", "-c", script) == Result(status, b"", b"")
    assert not path_of(name).exists()


SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("to", ["shmctl", "CMD", "both", "group"])
def test_gone_after_a_signal(name: str, number: signal.Signals, to: str) -> None:
    argv = shmctl_argv("run", "--name", name, "--", "sh", "-c", WAITS)
    with Background(argv, own_group=True) as ours:
        pid, _ = begun(ours)
        ours.until_in("sigwait")
        if to == "group":
            os.killpg(ours.pid, number)
        else:
            for target in {"shmctl": [ours.pid], "CMD": [pid], "both": [pid, ours.pid]}[to]:
                os.kill(target, number)
        assert ours.end(20) == Result(128 + number, b"", b"")
    assert not path_of(name).exists()
    assert ended(pid)


def test_gone_after_sigkill_of_the_command(name: str) -> None:
    with started("run", "--name", name, "--", "sh", "-c", WAITS) as ours:
        pid, _ = begun(ours)
        os.kill(pid, signal.SIGKILL)
        assert ours.end(20) == Result(137, b"", b"")
    assert not path_of(name).exists()


def test_a_command_that_will_not_end_yet_keeps_its_object(name: str) -> None:
    script = "trap 'echo again' TERM; echo; while :; do sleep 0.01; done"
    with started("run", "--name", name, "--", "bash", "-c", script) as ours:
        ours.line()
        pid = int(Path(f"/proc/{ours.pid}/task/{ours.pid}/children").read_text())
        for _ in range(2):
            ours.signal(signal.SIGTERM)
            assert ours.line() == b"again\n"
            assert path_of(name).exists()
        os.kill(pid, signal.SIGKILL)
        assert ours.end(20).status == 137
    assert not path_of(name).exists()


def test_a_stopped_command_is_not_an_ended_one(name: str) -> None:
    with started("run", "--name", name, "--", "sh", "-c", WAITS) as ours:
        pid, _ = begun(ours)
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
        ours.until_in("sigwait")
        assert path_of(name).exists()
        os.kill(pid, signal.SIGTERM)
        assert ours.end(20).status == 143


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["run", "lock"])
def test_a_stopped_command_gets_the_signal_that_ends_it(
    name: str, number: signal.Signals, command: str
) -> None:
    path_of(name).touch()
    argv = {"run": ["run", "--name", name + "x"], "lock": ["lock", name]}[command]
    with started(*argv, "--", "sh", "-c", "echo $$; exec sleep 60") as ours:
        pid = int(ours.line())
        os.kill(pid, signal.SIGSTOP)
        until(lambda: " T " in Path(f"/proc/{pid}/stat").read_text(), "it is stopped")
        ours.until_in("sigwait")
        ours.signal(signal.SIGUSR1)
        time.sleep(0.05)
        assert " T " in Path(f"/proc/{pid}/stat").read_text(), "this signal ends nobody"
        ours.signal(number)
        assert ours.end(20).status in (128 + number, 128 + signal.SIGUSR1)
    assert ended(pid)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("when", [1, 2])
def test_a_signal_while_it_makes_or_removes_the_object(name: str, when: int, number: signal.Signals) -> None:
    """Just as the object is there (1), or is about to be removed (2): the object goes all the same."""
    inject = f"inject=openat:signal={number.name}:when={when}"
    strace = ["strace", "-o", "/dev/null", "-P", str(path_of(name)), "-e", "trace=openat", "-e", inject]
    result = run_command([*strace, *shmctl_argv("run", "--name", name, "--", "true")])
    assert result.status in (0, 128 + number), result
    assert not path_of(name).exists()


def test_a_parent_that_ignores_sigchld(name: str) -> None:
    argv = shmctl_argv("run", "--name", name, "--", "sh", "-c", "exit 3")
    with Background(ignoring(signal.SIGCHLD, argv)) as ours:
        assert ours.end(15).status == 3
    assert not path_of(name).exists()


def test_ctrl_c_reaches_the_command_once(name: str) -> None:
    """On a terminal the kernel sends it to both: it must not be passed on, too."""
    script = (
        "count=0; trap 'count=$((count+1))' INT; echo ready; for i in $(seq 100); do sleep 0.01; "
        "test $count -gt 0 && test $i -lt 70 && i=70; done; echo got=$count."
    )
    with Terminal(shmctl_argv("run", "--name", name, "--", "bash", "-c", script)) as terminal:
        terminal.until(b"ready")
        terminal.type(b"\x03")
        result = terminal.end()
    assert b"got=1." in result.out, result
    assert result.status == 0
    assert not path_of(name).exists()


def test_ctrl_c_ends_the_command_and_the_object_goes(name: str) -> None:
    with Terminal(
        shmctl_argv("run", "--name", name, "--", "sh", "-c", "echo ready; exec sleep 60")
    ) as terminal:
        terminal.until(b"ready")
        assert path_of(name).exists()
        terminal.type(b"\x03")
        assert terminal.end().status == 130
    assert not path_of(name).exists()


def test_a_hangup_of_the_terminal(name: str) -> None:
    with Terminal(
        shmctl_argv("run", "--name", name, "--", "sh", "-c", "echo ready; exec sleep 60")
    ) as terminal:
        terminal.until(b"ready")
        os.close(terminal.master)
        terminal.master = os.open(os.devnull, os.O_RDONLY)
        # It gets the SIGHUP alone, for it leads the session: a shell would pass it on.
        until(lambda: not path_of(name).exists(), "the object is gone", 15)
        _, status = os.waitpid(terminal.pid, 0)
        terminal.status = os.waitstatus_to_exitcode(status)
    assert terminal.status == 129


# -- only what it made


def test_a_name_that_is_taken(name: str) -> None:
    path_of(name).write_bytes(b"mine")
    before = path_of(name).stat()
    for options in ([], ["-s", "100"], ["--from", "/etc/passwd"], ["--keep-on-failure"]):
        result = run("run", "--name", name, *options, "--", "echo", "in")
        assert (result.status, result.text) == (1, ""), result
        assert result.errors.startswith(f"shmctl: run: {name}: File exists (EEXIST)\n")
    after = path_of(name).stat()
    assert path_of(name).read_bytes() == b"mine"
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, 4, before.st_mtime_ns)


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link"])
def test_a_planted_name(name: str, kind: str, tmp_path: Path) -> None:
    if kind == "FIFO":
        os.mkfifo(path_of(name))
    else:
        path_of(name).symlink_to(tmp_path / "none")
    assert run("run", "--name", name, "--", "true").status == 1
    assert os.path.lexists(path_of(name))
    assert not (tmp_path / "none").exists()


def test_an_object_that_took_the_name_stays(name: str) -> None:
    script = f"rm /dev/shm{name}; printf other >/dev/shm{name}; exit 4"
    assert run("run", "--name", name, "--", "sh", "-c", script) == Result(4, b"", b"")
    assert path_of(name).read_bytes() == b"other"


def test_an_object_that_was_removed_already(name: str) -> None:
    assert run("run", "--name", name, "--", "rm", f"/dev/shm{name}") == Result(0, b"", b"")


def test_other_objects_stay(names: list[str]) -> None:
    path_of(names[1]).write_bytes(b"y")
    done("run", "--name", names[0], "--", "touch", f"/dev/shm{names[2]}")
    assert [path_of(each).exists() for each in names] == [False, True, True]


# -- what is in it


def test_size_and_mode(name: str) -> None:
    show = ["--name", name, "--", "stat", "-c", "%s %a", f"/dev/shm{name}"]
    assert done("run", "-s", "4K", *show) == "4096 600\n"
    assert done("run", *show) == "0 600\n"


def test_from_a_file(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    data = os.urandom(300_000)
    source.write_bytes(data)
    copy = tmp_path / "copy"
    for options, wanted in (
        (["--from", str(source)], data),
        (["--from", str(source), "-s", "1M"], data + bytes((1 << 20) - len(data))),
        (["--from", str(source), "-s", "300000"], data),
        (["--from", os.devnull], b""),
        (["--from", os.devnull, "-s", "10"], bytes(10)),
    ):
        done("run", "--name", name, *options, "--", "cp", f"/dev/shm{name}", str(copy))
        assert copy.read_bytes() == wanted
        assert not path_of(name).exists()


def test_a_file_that_holds_more(name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(11))
    result = run("run", "--name", name, "--from", str(source), "-s", "10", "--", "echo", "in")
    assert (result.status, result.text) == (1, "")
    assert result.errors.startswith(f"shmctl: run: {name}: "), result
    assert not path_of(name).exists()


def test_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    result = run("run", "--name", name, "--from", str(tmp_path / "none"), "--", "echo", "in")
    assert (result.status, result.text) == (1, "")
    assert "No such file or directory (ENOENT)" in result.errors
    assert not path_of(name).exists()


def test_what_the_command_stores_is_seen_and_gone(name: str) -> None:
    inner = " ".join(map(str, shmctl_argv("write", '"$SHM_NAME"', "hello")))
    outer = " ".join(map(str, shmctl_argv("read", '"$SHM_NAME"')))
    assert done("run", "-s", "5", "--", "sh", "-c", f"{inner} && {outer}") == "hello"


def test_the_descriptor_is_not_the_commands(name: str) -> None:
    """CMD opens the object by its name, or not at all: what it leaves running must not hold it."""
    shown = done("run", "--name", name, "--", "sh", "-c", "ls -l /proc/self/fd")
    assert name[1:] not in shown


# -- when it fails


@pytest.mark.parametrize(
    ("script", "status", "kept"),
    [("exit 0", 0, False), ("exit 3", 3, True), ("kill -TERM $$", 143, True), ("kill -9 $$", 137, True)],
)
def test_keep_on_failure(name: str, script: str, status: int, kept: bool) -> None:
    result = run("run", "--name", name, "-s", "5", "--keep-on-failure", "--", "sh", "-c", script)
    assert result.status == status
    assert path_of(name).exists() == kept
    if kept:
        assert path_of(name).stat().st_size == 5


def test_a_command_that_cannot_be_run(name: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("not a program\n")
    for program, status in (
        ("no-such-command-anywhere", 127),
        (str(plain), 126),
        (str(tmp_path), 126),
        ("", 127),
    ):
        result = run("run", "--name", name, "--", program)
        assert (result.status, result.text) == (status, ""), result
        assert result.errors.startswith(f"shmctl: run: {program}"), result
        assert not path_of(name).exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--"], ["-s", "-1", "--", "true"], ["--name", "a/b", "--", "true"]]
)
def test_usage_errors(arguments: list[str]) -> None:
    before = runs()
    assert run("run", *arguments).status == 2
    assert runs() == before


# -- what SIGKILL leaves


def test_what_sigkill_leaves_is_an_orphan_of_its_maker() -> None:
    with started("run", "-s", "10", "--", "sh", "-c", WAITS) as ours:
        pid, name = begun(ours)
        try:
            ours.signal(signal.SIGKILL)
            until(lambda: not ours.running, "shmctl has ended")
            assert path_of(name).exists()
        finally:
            os.kill(pid, signal.SIGKILL)
        until(lambda: ended(pid), "CMD has ended")
        (record,) = json.loads(done("leaks", "--json", "--min-age", "0", name))
        assert record["verdict"] == "orphan", record
        assert record["creator_pid"] == ours.pid
        assert "shmctl" in record["software"]
        path_of(name).unlink()


def test_while_it_runs_it_is_no_orphan() -> None:
    with started("run", "-s", "10", "--", "sh", "-c", WAITS) as ours:
        pid, name = begun(ours)
        (record,) = json.loads(done("leaks", "--json", "--min-age", "0", name))
        assert record["verdict"] == "held", record
        os.kill(pid, signal.SIGTERM)
        assert ours.end(20).status == 143


# -- names and streams


def test_a_name_that_is_not_utf8(name: str) -> None:
    raw = name.encode() + b"\xff '"
    script = b'printf %s "$SHM_NAME|$1"; test -f "/dev/shm$SHM_NAME"'
    assert run("run", b"--name", raw, b"--", b"sh", b"-c", script, b"sh", b"{}") == Result(
        0, raw + b"|" + raw, b""
    )
    assert not os.path.exists(b"/dev/shm" + raw)


def test_the_command_has_its_standard_streams_and_environment(name: str) -> None:
    argv = ["run", "--name", name, "--", "sh", "-c", 'cat; echo "$MARK" >&2']
    assert run(*argv, stdin=b"through", env={"MARK": "kept"}) == Result(0, b"through", b"kept\n")


def test_a_run_in_a_run(names: list[str]) -> None:
    inner = [str(word) for word in shmctl_argv("run", "--name", names[1], "--", "sh", "-c", "echo $SHM_NAME")]
    assert done("run", "--name", names[0], "--", *inner) == f"{names[1]}\n"
    assert not path_of(names[0]).exists()
    assert not path_of(names[1]).exists()


def test_the_umask_counts(name: str) -> None:
    argv = shmctl_argv("run", "--name", name, "--", "stat", "-c", "%a", f"/dev/shm{name}")
    with Background(["sh", "-c", 'umask 277; exec "$@"', "sh", *argv]) as ours:
        assert ours.end().text == "400\n"


THREADS = """
import os, threading, time
from shmctl.cli import main

def slowly(*args, **kwargs):
    pid = spawn(*args, **kwargs)
    time.sleep(0.3)
    return pid

spawn, os.posix_spawnp = os.posix_spawnp, slowly
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
os._exit(main.run(["run", "--", "sh", "-c", "exit 5"]))
"""


def test_the_end_of_the_program_is_noticed_even_if_another_thread_gets_the_signal() -> None:
    result = run_command([sys.executable, "-c", THREADS])
    assert (result.status, result.errors) == (5, ""), result
