"""``--atomic``: whoever opens the name finds the whole object; ``--replace``: the old one or the new one."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import private_place
from tests.support import (
    NOBODY,
    TIMEOUT,
    Result,
    compile_c,
    done,
    environment,
    in_tiny_shm,
    path_of,
    race_rounds,
    run,
    run_as_nobody,
    run_command,
    shmctl_argv,
)

pytestmark = pytest.mark.long

SIZE = 300_000

# Opens argv[1] as soon as it is there, again and again, and looks at what it has got at that moment: argv[2]
# bytes, mode argv[3], each byte an 'x'. Ends once argv[4] is there; prints how many were, and were not.
WATCHER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_whole(int fd, long size, unsigned mode)
{
    static char bytes[1 << 20];
    struct stat st;
    if (fstat(fd, &st) || st.st_size != size || (st.st_mode & 07777) != mode)
        return 0;
    if (pread(fd, bytes, size, 0) != size)
        return 0;
    for (long at = 0; at < size; at++)
        if (bytes[at] != 'x')
            return 0;
    return 1;
}

int main(int argc, char **argv)
{
    long whole = 0, half = 0, size = atol(argv[2]);
    unsigned mode = strtoul(argv[3], NULL, 8);
    puts("ready");
    fflush(stdout);
    while (access(argv[4], F_OK)) {
        int fd = open(argv[1], O_RDONLY);
        struct stat st;
        if (fd < 0)
            continue;
        if (is_whole(fd, size, mode))
            whole++;
        else
            half++;
        do  /* One look for each object. */
            fstat(fd, &st);
        while (st.st_nlink && access(argv[4], F_OK));
        close(fd);
    }
    printf("%ld %ld\n", whole, half);
    return 0;
}
"""
# Reads argv[1] again and again, until argv[2] is there. It has to be there always, and to be one of two:
# 100000 times 'a' or 150000 times 'b'. Prints how often it was the one, the other, and neither.
READER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char bytes[1 << 20];
    long seen[3] = {0, 0, 0};
    puts("ready");
    fflush(stdout);
    while (access(argv[2], F_OK)) {
        int fd = open(argv[1], O_RDONLY), which = 2;
        struct stat st;
        if (fd >= 0 && !fstat(fd, &st)) {
            long count = pread(fd, bytes, sizeof bytes, 0);
            char expected = st.st_size == 100000 ? 'a' : 'b';
            if (count == st.st_size && (count == 100000 || count == 150000)) {
                which = expected - 'a';
                for (long at = 0; at < count; at++)
                    if (bytes[at] != expected)
                        which = 2;
            }
        }
        close(fd);
        seen[which]++;
    }
    printf("%ld %ld %ld\n", seen[0], seen[1], seen[2]);
    return 0;
}
"""
# Runs argv[2] times one of a list of commands, in turn, in one process; may take the name away after each.
ROUNDS = """
import ast, os, sys
from shmctl.cli import main
commands, rounds, path, remove = ast.literal_eval(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
for number in range(rounds):
    status = main.run(commands[number % len(commands)])
    assert status == 0, status
    if remove:
        os.unlink(path)
"""


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("atomic")
    return {
        name: compile_c(source, folder, name) for name, source in (("watcher", WATCHER), ("reader", READER))
    }


@pytest.fixture
def stop(name: str) -> Path:
    """Once this is there, a watcher ends."""
    return path_of(name + "-stop")


def watched(
    program: Sequence[str], stop: Path, commands: list[list[str]], rounds: int, path: Path, *, remove: bool
) -> list[int]:
    """What ``program`` has counted while the commands ran."""
    with subprocess.Popen([*program, str(stop)], stdout=subprocess.PIPE, text=True) as watcher:
        try:
            assert watcher.stdout and watcher.stdout.readline() == "ready\n"
            argv = [sys.executable, "-c", ROUNDS, repr(commands), str(rounds), str(path)]
            running = subprocess.run(
                [*argv, *(["remove"] if remove else [])], capture_output=True, env=environment(),
                stdin=subprocess.DEVNULL, timeout=race_rounds(TIMEOUT),
            )  # fmt: skip
            assert (running.returncode, running.stderr) == (0, b""), running.stderr
        finally:
            stop.touch()
        out, _ = watcher.communicate(timeout=TIMEOUT)
    stop.unlink()
    return [int(count) for count in out.split()]


def hidden() -> list[str]:
    """The names that --replace needs for a moment."""
    return [entry for entry in os.listdir("/dev/shm") if entry.startswith(".shmctl-replace-")]


@pytest.fixture(autouse=True)
def nothing_hidden_is_left() -> Iterator[None]:
    before = set(hidden())
    yield
    assert set(hidden()) <= before


FILLED = ["--fill", "x", "-n", str(SIZE), "-m", "640", "--create"]


def test_an_object_appears_whole(name: str, programs: dict[str, str], stop: Path) -> None:
    """Whoever opens it at the first moment finds all of it; without --atomic the same watcher sees halves."""
    program = [programs["watcher"], str(path_of(name)), str(SIZE), "640"]
    plain, atomic = (["write", name, *FILLED, *option] for option in ([], ["--atomic"]))
    seen = half = 0
    for _ in range(20):
        _, some = watched(program, stop, [plain], 100, path_of(name), remove=True)
        half += some
        if half:
            break
    assert half, "the watcher can see what is half made"
    for _ in range(5):
        whole, half = watched(program, stop, [atomic], 300, path_of(name), remove=True)
        assert half == 0
        seen += whole
    assert seen


def test_create_appears_with_its_size(name: str, programs: dict[str, str], stop: Path) -> None:
    """An object without a byte is seen without --atomic, and with it never, in four times the rounds."""
    program = [programs["watcher"], str(path_of(name)), "0", "600"]
    command = ["create", name, "-s", "4096"]
    rounds = 300
    while not watched(program, stop, [command], rounds, path_of(name), remove=True)[0]:
        rounds *= 2
        assert rounds < 10_000, "the watcher cannot see it"
    command = [*command, "--atomic"]
    assert watched(program, stop, [command], 4 * rounds, path_of(name), remove=True)[0] == 0


def test_a_reader_finds_the_old_or_the_new(name: str, programs: dict[str, str], stop: Path) -> None:
    """For a thousand rounds; without --atomic the same reader sees parts of both."""
    sources = [["--fill", "a", "-n", "100000"], ["--fill", "b", "-n", "150000"]]
    program = [programs["reader"], str(path_of(name))]
    path_of(name).write_bytes(b"a" * 100_000)
    swapped = [["write", name, *source, "--create", "--atomic", "--replace"] for source in sources]
    old, new, neither = watched(program, stop, swapped, race_rounds(1000), path_of(name), remove=False)
    assert neither == 0
    assert old and new
    changed = [["write", name, *source, "--exact"] for source in sources]
    for _ in range(10):
        if watched(program, stop, changed, 200, path_of(name), remove=False)[2]:
            return
    raise AssertionError("the reader cannot tell")


def mode_of(name: str) -> int:
    return stat.S_IMODE(path_of(name).stat().st_mode)


def under_umask(umask: str, *args: str) -> Result:
    return run_command(["sh", "-c", f'umask {umask}; exec "$@"', "sh", *shmctl_argv(*args)])


def test_create(names: list[str]) -> None:
    assert done("create", *names, "-s", "5000", "--atomic") == ""
    for name in names:
        st = path_of(name).stat()
        assert (st.st_size, st.st_blocks, st.st_nlink, mode_of(name)) == (5000, 0, 1, 0o600)
    assert done("create", "-v", names[0] + "-v", "--atomic") == f"made {names[0]}-v\n"


def test_reserve(name: str) -> None:
    done("create", name, "-s", "5000", "--atomic", "--reserve")
    assert path_of(name).stat().st_blocks == 16


@pytest.mark.parametrize(
    "command", [["create"], ["write", "--create", "--hex", "00"]], ids=["create", "write"]
)
def test_mode_and_umask(names: list[str], command: list[str]) -> None:
    args = [*command, "--atomic", "-m"]
    told = under_umask("027", *args, "4666", names[0])
    assert (told.status, mode_of(names[0])) == (0, 0o4640)
    assert "umask cleared 026" in told.errors
    assert under_umask("0", *args, "0", names[1]) == Result(0, b"", b"")
    assert mode_of(names[1]) == 0
    assert under_umask("0", *args, "644", "--replace", names[0]).err == b""
    assert mode_of(names[0]) == 0o644, "a new object's, not the old one's"


SOURCES = {
    "VALUE": (["hello"], b"hello"),
    "type": (["--type", "int16", "--endian", "big", "258", "-1"], b"\1\2\xff\xff"),
    "struct": (["--struct", "char a; short b:3; int c", "c=-1", "a=x", "b=1"], b"x\1\0\0\xff\xff\xff\xff"),
    "hex": (["--hex", "00ff"], b"\0\xff"),
    "fill": (["--fill", "x", "-n", "9000"], b"x" * 9000),
    "fill of nothing": (["--fill", "x"], b""),
    "file": (["-i", "FILE"], b"of a file"),
    "standard input": ([], b"0123456789" * 100_000),
    "part of it": (["-n", "400000"], b"0123456789" * 40_000),
    "grow": (["hello", "--grow"], b"hello"),
    "exact": (["hello", "--exact"], b"hello"),
}


@pytest.mark.parametrize(
    ("offset", "before"), [(0, None), (5000, b"longer than what comes" * 1000)], ids=["new", "replaced"]
)
@pytest.mark.parametrize("source", SOURCES)
def test_sources(name: str, source: str, offset: int, before: bytes | None, tmp_path: Path) -> None:
    args, expected = SOURCES[source]
    (tmp_path / "file").write_bytes(b"of a file")
    args = [str(tmp_path / "file") if arg == "FILE" else arg for arg in args]
    if before is not None:
        path_of(name).write_bytes(before)
        args = [*args, "--replace"]
    if offset:
        args = [*args, "-o", str(offset)]
    result = run("write", name, "--create", "--atomic", *args, stdin=b"0123456789" * 100_000)
    assert result == Result(0, b"", b"")
    assert path_of(name).read_bytes() == bytes(offset) + expected


def test_verbose(name: str) -> None:
    assert done("write", name, "--create", "--atomic", "-v", "abc") == f"stored 3 bytes in {name}\n"


@pytest.mark.parametrize("command", [["create"], ["write", "--create", "new"]], ids=["create", "write"])
def test_a_name_that_is_taken(name: str, command: list[str]) -> None:
    """Known before anything is stored, standard input included."""
    path_of(name).write_bytes(b"content")
    result = run(command[0], name, *command[1:], "--atomic")
    error, hint = result.errors.splitlines()
    assert (result.status, error) == (1, f"shmctl: {command[0]}: {name}: File exists (EEXIST)")
    assert "--replace" in hint
    assert path_of(name).read_bytes() == b"content"


def test_a_name_that_is_taken_meanwhile(name: str) -> None:
    with stream_into(name, "--atomic") as process:
        path_of(name).write_bytes(b"content")
        _, err = process.communicate(b"end", timeout=TIMEOUT)
    assert process.returncode == 1
    assert b"EEXIST" in err
    assert path_of(name).read_bytes() == b"content"


@contextmanager
def stream_into(name: str, *options: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A write from a pipe of which 600,000 bytes are stored, and that goes on."""
    argv = shmctl_argv("write", name, "--create", *options)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        try:
            assert process.stdin
            process.stdin.write(b"x" * 600_000)
            process.stdin.flush()
            deadline = time.monotonic() + TIMEOUT
            while not unnamed_bytes(process.pid):
                assert time.monotonic() < deadline
            yield process
        finally:
            process.kill()


def unnamed_bytes(pid: int) -> int:
    """How much the object without a name holds that a process has open."""
    for entry in os.listdir(f"/proc/{pid}/fd"):
        link = f"/proc/{pid}/fd/{entry}"
        try:
            if os.readlink(link).startswith("/dev/shm/#"):
                return os.stat(link).st_size
        except FileNotFoundError:
            continue
    return 0


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("number", [2, 15, 1, 9], ids=["INT", "TERM", "HUP", "KILL"])
def test_a_signal_in_the_middle(name: str, number: int, replace: bool) -> None:
    """Nothing was there to see, and nothing is left."""
    if replace:
        path_of(name).write_bytes(b"content")
    with stream_into(name, "--atomic", *(["--replace"] if replace else [])) as process:
        before = set(os.listdir("/dev/shm"))
        process.send_signal(number)
        status = process.wait(TIMEOUT)
    assert status == (-9 if number == 9 else 128 + number)
    assert path_of(name).exists() == replace
    assert name[1:] not in before or replace
    assert not replace or path_of(name).read_bytes() == b"content"


def test_replacing_what_has_been_replaced_meanwhile(name: str) -> None:
    """What is replaced is the object that was there at the start, or none at all."""
    path_of(name).write_bytes(b"content")
    with stream_into(name, "--atomic", "--replace") as process:
        path_of(name + "-other").write_bytes(b"another's")
        path_of(name + "-other").rename(path_of(name))
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert f"shmctl: write: {name}: another object took this name meanwhile" in err.decode()
    assert "(EEXIST)\n" in err.decode()
    assert path_of(name).read_bytes() == b"another's"


@pytest.mark.parametrize("there", [False, True])
def test_replacing_what_has_come_or_gone_meanwhile(name: str, there: bool) -> None:
    if there:
        path_of(name).write_bytes(b"content")
    with stream_into(name, "--atomic", "--replace") as process:
        path_of(name).unlink() if there else path_of(name).write_bytes(b"another's")
        _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == (0 if there else 1), err
    assert path_of(name).read_bytes() == (b"x" * 600_000 if there else b"another's")


def test_what_was_replaced_stays_with_its_users(name: str) -> None:
    path_of(name).write_bytes(b"content")
    with path_of(name).open("rb") as old:
        done("write", name, "new", "--create", "--atomic", "--replace")
        assert old.read() == b"content"
    assert path_of(name).read_bytes() == b"new"


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["create", "NAME", "--atomic", "--no-excl"], "--no-excl"),
        (["create", "NAME", "--atomic", "--trunc"], "--trunc"),
        (["create", "NAME", "--replace"], "--atomic"),
        (["write", "NAME", "x", "--atomic"], "--create"),
        (["write", "NAME", "x", "--replace", "--create"], "--atomic"),
        (["write", "NAME", "x", "--atomic", "--create", "--lock"], "--lock"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage(name: str, args: list[str], problem: str) -> None:
    result = run(*(name if arg == "NAME" else arg for arg in args))
    assert (result.status, result.out) == (2, b"")
    assert problem in result.errors.splitlines()[0]
    assert not path_of(name).exists()


@pytest.mark.needs_root
def test_somebody_elses_object(name: str) -> None:
    """The sticky bit keeps it where it is, and the message says whose it is."""
    path_of(name).write_bytes(b"content")
    path_of(name).chmod(0o666)
    for args in (["create", name], ["write", name, "new", "--create"]):
        result = run_as_nobody(*args, "--atomic", "--replace")
        error, hint = result.errors.splitlines()
        assert (result.status, error) == (1, f"shmctl: {args[0]}: {name}: Operation not permitted (EPERM)")
        assert hint.startswith("hint: it is root:root's, with mode -rw-rw-rw-; in a sticky directory")
    assert path_of(name).read_bytes() == b"content"
    os.chown(path_of(name), NOBODY, NOBODY)
    assert run_as_nobody("create", name, "--atomic", "--replace", "-s", "9") == Result(0, b"", b"")
    assert (path_of(name).stat().st_size, path_of(name).stat().st_uid) == (9, NOBODY)
    # Root may, and the new object is root's.
    done("create", name, "--atomic", "--replace")
    assert path_of(name).stat().st_uid == 0


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "command",
    [
        "shmctl create /y --atomic -s 2M --reserve",
        "shmctl write /y --create --atomic --fill 1 -n 2M",
        "head -c 2M /dev/zero | shmctl write /y --create --atomic",
        "head -c 2M /dev/zero | shmctl write /y --create --atomic --replace",
    ],
)
def test_a_full_dev_shm(command: str) -> None:
    """Nothing appears, nothing is left, and what was there stays."""
    there = "--replace" in command
    script = "printf content > /dev/shm/y\n" if there else ""
    script += f"{command}; echo status=$?; ls -A /dev/shm; df --output=used /dev/shm | tail -1"
    result = in_tiny_shm(script)
    used = "4" if there else "0"
    assert result.text.split() == ["status=1", *(["y"] if there else []), used], result
    assert "/dev/shm" in result.errors and "(ENOSPC)" in result.errors


@pytest.mark.needs_root
def test_a_directory_that_takes_nothing_from_others() -> None:
    with private_place(setup="chmod 755 /dev/shm") as place:
        result = place.run_as_nobody("create", "/x", "--atomic")
        assert (result.status, os.listdir(place.path("/"))) == (1, [])
    assert result.errors.startswith("shmctl: create: /x: Permission denied (EACCES)\n"), result


@pytest.mark.needs_root
@pytest.mark.parametrize("call", ["linkat", "renameat"])
def test_a_call_that_fails_or_is_interrupted(name: str, call: str, tmp_path: Path) -> None:
    """At the moment of publishing: nothing is left; and a signal comes before it or after it."""
    command = ["write", name, "new", "--create", "--atomic", "--replace"]
    path_of(name).write_bytes(b"content")
    injected = ["strace", "-o", str(tmp_path / "log"), "-e", f"trace={call}", "-e"]
    result = run_command([*injected, f"inject={call}:error=EIO", *shmctl_argv(*command)])
    assert result.status == 1
    assert result.errors == f"shmctl: write: {name}: Input/output error (EIO)\n"
    assert path_of(name).read_bytes() == b"content"
    result = run_command([*injected, f"inject={call}:signal=TERM", *shmctl_argv(*command)])
    assert (result.status, result.err) == (143, b"")
    assert path_of(name).read_bytes() == b"new"


@pytest.mark.needs_root
def test_what_a_killed_replacement_leaves(name: str, tmp_path: Path) -> None:
    """Killed between the two calls: leaks knows the object's maker by its name, and gc removes it."""
    path_of(name).write_bytes(b"content")
    log = tmp_path / "log"
    command = shmctl_argv("create", name, "--atomic", "--replace", "-s", "100")
    before = set(hidden())
    argv = ["strace", "-o", str(log), "-e", "trace=renameat", "-e", "inject=renameat:signal=KILL:error=EIO"]
    run_command([*argv, *command])
    (left,) = set(hidden()) - before
    try:
        assert path_of(name).read_bytes() == b"content"
        shown = done("leaks", "--json", "--min-age", "0", left)
        assert '"verdict": "orphan"' in shown
        assert '"software": "shmctl --replace"' in shown
        assert '"creator_pid": ' + left.split("-")[2] in shown
        done("gc", "--min-age", "0", "--yes", left)
        assert not path_of("/" + left).exists()
    finally:
        path_of("/" + left).unlink(missing_ok=True)


@pytest.mark.needs_root
def test_a_file_system_that_has_none_without_a_name() -> None:
    script = 'mount -t mqueue mqueue /dev/shm; "$@"; echo status=$?; ls -A /dev/shm'
    argv = shmctl_argv("create", "/x", "--atomic")
    result = run_command(["unshare", "-m", "sh", "-c", script, "sh", *argv])
    assert result.text == "status=1\n"
    assert result.errors == (
        "shmctl: create: /x: this file system has no objects without a name (O_TMPFILE), "
        "which --atomic needs (ENOTSUP)\n"
    )


def test_names_that_are_not_utf_8(name: str) -> None:
    odd = name.encode() + b"\xff\n\x1b[31m"
    for options in ([], ["--replace"]):
        assert run("write", odd, "new", "--create", "--atomic", *options) == Result(0, b"", b"")
        assert Path(os.fsdecode(b"/dev/shm" + odd)).read_bytes() == b"new"
