"""shmctl batch: lines from files, pipes, coprocesses and a terminal."""

import os
import re
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal
from tests.support import Result, done, environment, path_of, run, run_command, shmctl_argv


def batch(*lines: str, options: tuple[str, ...] = ()) -> Result:
    return run("batch", *options, stdin="".join(f"{line}\n" for line in lines).encode())


# Lines do what commands do


def test_same_output_in_the_same_order(names: list[str]) -> None:
    """Each line's output and errors, joined, are those of the same commands run one by one."""
    a, b, c = names
    lines = [
        ["create", a, b, "-s", "16"],
        ["create", a],
        ["write", a, "-o", "4", "a#b 'c'"],
        ["write", b, "--type", "int32", "-5", "7"],
        ["read", a],
        ["read", a, "--hex"],
        ["read", b, "--text"],
        ["read", b, "--type", "int32", "-c", "2"],
        ["read", b, "--json"],
        ["stat", "-f", "%n %s", a, c],
        ["ls", "-o", "name,size", a, b],
        ["wait", c, "--timeout", "0.01"],
        ["lock", a, "--", "printf", "hello"],
        ["lock", a, "--", "sh", "-c", "exit 3"],
        ["chmod", "644", a],
        ["frobnicate"],
        ["create", a, "--no-such"],
        ["--trace", "unlink", c],
        ["rm", "-v", a, b],
        ["--version"],
    ]
    script = "".join(" ".join(quoted(word) for word in line) + "\n" for line in lines)
    together = subprocess.run(
        shmctl_argv("batch", "-k"),
        input=script.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        timeout=60,
        check=False,
    )
    expected, statuses = b"", []
    for number, line in enumerate(lines, 1):
        each = subprocess.run(
            shmctl_argv(*line),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            check=False,
        )
        statuses.append(each.returncode)
        expected += each.stdout.replace(b"shmctl: ", b"shmctl: line %d: " % number)
    assert together.stdout == expected
    assert {0, 1, 2, 3, 124} == set(statuses)
    assert together.returncode == next(filter(None, statuses))


def quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_file(name: str, tmp_path: Path) -> None:
    """Then standard input is the commands' own."""
    script = tmp_path / "script"
    script.write_text(
        f"# makes it\n\ncreate {name} -s 5\nwrite {name}\n  read {name}  # and no newline at the end"
    )
    result = run("batch", str(script), stdin=b"input")
    assert result == Result(0, b"input", b"")


def test_names_of_any_bytes(name: str) -> None:
    odd = name.encode() + b" \xff'\x01"
    script = b"create '" + odd.replace(b"'", b"'\\''") + b"' -s 3\n"
    assert run("batch", stdin=script) == Result(0, b"", b"")
    assert os.stat(b"/dev/shm" + odd).st_size == 3


def test_global_options_hold_for_all_lines_or_for_one(name: str) -> None:
    own = batch(f"--trace create {name}", f"unlink {name}").errors
    assert "shm_open" in own
    assert "shm_unlink" not in own
    of_batch = run(
        "--trace", "--color", "always", "batch", stdin=f"--color never create {name}\nls\n".encode()
    )
    assert "shm_open" in of_batch.errors
    assert "\x1b[" in of_batch.text


def test_target_holds_for_all_lines(name: str) -> None:
    script = f"create {name}\nstat {name} -f %n\n--color never rm {name}\n".encode()
    assert run("--target", str(os.getpid()), "batch", stdin=script) == Result(0, f"{name}\n".encode(), b"")


# Failures


def test_first_failure_ends_it(name: str) -> None:
    result = batch("# comment", f"unlink {name}", f"create {name}")
    expected = f"shmctl: line 2: unlink: {name}: No such file or directory (ENOENT)\n"
    assert result == Result(1, b"", expected.encode())
    assert not path_of(name).exists()


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("create", 2, "create: missing argument "),
        ("read /x 'open", 2, "no closing quotation"),
        ("read /x \\", 2, "no escaped character"),
        ("read a\0b", 2, "a line must not hold a NUL byte"),
        ("lock NAME -- false", 1, ""),
        ("lock NAME -- /nowhere/cmd", 127, "lock: /nowhere/cmd: No such file or directory (ENOENT)"),
        ("wait NAME --gone --timeout 0.01", 124, "wait: NAME: "),
        ("write NAME", 2, "write: standard input holds the commands, not data"),
        ("write NAME -i -", 2, "write: standard input holds the commands, not data"),
        ("batch", 2, "batch: standard input holds the commands, not data"),
    ],
)
def test_status_and_message(name: str, line: str, status: int, message: str) -> None:
    done("create", name, "-s", "8")
    result = batch(line.replace("NAME", name), f"unlink {name}")
    assert result.status == status
    expected = f"shmctl: line 1: {message.replace('NAME', name)}" if message else ""
    assert result.errors.startswith(expected)
    assert bool(result.errors) == bool(message)
    assert path_of(name).exists()


def test_keep_going_ends_with_the_first_failure(name: str) -> None:
    result = batch(
        "read", f"create {name}", "unlink /no/such", f"unlink {name}", f"unlink {name}", options=("-k",)
    )
    assert result.status == 2
    assert [line[:15] for line in result.errors.splitlines() if line[:4] != "hint"] == [
        f"shmctl: line {number}:" for number in (1, 3, 5)
    ]
    assert not path_of(name).exists()


def test_no_file() -> None:
    result = run("batch", "/nowhere/script")
    assert result == Result(1, b"", b"shmctl: batch: /nowhere/script: No such file or directory (ENOENT)\n")


def test_directory() -> None:
    assert run("batch", "/").errors == "shmctl: batch: /: read: Is a directory (EISDIR)\n"


def test_script_that_runs_another(name: str, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.write_text(f"create {name}\nfrobnicate\n")
    result = batch(f"batch {inner}")
    assert result.status == 2
    assert result.errors.startswith("shmctl: line 1: line 2: no such command 'frobnicate'")
    assert path_of(name).exists()


def test_script_that_runs_itself(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"batch {script}\n")
    result = run("batch", str(script))
    assert result.status == 2
    assert result.errors.endswith("batch: 20 batches run each other already\n")


def test_full_output(name: str) -> None:
    """Nothing goes on whose output nobody gets."""
    script = f"create {name}\nls {name}\nunlink {name}\n".encode()
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            shmctl_argv("batch", "-k"),
            input=script,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 1
    assert b"line 2: ls: standard output: No space left on device (ENOSPC)" in ended.stderr
    assert path_of(name).exists()


def test_closed_output() -> None:
    ended = run_command(
        [
            "bash",
            "-c",
            'yes -- --version | "$@" | head -n 1; echo "${PIPESTATUS[@]}"',
            "-",
            *shmctl_argv("batch"),
        ]
    )
    assert ended.text.endswith(f"\n{128 + signal.SIGPIPE} {128 + signal.SIGPIPE} 0\n")
    assert ended.err == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_it(name: str, number: signal.Signals) -> None:
    script = f"create {name}\nstat {name} -f %n\nwait {name} --gone\nunlink {name}\n"
    process = subprocess.Popen(
        shmctl_argv("batch", "-k"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(script.encode())
        process.stdin.flush()
        assert process.stdout.readline() == f"{name}\n".encode()
        time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        assert process.stderr.read() == b""
    assert path_of(name).exists()


# Driven from outside


def test_each_answer_comes_before_the_next_question(name: str) -> None:
    process = subprocess.Popen(shmctl_argv("batch"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin and process.stdout
        process.stdin.write(f"create {name} -s 8\n".encode())
        for number in range(20):
            process.stdin.write(f"write {name} --type int64 {number}\nread {name} --type int64\n".encode())
            process.stdin.flush()
            assert process.stdout.readline() == f"{number}\n".encode()
        process.stdin.close()
        assert process.wait(60) == 0


def test_programs_do_not_eat_the_script(name: str) -> None:
    result = batch(f"create {name}", f"lock {name} -- cat", f"rm -i {name}", f"stat {name} -f %n")
    assert result.status == 0
    assert result.text == f"{name}\n"


@pytest.mark.long
def test_100_000_lines_in_constant_memory(name: str) -> None:
    """Peak memory, in KiB, does not grow from 20,000 lines to 100,000.

    The heap grows by some 300 KiB after that; ten bytes kept of each line would show.
    """
    process = subprocess.Popen(shmctl_argv("batch"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin and process.stdout
        process.stdin.write(f"create {name} -s 8\n".encode())
        peaks = []
        for count in (20_000, 80_000):
            process.stdin.writelines(b"write %s --type int64 %d\n" % (name.encode(), n) for n in range(count))
            process.stdin.write(f"read {name} --type int64\n".encode())
            process.stdin.flush()
            assert process.stdout.readline() == f"{count - 1}\n".encode()
            status = Path(f"/proc/{process.pid}/status").read_text()
            (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
            peaks.append(int(peak))
        process.stdin.close()
        assert process.wait(60) == 0
    assert peaks[1] - peaks[0] < 512


def test_no_descriptors_are_left(name: str) -> None:
    """With a limit of 20 descriptors, 200 lines of each kind."""
    kinds = ["create NAME -s 8", "write NAME x", "read NAME -n 1", "stat NAME -f ''", "truncate NAME -s 9"]
    kinds += ["--target PID stat NAME -f ''", "lock NAME -- true", "unlink NAME"]
    script = "\n".join(kinds * 25).replace("NAME", name).replace("PID", str(os.getpid()))
    process = subprocess.run(
        shmctl_argv("batch"),
        input=script.encode(),
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)),
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, b"")


# At a terminal


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "INPUTRC": "/dev/null"}


def test_prompt(name: str, home: dict[str, str]) -> None:
    with Terminal(shmctl_argv("batch"), env=home) as terminal:
        terminal.until(rb"shmctl> $")
        terminal.type(f"create {name} -s 100\nread {name} --typo\nstat {name} -f %s\nexit\n".encode())
        result = terminal.end()
    assert result.status == 0
    shown = result.out.replace(b"\r\n", b"\n")
    assert b"shmctl: read: no such option" in shown
    assert b"line 2" not in shown
    assert b"\n100\n" in shown
    history = Path(home["XDG_STATE_HOME"], "shmctl", "history")
    assert history.read_text().splitlines()[:2] == [f"create {name} -s 100", f"read {name} --typo"]


def test_prompt_ends_with_the_last_status(home: dict[str, str]) -> None:
    with Terminal(shmctl_argv("batch"), env=home) as terminal:
        terminal.until(rb"shmctl> $")
        terminal.type(b"create\n")
        terminal.until(rb"hint:.*\r\n.*shmctl> $")
        terminal.type(b"\x04")
        assert terminal.end().status == 2


def test_prompt_completes(name: str, home: dict[str, str]) -> None:
    with Terminal(shmctl_argv("batch"), columns=200, env=home) as terminal:
        terminal.until(rb"shmctl> $")
        terminal.type(f"cre\t{name} --siz\t100\n".encode())
        terminal.until(rb"100\r\n.*shmctl> $")
        terminal.type(f"sta\t{name[:-1]}\t-f %s\n".encode())
        shown = terminal.until(rb"\n100\r\n.*shmctl> $")
        assert f"create {name} --size 100".encode() in shown
        assert f"stat {name} -f %s".encode() in shown
        Path(home["HOME"], "data file").write_text("from a file")
        terminal.type(f"write {name} -i {home['HOME']}/dat\t\nexit\n".encode())
        assert terminal.end().status == 0
    assert path_of(name).read_bytes().startswith(b"from a file\0")


def test_interrupt_ends_the_line_and_not_the_prompt(name: str, home: dict[str, str]) -> None:
    with Terminal(shmctl_argv("batch"), env=home) as terminal:
        terminal.until(rb"shmctl> $")
        for _ in range(2):
            terminal.type(f"wait {name}\n".encode())
            terminal.until(rf"wait {name}\r\n".encode())
            terminal.shown = b""
            time.sleep(0.3)
            terminal.type(b"\x03")
            terminal.until(rb"shmctl> $")
        terminal.type(b"half a line")
        terminal.until(rb"half a line$")
        # Python's readline sees a Ctrl-C only once it waits again, a moment after it has shown the last key.
        time.sleep(0.3)
        terminal.type(b"\x03")
        terminal.until(rb"half a line.*\n.*shmctl> $")
        terminal.type(b"wait /x --timeout 0\nexit\n")
        result = terminal.end()
    assert result.status == 124
    assert b"'half'" not in result.out


def test_help_at_the_prompt(home: dict[str, str]) -> None:
    with Terminal(shmctl_argv("batch"), env=home) as terminal:
        terminal.until(rb"shmctl> $")
        terminal.type(b"help\n")
        terminal.until(rb"Usage: shmctl \[OPTIONS\]")
        terminal.type(b"help unlink\n")
        terminal.until(rb"Usage: shmctl unlink")
        terminal.type(b"quit\n")
        assert terminal.end().status == 0


def test_prompt_without_a_place_for_history(home: dict[str, str]) -> None:
    with Terminal(shmctl_argv("batch"), env={**home, "XDG_STATE_HOME": "/proc/nowhere"}) as terminal:
        terminal.until(rb"shmctl> $")
        terminal.type(b"exit\n")
        assert terminal.end() == Result(0, terminal.shown, b"")
    assert b"Error" not in terminal.shown
