"""What is longer than the screen goes through a pager: real less, on a real terminal of 50 lines."""

import os
import re
import signal
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, on_terminal, without_styles
from tests.support import NOBODY, PREFIX, TIMEOUT, done, run, run_command, shmctl_argv

MANY = 60
PATTERN = f"{PREFIX}many-*"
PROMPT = rb"\r\n:\x1b\[K$"


@pytest.fixture
def many() -> Iterator[None]:
    for number in range(MANY):
        Path(f"/dev/shm/{PREFIX}many-{number:02}").write_bytes(b"x")
    yield


def row(number: int) -> bytes:
    return f"/{PREFIX}many-{number:02}".encode()


def paging(*args: str) -> Terminal:
    """shmctl where nothing says which pager, or whether."""
    return Terminal(["env", "-u", "PAGER", "-u", "LESS", *shmctl_argv(*args)], columns=100)


def pid_of_less(parent: int) -> int:
    (child,) = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(child)


@pytest.mark.parametrize(
    ("args", "status"),
    [(["ls"], 0), (["leaks", "--min-age", "0"], 0), (["sem", "ls"], 0)],
    ids=str,
)
def test_a_screen_at_a_time(many: None, args: list[str], status: int) -> None:
    if args[0] == "sem":
        for number in range(MANY):
            done("sem", "create", f"/{PREFIX}many-{number:02}")
    with paging(*args, PATTERN) as terminal:
        terminal.until(PROMPT)
        first = terminal.shown
        assert b"-10" in first
        assert b"-59" not in first
        assert b"\x1b[1m" in first, "colours stay"
        assert max(map(len, without_styles(first).decode().splitlines())) <= 100
        terminal.type(b"G")
        terminal.until(b"-59" if args[0] != "leaks" else b"no process uses")
        terminal.type(b"q")
        result = terminal.end()
    assert result.status == status
    assert b"Traceback" not in result.out


def test_left_early_it_is_no_error(many: None) -> None:
    with paging("ls", PATTERN) as terminal:
        terminal.until(PROMPT)
        terminal.type(b"q")
        result = terminal.end()
    assert result.status == 0
    assert b"shmctl:" not in result.out


def test_the_exit_status_stays(many: None) -> None:
    """An orphan is found, whether or not anybody reads on."""
    with paging("leaks", "--min-age", "0", "--exit-code", PATTERN) as terminal:
        terminal.until(PROMPT)
        terminal.type(b"q")
        assert terminal.end().status == 1
    with paging("ls", PATTERN, "/no-such-object") as terminal:
        terminal.until(PROMPT)
        terminal.type(b"q")
        result = terminal.end()
    assert result.status == 1
    assert b"shmctl: ls: /no-such-object: No such file or directory (ENOENT)\r\n" in result.out


def test_ctrl_c_is_for_the_pager(many: None) -> None:
    with paging("ls", PATTERN) as terminal:
        terminal.until(PROMPT)
        terminal.type(b"\x03")
        deadline = time.monotonic() + TIMEOUT
        while row(59) not in terminal.shown:
            assert time.monotonic() < deadline, terminal.shown
            terminal.type(b"G")  # again: with Ctrl-C goes what was typed just then
            terminal.look(0.5)
        terminal.type(b"q")
        assert terminal.end().status == 0


def test_terminated_it_takes_the_pager_along(many: None) -> None:
    with paging("ls", PATTERN) as terminal:
        before = termios.tcgetattr(terminal.master)
        terminal.until(PROMPT)
        assert termios.tcgetattr(terminal.master) != before, "less takes single keys"
        less = pid_of_less(terminal.pid)
        os.kill(terminal.pid, signal.SIGTERM)
        result = terminal.end()
        assert result.status == 143
        assert termios.tcgetattr(terminal.master) == before
    assert not Path(f"/proc/{less}").exists()


def test_what_fits_is_not_paged(many: None) -> None:
    """47 rows, a heading, a rule: with the prompt of the shell below it, that is a screen."""
    marked = {"PAGER": "sed s/^/paged:/"}
    few = [f"/{PREFIX}many-{number:02}" for number in range(47)]
    assert b"paged:" not in on_terminal("ls", "-o", "name", *few, env=marked).out
    shown = on_terminal("ls", "-o", "name", *few, f"/{PREFIX}many-47", env=marked).out
    assert shown.count(b"paged:") == shown.count(b"\n") == 50


@pytest.mark.parametrize(
    "pager", ["", " ", "cat", "no-such-pager", "no-such-pager -x", "A=1 no-such-pager", "/etc/passwd", "'"]
)
def test_without_a_pager_it_is_all_there(many: None, pager: str) -> None:
    result = on_terminal("ls", "-o", "name", PATTERN, env={"PAGER": pager})
    assert result.status == 0
    assert [row(number) in result.out for number in range(MANY)] == [True] * MANY
    assert b"shmctl:" not in result.out


@pytest.mark.parametrize(("less", "expected"), [(None, "FRX"), ("-S", "-S")])
def test_the_pager_and_its_options_are_the_users(many: None, less: str | None, expected: str) -> None:
    script = 'read line; echo "LESS=$LESS; first=$line"'
    env = {"PAGER": f"sh -c '{script}'"} | ({} if less is None else {"LESS": less})
    shown = without_styles(on_terminal("ls", "-o", "name", PATTERN, env=env).out).decode()
    assert re.search(rf"LESS={expected}; first=NAME", shown), shown


def test_a_pager_that_ends_early(many: None) -> None:
    result = on_terminal("ls", "-o", "name", PATTERN, env={"PAGER": "head -n 4"})
    assert (result.status, result.out.count(b"\n")) == (0, 4)


@pytest.mark.parametrize(
    ("args", "env"),
    [
        (["ls", "--json"], {}),
        (["ls", "-0"], {}),
        (["leaks", "--json"], {}),
        (["--color", "always", "ls"], {"TERM": "dumb"}),
        (["ls"], {"TERM": "dumb"}),
    ],
)
def test_not_paged(many: None, args: list[str], env: dict[str, str]) -> None:
    result = on_terminal(*args, PATTERN, env={"PAGER": "sed s/^/paged:/", **env})
    assert result.status == 0
    assert b"paged:" not in result.out


def test_not_paged_in_a_pipe(many: None) -> None:
    result = run("ls", PATTERN, env={"PAGER": "sed s/^/paged:/"})
    assert result.out.count(b"\n") == MANY + 1
    assert b"paged:" not in result.out


def test_a_dumb_terminal_gets_plain_columns(name: str) -> None:
    """For screen readers and the shells of editors: as in a pipe, but with sizes for people."""
    Path(f"/dev/shm{name}").write_bytes(b"x" * 2048)
    shown = on_terminal("ls", "-o", "name,size", name, env={"TERM": "dumb"}).out
    assert shown.decode().split() == ["NAME", "SIZE", name, "2.0K"]
    assert on_terminal("stat", name, env={"TERM": "dumb"}).out.startswith(b"st_dev ")
    assert not set(on_terminal("df", env={"TERM": "dumb"}).out) - {*range(32, 127), *b"\r\n"}


def test_a_script_may_run_what_pages(many: None, tmp_path: Path) -> None:
    """Nothing that is no terminal ever waits for a key."""
    result = run_command(["sh", "-c", 'exec "$@" < /dev/null | tail -n 1', "sh", *shmctl_argv("ls", PATTERN)])
    assert result.out.startswith(row(59))


# -- with the rights of another user

STARTERS = ["SUDO_UID", "SUDO_USER", "PKEXEC_UID", "DOAS_USER"]
TRAPS = {"LESSOPEN": "|touch {}", "LESSCLOSE": "touch {}", "LESSKEY": "{}", "LESSSECURE_ALLOW": "shell"}


def environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(entry.split("=", 1) for entry in entries if entry)


@pytest.mark.parametrize("starter", [*STARTERS, None])
def test_the_pager_is_no_way_to_a_shell(many: None, tmp_path: Path, starter: str | None) -> None:
    """Nobody gets from it what sudo(8) did not give. Without sudo it is the user's own affair."""
    made = tmp_path / "made"
    env = {} if starter is None else {starter: "1000", **{k: v.format(made) for k, v in TRAPS.items()}}
    argv = ["env", "-u", "PAGER", "-u", "LESS", *(f"{k}={v}" for k, v in env.items())]
    with Terminal([*argv, *shmctl_argv("ls", PATTERN)], columns=100) as terminal:
        terminal.until(PROMPT)
        less = environment_of(pid_of_less(terminal.pid))
        terminal.type(b"!")
        if starter is None:
            terminal.type(f"touch {made}\r".encode())
            terminal.until(b"done")
        else:
            terminal.until(b"not available")
        terminal.type(b"\rq")
        terminal.end()
    assert made.exists() == (starter is None)
    assert (less.get("LESSSECURE") == "1") == (starter is not None)
    assert not TRAPS.keys() & less.keys()


@pytest.mark.parametrize("starter", STARTERS)
def test_no_other_pager_runs_with_the_rights_of_another_user(many: None, starter: str) -> None:
    for pager in ("sed s/^/paged:/", "less -R", "./less"):
        result = on_terminal("ls", "-o", "name", PATTERN, env={"PAGER": pager, starter: "1000"})
        assert (result.status, result.out.count(b"\n")) == (0, MANY + 2), result
        assert b"paged:" not in result.out


@pytest.mark.needs_root
def test_real_and_effective_ids_apart_are_such_rights(many: None) -> None:
    argv = ["env", "-u", "PAGER", "setpriv", f"--ruid={NOBODY}", *shmctl_argv("ls", PATTERN)]
    with Terminal(argv, columns=100) as terminal:
        terminal.until(PROMPT)
        assert environment_of(pid_of_less(terminal.pid))["LESSSECURE"] == "1"
        terminal.type(b"q")
        assert terminal.end().status == 0


def test_less_comes_from_a_fixed_place_there(many: None, tmp_path: Path) -> None:
    for program in ("less", "sh"):
        (tmp_path / program).write_text("#!/bin/bash\necho taken\n")
        (tmp_path / program).chmod(0o755)
    env = [f"PATH={tmp_path}:{os.environ['PATH']}", "SUDO_USER=somebody"]
    with Terminal(["env", "-u", "PAGER", *env, *shmctl_argv("ls", PATTERN)], columns=100) as terminal:
        terminal.until(PROMPT)
        terminal.type(b"q")
        assert b"taken" not in terminal.end().out
