"""Streams: a gibibyte within 40 MiB of memory, every kind of descriptor at both ends, and early ends."""

import fcntl
import hashlib
import io
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, on_terminal, without_styles
from tests.support import Result, compile_c, done, environment, path_of, run, run_command, shmctl_argv

MIB = 1 << 20
RSS_LIMIT_KIB = 40 * 1024

# Runs argv[2] ... and writes its greatest resident set, in KiB, into the file argv[1]. It is a small program,
# because a process's peak begins with that of the one that made it.
MEASURE = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int status;
    struct rusage usage;
    pid_t pid = fork();
    if (pid == 0) { execv(argv[2], argv + 2); _exit(127); }
    if (wait4(pid, &status, 0, &usage) < 0) return 126;
    FILE *file = fopen(argv[1], "w");
    fprintf(file, "%ld", usage.ru_maxrss);
    fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="session")
def measure(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c(MEASURE, tmp_path_factory.mktemp("measure"), "measure")


@pytest.fixture
def start(measure: str, tmp_path: Path) -> Iterator[Start]:
    """Starts shmctl under measurement; when the test is over, the peak has to be below the limit."""
    peak = tmp_path / "peak"

    def begin(*args: str, **streams: object) -> "subprocess.Popen[bytes]":
        argv = [measure, str(peak), *shmctl_argv(*args)]
        return subprocess.Popen(argv, env=environment(), **streams)  # type: ignore[call-overload,no-any-return]

    yield begin
    assert 1000 < int(peak.read_text()) <= RSS_LIMIT_KIB


def blocks(count: int) -> Iterator[bytes]:
    """``count`` MiB, no two of them the same."""
    block = bytearray(os.urandom(MIB))
    for number in range(count):
        block[:8] = number.to_bytes(8, "little")
        yield bytes(block)


def filled(path: Path, count: int) -> str:
    """Make a file of ``count`` MiB; the digest of its content."""
    digest = hashlib.blake2b()
    with path.open("wb") as file:
        for block in blocks(count):
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


@pytest.mark.long
def test_a_gibibyte_in_through_a_pipe(name: str, start: Start) -> None:
    digest = hashlib.blake2b()
    with start("write", name, "--create", stdin=subprocess.PIPE) as process:
        assert process.stdin
        for block in blocks(1024):
            process.stdin.write(block)
            digest.update(block)
        process.stdin.close()
        assert process.wait(120) == 0
    assert path_of(name).stat().st_size == 1024 * MIB
    assert digest_of(path_of(name)) == digest.hexdigest()


@pytest.mark.long
def test_a_gibibyte_out_through_a_pipe(name: str, start: Start) -> None:
    expected = filled(path_of(name), 1024)
    with start("read", name, stdout=subprocess.PIPE) as process:
        assert isinstance(process.stdout, io.BufferedReader)
        digest = hashlib.file_digest(process.stdout, "blake2b")
        assert process.wait(120) == 0
    assert digest.hexdigest() == expected


@pytest.mark.parametrize("redirected", [True, False], ids=["redirected", "-i"])
def test_file_in(name: str, start: Start, tmp_path: Path, redirected: bool) -> None:
    file = tmp_path / "in"
    expected = filled(file, 256)
    with file.open("rb") as stdin:
        if redirected:
            process = start("write", name, "--create", stdin=stdin)
        else:
            process = start("write", name, "--create", "-i", str(file), stdin=subprocess.DEVNULL)
        assert process.wait(120) == 0
    assert digest_of(path_of(name)) == expected
    file.unlink()


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_file_out(name: str, start: Start, tmp_path: Path, mode: str) -> None:
    """Also into a file opened for appending (>>), which sendfile(2) refuses."""
    expected = filled(path_of(name), 256)
    file = tmp_path / "out"
    with file.open(mode) as stdout:
        assert start("read", name, stdout=stdout).wait(120) == 0
    assert digest_of(file) == expected
    file.unlink()


@pytest.mark.parametrize("form", [["--hex"], ["--text"], ["--json"]], ids=" ".join)
@pytest.mark.long
def test_forms_of_a_large_object(name: str, start: Start, form: list[str]) -> None:
    """Forms that go through a mapping do not keep it all resident either."""
    block = os.urandom(MIB).replace(b"\0", b"\1")
    path_of(name).write_bytes(block * 64)
    with start("read", name, *form, stdout=subprocess.DEVNULL) as process:
        assert process.wait(120) == 0


def test_fill_of_a_large_object(name: str, start: Start) -> None:
    with start("write", name, "--create", "--fill", "0x5a", "-n", "256M") as process:
        assert process.wait(120) == 0
    with path_of(name).open("rb") as file:
        assert all(block == b"\x5a" * MIB for block in iter(lambda: file.read(MIB), b""))
    assert path_of(name).stat().st_size == 256 * MIB


def test_a_large_sparse_object_is_read_without_being_allocated(name: str, start: Start) -> None:
    done("create", name, "-s", "256M")
    with start("read", name, "--hex", stdout=subprocess.PIPE) as process:
        assert process.stdout
        shown = process.stdout.read()
        assert process.wait(120) == 0
    assert shown.splitlines() == [
        b"00000000" + b"  00 00 00 00 00 00 00 00" * 2 + b"  |................|",
        b"*",
        b"10000000",
    ]
    assert path_of(name).stat().st_blocks == 0


def test_a_large_hole_is_shown_in_small_pieces(name: str, start: Start) -> None:
    """--json makes a text of each piece, twice as long."""
    done("create", name, "-s", "64M")
    with start("read", name, "--json", stdout=subprocess.DEVNULL) as process:
        assert process.wait(120) == 0


def test_appended_output_keeps_what_was_there(name: str, tmp_path: Path) -> None:
    path_of(name).write_bytes(os.urandom(700_000))
    file = tmp_path / "out"
    file.write_bytes(b"before")
    with file.open("ab") as stdout:
        assert subprocess.run(shmctl_argv("read", name, "-o", "5"), stdout=stdout).returncode == 0
    assert file.read_bytes() == b"before" + path_of(name).read_bytes()[5:]
    with file.open("ab") as stdout:
        traced = subprocess.run(shmctl_argv("--trace", "read", name), stdout=stdout, stderr=subprocess.PIPE)
    assert re.search(rb"sendfile\(1, \d+, \[0\], 700000\) = -1 EINVAL", traced.stderr), traced


def test_a_long_stream_into_less(name: str) -> None:
    """More than what is read before anything is stored: the length is not known, and yet too large."""
    path_of(name).write_bytes(b"content")
    result = run("write", name, stdin=bytes(1_000_000))
    assert result.status == 1
    assert f"{name}: at least 262144 bytes at offset 0 do not fit in its 7 bytes (EFBIG)" in result.errors
    assert path_of(name).read_bytes() == b"content"


def test_a_long_stream_that_ends_the_object(name: str) -> None:
    path_of(name).write_bytes(bytes(3_000_000))
    assert run("write", name, "--exact", "-o", "10", stdin=b"x" * 1_000_000).status == 0
    assert path_of(name).read_bytes() == bytes(10) + b"x" * 1_000_000


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 0), (0, 1), (5, 300_000), (4095, 2), (699_999, 5), (700_000, 1)]
)
def test_ranges(name: str, names: list[str], offset: int, length: int) -> None:
    content = os.urandom(700_000)
    path_of(name).write_bytes(content)
    assert run("read", name, "-o", str(offset), "-n", str(length)).out == content[offset : offset + length]
    other = names[0]
    path_of(other).write_bytes(bytes(700_005))
    result = run("write", other, "-o", str(offset), "-n", str(length), stdin=content)
    assert (result.status, result.err) == (0, b"")
    stored = content[:length]
    expected = bytes(offset) + stored + bytes(700_005 - offset - len(stored))
    assert path_of(other).read_bytes() == expected


def test_the_rest_of_the_input_is_left(name: str) -> None:
    """write -n takes so many bytes, and not one more, of a stream that others go on reading."""
    done("create", name, "-s", "10")
    command = shlex.join(map(str, shmctl_argv("write", name, "-n", "10")))
    result = run_command(["sh", "-c", f"{command}; cat"], stdin=b"0123456789rest")
    assert (result.status, result.out) == (0, b"rest"), result
    assert path_of(name).read_bytes() == b"0123456789"


def test_the_rest_of_a_file_is_left(name: str, tmp_path: Path) -> None:
    """The same where the kernel copies: the file's position is shared with whoever reads on."""
    content = os.urandom(900_000)
    (tmp_path / "in").write_bytes(content)
    command = shlex.join(map(str, shmctl_argv("write", name, "--create", "-n", "700000")))
    with (tmp_path / "in").open("rb") as stdin:
        rest = subprocess.run(["sh", "-c", f"{command}; cat"], stdin=stdin, capture_output=True).stdout
    assert rest == content[700_000:]
    assert path_of(name).read_bytes() == content[:700_000]


@pytest.mark.parametrize("when", ["1+", "2+"])
def test_a_kernel_that_will_not_copy_by_itself(name: str, tmp_path: Path, when: str) -> None:
    """As with some file systems: then the bytes go through a buffer, from wherever the kernel stopped."""
    content = os.urandom(17 * MIB)
    (tmp_path / "in").write_bytes(content)
    for command in (["write", name, "--create", "-i", str(tmp_path / "in")], ["read", name]):
        refuse = ["strace", "-f", "-o", str(tmp_path / "log"), "-e", "trace=sendfile"]
        refuse += ["-e", f"inject=sendfile:error=EINVAL:when={when}"]
        result = run_command([*refuse, *shmctl_argv(*command)])
        assert (result.status, result.err) == (0, b""), result.errors
        assert result.out == (content if command[0] == "read" else b"")
        assert "INJECTED" in (tmp_path / "log").read_text()
        assert path_of(name).read_bytes() == content


def capacity(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def test_a_pipe_is_widened_for_what_does_not_fit_in_it(name: str, names: list[str]) -> None:
    """And for that alone: what all pipes of a user may hold together is limited."""
    for size, widened in ((1000, False), (400_000, True)):
        path_of(name).write_bytes(bytes(size))
        with subprocess.Popen(shmctl_argv("read", name), stdout=subprocess.PIPE) as reading:
            assert reading.stdout
            usual = capacity(reading.stdout.fileno())
            assert len(reading.stdout.read()) == size
            assert capacity(reading.stdout.fileno()) == (MIB if widened else usual)
    with subprocess.Popen(shmctl_argv("write", names[0], "--create"), stdin=subprocess.PIPE) as writing:
        assert writing.stdin
        # More than can be under way before it is widened: a buffer full, and a pipe full.
        writing.stdin.write(bytes(400_000))
        assert capacity(writing.stdin.fileno()) == MIB


def test_too_long_for_the_object(name: str, tmp_path: Path) -> None:
    """Nothing is stored where the length is known first: a file, or a pipe that ends soon."""
    done("create", name, "-s", "10")
    for stdin in (b"12345678901", b"x" * 200_000):
        result = run("write", name, stdin=stdin)
        assert result.status == 1
        assert "--grow" in result.errors
        assert path_of(name).read_bytes() == bytes(10)
    file = tmp_path / "in"
    file.write_bytes(b"x" * 500_000)
    result = run("write", name, "-i", str(file))
    assert result.status == 1
    assert path_of(name).read_bytes() == bytes(10)
    with file.open("rb") as stdin_file:
        stdin_file.seek(499_995)
        assert subprocess.run(shmctl_argv("write", name), stdin=stdin_file).returncode == 0
    assert path_of(name).read_bytes() == b"xxxxx" + bytes(5)


def test_a_long_pipe_that_is_too_long(name: str) -> None:
    """Where nothing can tell first, the message says how much was stored, and the size stays."""
    done("create", name, "-s", "500000")
    result = run("write", name, stdin=b"x" * 600_000)
    assert result.status == 1
    assert "500000" in result.errors
    assert path_of(name).read_bytes() == b"x" * 500_000


def test_empty_input(name: str, names: list[str]) -> None:
    path_of(name).write_bytes(b"content")
    done("write", name)
    assert path_of(name).read_bytes() == b"content"
    done("write", name, "--exact", "-o", "3")
    assert path_of(name).read_bytes() == b"con"
    done("write", name, "--exact")
    assert path_of(name).read_bytes() == b""
    done("write", names[0], "--create")
    assert path_of(names[0]).read_bytes() == b""


@pytest.mark.parametrize(
    "args",
    [
        ["read", "NAME"],
        ["read", "NAME", "--hex"],
        ["read", "NAME", "--text"],
        ["read", "NAME", "--type", "int8", "-c", "900000"],
    ],
    ids=" ".join,
)
def test_a_reader_that_goes_away(name: str, args: list[str]) -> None:
    """The process ends quietly by SIGPIPE, as cat(1) does."""
    path_of(name).write_bytes(b"line\n" * 2_000_000)
    argv = shmctl_argv(*(name if part == "NAME" else part for part in args))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout and process.stderr
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == -signal.SIGPIPE


def test_pipelines(name: str) -> None:
    path_of(name).write_bytes(b"first\n" + b"line\n" * 500_000)
    command = shlex.join(map(str, shmctl_argv("read", name)))
    result = run_command(["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"])
    assert result == Result(0, b"first\n141\n", b"")
    listing = shlex.join(map(str, shmctl_argv("ls", "--json")))
    result = run_command(["bash", "-c", f"{listing} | true; echo ${{PIPESTATUS[0]}}"])
    assert result.out in (b"141\n", b"0\n")
    assert result.err == b""


def shell(script: str) -> Result:
    """Run a script in which ``shmctl`` is the command."""
    return run_command(["bash", "-c", f'shmctl() {{ {sys.executable} -m shmctl "$@"; }}\n{script}'])


def test_closed_standard_input(name: str, names: list[str]) -> None:
    path_of(name).write_bytes(b"content")
    result = shell(f"shmctl write {name} <&-; echo $?; shmctl write {names[0]} --create <&-; echo $?")
    assert result.out == b"1\n1\n", result
    assert result.errors.count("standard input") == 2
    assert "EBADF" in result.errors
    assert path_of(name).read_bytes() == b"content"
    assert not path_of(names[0]).exists()
    result = shell(f"shmctl write {name} CONTENT <&- && shmctl read {name} <&- && shmctl ls <&-")
    assert result.status == 0, result
    assert result.out.startswith(b"CONTENT"), result


@pytest.mark.parametrize(
    "args", ["read NAME", "read NAME --hex", "ls", "ls --json", "stat NAME", "--help", "--version"]
)
def test_closed_standard_output(name: str, args: str) -> None:
    path_of(name).write_bytes(b"content")
    result = shell(f"shmctl {args.replace('NAME', name)} >&-")
    assert (result.status, result.out) == (1, b""), result
    assert "standard output" in result.errors
    assert "Traceback" not in result.errors
    assert path_of(name).read_bytes() == b"content"


def test_closed_standard_output_of_commands_that_say_nothing(name: str) -> None:
    result = shell(
        f"shmctl create {name} -s 7 >&- && shmctl write {name} content >&- && shmctl chmod 640 {name} >&- &&"
        f" shmctl truncate {name} -s 4 >&-"
    )
    assert result == Result(0, b"", b"")
    assert path_of(name).read_bytes() == b"cont"
    assert shell(f"shmctl rm {name} >&-") == Result(0, b"", b"")


def test_closed_standard_error(name: str) -> None:
    path_of(name).write_bytes(b"content")
    assert shell(f"shmctl read {name} 2>&-") == Result(0, b"content", b"")
    result = shell(
        f"shmctl create {name} 2>&-; echo $?; shmctl read 2>&-; echo $?; shmctl --trace read {name} 2>&-"
    )
    # No message of ours, and no trace, has gone into the object that got the free descriptor.
    assert path_of(name).read_bytes() == b"content"
    assert result.text.startswith("1\n2\n"), result


def test_all_streams_closed(name: str) -> None:
    path_of(name).write_bytes(b"content")
    assert shell(f"shmctl write {name} CONTENT <&- >&- 2>&-").status == 0
    assert shell(f"shmctl read {name} <&- >&- 2>&-").status == 1
    assert shell(f"shmctl create {name} <&- >&- 2>&-").status == 1
    assert path_of(name).read_bytes() == b"CONTENT"


@pytest.mark.parametrize(
    "args", ["read NAME", "read NAME --hex", "read NAME --text", "read NAME --type char", "ls", "ls -0",
             "ls --json", "stat NAME", "stat NAME -f %s", "chmod -v 600 NAME", "rm -n NAME", "--help",
             "read --help", "--version"],
)  # fmt: skip
def test_full_output(name: str, args: str) -> None:
    """/dev/full stands for a full disk behind the redirection."""
    path_of(name).write_bytes(b"content" * 1000)
    result = shell(f"shmctl {args.replace('NAME', name)} > /dev/full")
    assert (result.status, result.out) == (1, b""), result
    assert "standard output" in result.errors, result
    assert "ENOSPC" in result.errors
    assert "Traceback" not in result.errors
    assert "/dev/shm" not in result.errors, "it is not /dev/shm that is full"


@pytest.mark.needs_root
@pytest.mark.parametrize("variables", ["-u PYTHONUNBUFFERED", "PYTHONUNBUFFERED=1"])
@pytest.mark.parametrize("args", ["ls -0", "ls --json", "read x --text", "read x", "metrics"])
def test_output_that_is_full_half_way(args: str, variables: str, tmp_path: Path) -> None:
    """A file system that takes the first bytes, and no more."""
    mount = "mount -t tmpfs -o size"
    script = f"""
        {mount}=4k out {tmp_path}; {mount}=1m shm /dev/shm
        head -c 5000 /dev/zero | tr '\\0' x | tee /dev/shm/x >/dev/null
        for number in $(seq 100); do : > /dev/shm/{"n" * 50}$number; done
        env {variables} {sys.executable} -m shmctl {args} > {tmp_path}/out; echo $?; wc -c < {tmp_path}/out"""
    result = run_command(["unshare", "-m", "bash", "-c", script])
    assert result.text == "1\n4096\n", result
    assert "standard output: " in result.errors and "ENOSPC" in result.errors


def test_full_standard_error(name: str) -> None:
    assert shell(f"shmctl read {name} 2> /dev/full").status == 1
    path_of(name).write_bytes(b"content")
    result = shell(f"shmctl --trace read {name} 2> /dev/full")
    assert (result.status, result.err) == (1, b"")
    assert result.out in (b"", b"content")


@pytest.mark.parametrize(
    "args",
    [["create", "NAME", "-s", "10"], ["create", "NAME", "-s", "10", "--reserve"],
     ["create", "NAME", "--no-excl"], ["write", "NAME", "--create", "content"],
     ["run", "--name", "NAME", "--", "true"]],
    ids=" ".join,
)  # fmt: skip
def test_a_trace_that_cannot_be_written_leaves_nothing_half_made(name: str, args: list[str]) -> None:
    """Whose lines nobody reads any more, or nobody can store, ends the command, but not between two calls."""
    argv = shmctl_argv("--trace", *(name if word == "NAME" else word for word in args))
    with open("/dev/full", "wb") as full:
        assert subprocess.run(argv, stderr=full, timeout=60).returncode == 1
    assert not path_of(name).exists()
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert subprocess.run(argv, stderr=writer, timeout=60).returncode == -signal.SIGPIPE
    finally:
        os.close(writer)
    assert not path_of(name).exists()


def test_a_trace_stands_where_it_belongs(name: str) -> None:
    """In one stream with what is printed, each is where it happened."""
    path_of(name).write_bytes(b"content")
    lines = shell(f"shmctl --trace read {name} --type char 2>&1").text.splitlines()
    assert [line.partition("(")[0] for line in lines] == [
        "shm_open", "fstat", "mmap", "lseek", "lseek", "munmap", "c", "close",
    ]  # fmt: skip


def slow_write(name: str, *args: str) -> "subprocess.Popen[bytes]":
    """A write that has stored something, and waits for more."""
    argv = shmctl_argv("write", name, *args)
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdin
    process.stdin.write(b"x" * 400_000)
    process.stdin.flush()
    while not (path_of(name).exists() and path_of(name).stat().st_blocks):
        assert process.poll() is None
    return process


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_interrupted(name: str, number: int, status: int) -> None:
    """What was half made goes, and nobody is told a story."""
    with slow_write(name, "--create") as process:
        assert process.stderr
        process.send_signal(number)
        assert process.wait(60) == status
        assert process.stderr.read() == b""
    assert not path_of(name).exists()


def test_interrupted_while_growing(name: str) -> None:
    path_of(name).write_bytes(b"")
    with slow_write(name, "--grow") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    assert path_of(name).stat().st_size == 0


def test_interrupted_while_waiting_for_the_first_byte(name: str) -> None:
    argv = shmctl_argv("write", name, "--create")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        while not path_of(name).exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b""
    assert not path_of(name).exists()


@pytest.mark.parametrize("args", [("write", "--create"), ("wait", "--exists"), ("events",)], ids=" ".join)
def test_no_call_waits_for_ever(name: str, args: tuple[str, ...], tmp_path: Path) -> None:
    """A signal that comes just before a call is seen when the call ends: within a second."""
    log = tmp_path / "strace"
    command, *options = args
    argv = ["strace", "-f", "-o", str(log), "timeout", "2.5", *shmctl_argv(command, name, *options)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.wait(60) == 124
    calls = log.read_text()
    limits = [int(limit) for limit in re.findall(r" poll\(.*\], \d+, (-?\d+)", calls)]
    assert 0 <= min(limits) <= max(limits) <= 1000
    assert "readv(0" not in calls


def test_ignored_interrupts_stay_ignored(name: str) -> None:
    """As nohup(1) and the shell's background jobs rely on."""
    argv = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *shmctl_argv("write", name, "--create")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment()) as process:
        assert process.stdin
        process.stdin.write(b"x" * 400_000)
        process.stdin.flush()
        while not (path_of(name).exists() and path_of(name).stat().st_size):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.wait(60) == 0
    assert path_of(name).stat().st_size == 400_000


def test_ctrl_c_on_a_terminal(name: str) -> None:
    """Typed while write reads from the terminal itself."""
    with Terminal(shmctl_argv("write", name, "--create")) as terminal:
        while not path_of(name).exists():
            pass
        terminal.type(b"\x03")
        result = terminal.end()
    assert result.status == 130
    assert without_styles(result.out).replace(b"^C", b"").strip() == b""
    assert not path_of(name).exists()


def test_typed_input(name: str) -> None:
    """Lines typed at a terminal, ended with Ctrl-D."""
    with Terminal(shmctl_argv("write", name, "--create")) as terminal:
        while not path_of(name).exists():
            pass
        terminal.type(b"typed\n\x04")
        assert terminal.end().status == 0
    assert path_of(name).read_bytes() == b"typed\n"


# A source that takes more than a second, for the time is what makes the bar appear.
SLOW = "for i in 1 2 3 4; do head -c 300000 /dev/zero; sleep 0.5; done"


def test_progress_bar_on_a_terminal(name: str) -> None:
    command = shlex.join(map(str, shmctl_argv("write", name, "--create")))
    with Terminal(["bash", "-c", f"({SLOW}) | {command}"], columns=100) as terminal:
        result = terminal.end()
    assert result.status == 0, result
    shown = without_styles(result.out).decode()
    assert name in shown, shown
    assert re.search(r"[0-9][KM]?, [0-9.]+[KMG]?/s", shown)
    sequences = set(re.findall(rb"\x1b\[([0-9;]*)m", result.out))
    assert sequences <= {b"0", b"1", b"2", b"32", b"36"}, "the terminal's own colours, which its user chose"
    assert path_of(name).stat().st_size == 1_200_000


@pytest.mark.parametrize(("args", "env"), [([], {"TERM": "dumb"}), (["--color", "never"], {})])
def test_progress_bar_without_colour(name: str, args: list[str], env: dict[str, str]) -> None:
    command = shlex.join(map(str, shmctl_argv(*args, "write", name, "--create")))
    with Terminal(["bash", "-c", f"({SLOW}) | {command}"], columns=100, env=env) as terminal:
        result = terminal.end()
    assert result.status == 0
    assert not re.search(rb"\x1b\[3[0-9]", result.out)
    assert (result.out == b"") == bool(env), "a dumb terminal could not take it back"


def test_no_progress_bar_in_a_pipe_nor_for_what_is_quick(name: str, names: list[str]) -> None:
    result = shell(f"({SLOW}) | shmctl write {name} --create")
    assert result == Result(0, b"", b"")
    with Terminal(
        [
            "bash",
            "-c",
            f"head -c 9M /dev/zero | {shlex.join(map(str, shmctl_argv('write', names[0], '--create')))}",
        ]
    ) as terminal:
        assert terminal.end() == Result(0, b"", b"")


def test_no_progress_bar_in_the_middle_of_output(name: str) -> None:
    """When standard output is the terminal, the data goes there, and nothing else."""
    path_of(name).write_bytes(b"0123456789\n" * 3)
    result = on_terminal("read", "--raw", name)
    assert result == Result(0, b"0123456789\r\n" * 3, b"")
