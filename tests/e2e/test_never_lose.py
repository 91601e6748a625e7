"""What others do to an object at the same moment is neither cut off, nor undone, nor locked out in vain.

The races run some hundred rounds in this process. SHMCTL_RACE_ROUNDS says how many; 10,000 were run by hand.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import shmctl
from shmctl.cli.main import run as run_here
from shmctl.core import tracing
from shmctl.core.names import parse_name
from shmctl.core.objects.resize import room
from shmctl.core.objects.write import writable
from tests.e2e.sync.processes import Background, started, until
from tests.support import (
    TIMEOUT,
    Result,
    compile_c,
    done,
    environment,
    path_of,
    run,
    run_command,
    shmctl_argv,
)

ROUNDS = int(os.environ.get("SHMCTL_RACE_ROUNDS", "300"))
FAR = 1_000_000
THEIRS = b"theirs"

# For each line "DELAY" of its input, does what argv[1] says with the file argv[2], DELAY turns of a loop
# later, and answers with a line.
PARTNER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int open_or_die(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd < 0) { perror(path); exit(3); }
    return fd;
}

int main(int argc, char **argv)
{
    char line[100], other[1000];
    snprintf(other, sizeof other, "%s-other", argv[2]);
    while (fgets(line, sizeof line, stdin)) {
        int locked = -1;
        if (!strcmp(argv[1], "swap")) {  /* Holds the lock when the race begins. */
            locked = open_or_die(argv[2], O_RDONLY);
            if (flock(locked, LOCK_EX)) { perror("flock"); return 3; }
            puts("locked");
            fflush(stdout);
        }
        for (volatile long turn = atol(line); turn > 0; turn--)
            ;
        if (!strcmp(argv[1], "store")) {  /* pwrite(2) lets a file grow, and never shrinks it. */
            int fd = open_or_die(argv[2], O_RDWR | O_CREAT);
            if (pwrite(fd, "theirs", 6, 1000000) != 6) { perror("pwrite"); return 3; }
            close(fd);
        } else {
            int fd = open_or_die(other, O_RDWR | O_CREAT);
            if (pwrite(fd, "newer", 5, 0) != 5 || rename(other, argv[2])) { perror("rename"); return 3; }
            close(fd);
            close(locked);
        }
        puts("done");
        fflush(stdout);
    }
    return 0;
}
"""


class Partner:
    """The C program on the other side of a race."""

    def __init__(self, program: str, what: str, name: str) -> None:
        self._process = subprocess.Popen(
            [program, what, str(path_of(name))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def go(self, delay: int) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{delay}\n".encode())
        self._process.stdin.flush()

    def hear(self, answer: bytes) -> None:
        assert self._process.stdout
        assert self._process.stdout.readline() == answer + b"\n"

    def end(self) -> None:
        self._process.communicate(timeout=TIMEOUT)
        assert self._process.returncode == 0


@pytest.fixture(scope="session")
def partner_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c(PARTNER, tmp_path_factory.mktemp("partner"), "partner")


@pytest.fixture
def partner(partner_program: str, name: str) -> Iterator[Callable[[str], Partner]]:
    partners: list[Partner] = []

    def start(what: str) -> Partner:
        partners.append(Partner(partner_program, what, name))
        return partners[-1]

    yield start
    for each in partners:
        each.end()


def delay(number: int) -> int:
    """From nothing to about a millisecond, each as often."""
    return number * 7919 % 400_000


# -- growth never shrinks


def grow_in_the_library(name: str) -> bool:
    """Whether it was asked to grow: once the partner has stored, the same size is a wish to cut that off."""
    calls: list[str] = []
    with shmctl.open(name, writable=True) as box:
        before = tracing.trace_to(calls.append)
        box.resize(5010)
        tracing.trace_to(before)
    return "st_size=10," in calls[0]


GROWING = {
    "write --grow": ["write", "NAME", "ours", "--grow", "-o", "5000"],
    "write --create --grow": ["write", "NAME", "ours", "--create", "--grow", "-o", "5000"],
    "write --grow, far": ["write", "NAME", "ours", "--grow", "-o", "2000000"],
    "write -i --grow": ["write", "NAME", "-i", "FILE", "--grow"],
    "truncate +": ["truncate", "NAME", "-s", "+5000"],
    "the library": [],
}


@pytest.mark.parametrize("form", GROWING.values(), ids=GROWING.keys())
def test_two_that_grow_an_object(
    name: str, form: list[str], partner: Callable[[str], Partner], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"ours" * 100_000)
    argv = [{"NAME": name, "FILE": str(file)}.get(word, word) for word in form]
    other = partner("store")
    lost = 0
    for number in range(ROUNDS):
        path_of(name).unlink(missing_ok=True)
        if "--create" not in argv:
            path_of(name).write_bytes(bytes(10))
        other.go(delay(number))
        if argv:
            assert run_here(argv) == 0
        asked_to_grow = bool(argv) or grow_in_the_library(name)
        other.hear(b"done")
        content = path_of(name).read_bytes()
        lost += asked_to_grow and content[FAR : FAR + len(THEIRS)] != THEIRS
        assert "ours" not in argv or b"ours" in content
    assert lost == 0, f"{lost} of {ROUNDS} lost"


AT_THE_WORST_MOMENT = {
    "create": ["create", "NAME", "-s", "5000"],
    "create --no-excl": ["create", "NAME", "--no-excl", "-s", "5000"],
    "create --reserve": ["create", "NAME", "--no-excl", "-s", "5000", "--reserve"],
    "truncate": ["truncate", "NAME", "-s", "5000"],
    "truncate +": ["truncate", "NAME", "-s", "+5000"],
    "truncate %": ["truncate", "NAME", "-s", "%4K"],
    "write --exact": ["write", "NAME", "ours", "--exact", "-o", "5000"],
    "write --grow": ["write", "NAME", "ours", "--grow", "-o", "5000"],
    "write --grow, a file": ["write", "NAME", "-i", "/etc/passwd", "--grow"],
    "write --create": ["write", "NAME", "ours", "--create", "--grow", "-o", "5000"],
}


def is_exclusive(form: list[str]) -> bool:
    """Whether the command creates its object: then nobody has it open before."""
    return form[0] == "create" and "--no-excl" not in form


@pytest.mark.parametrize(
    ("form", "holds"),
    [
        pytest.param(form, holds, id=f"{kind}, {'has it open' if holds else 'opens it'}")
        for kind, form in AT_THE_WORST_MOMENT.items()
        for holds in ([False] if is_exclusive(form) else [False, True])
    ],
)
def test_another_grows_it_between_look_and_call(name: str, form: list[str], holds: bool) -> None:
    """strace(1) holds shmctl up just before the call that gives the size."""
    is_new = is_exclusive(form)
    if not is_new:
        path_of(name).write_bytes(bytes(10))
    fd = os.open(path_of(name), os.O_RDWR) if holds else -1
    argv = shmctl_argv("--trace", *(name if word == "NAME" else word for word in form))
    inject = ["-e", "trace=none", "-e", "inject=ftruncate,fallocate:delay_enter=300000"]
    strace = ["strace", "-f", "-o", "/dev/null", *inject, *argv]
    with subprocess.Popen(strace, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stderr
        # What exists has its size looked at once it is open.
        wanted = b"shm_open(" if is_new else b"fstat("
        assert any(line.startswith(wanted) for line in process.stderr)
        if not holds:
            fd = os.open(path_of(name), os.O_RDWR)
        os.pwrite(fd, THEIRS, FAR)
        rest = process.stderr.read()
        assert process.wait(TIMEOUT) == 0, rest
    assert b"ftruncate(" in rest or b"posix_fallocate(" in rest, rest
    assert os.pread(fd, len(THEIRS), FAR) == THEIRS
    os.close(fd)


def test_growing_takes_no_memory(name: str) -> None:
    """What nobody else has open grows by a hole; else the last byte takes its page."""
    done("create", name, "-s", "1M")
    done("truncate", name, "-s", "+1G")
    assert (path_of(name).stat().st_size, path_of(name).stat().st_blocks) == ((1 << 30) + (1 << 20), 0)
    with path_of(name).open("rb"):
        done("truncate", name, "-s", "+1G")
    assert (path_of(name).stat().st_size, path_of(name).stat().st_blocks) == ((2 << 30) + (1 << 20), 8)


def test_exact_leaves_what_has_grown_meanwhile(name: str) -> None:
    """It shrinks the object that it has seen, and no other."""
    path_of(name).write_bytes(bytes(9000))
    argv = shmctl_argv("write", name, "--exact", "-n", "1G")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdin
        until(lambda: any(str(path_of(name)) in each for each in open_files(process.pid)), "open")
        with path_of(name).open("r+b") as file:
            os.pwrite(file.fileno(), THEIRS, FAR)
        _, err = process.communicate(b"ours", timeout=TIMEOUT)
    assert process.returncode == 1
    assert b"another process has resized it to 1000006 bytes meanwhile" in err
    content = path_of(name).read_bytes()
    assert (content[:4], content[FAR:]) == (b"ours", THEIRS)


def open_files(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:
            continue
    return found


# -- a failure undoes only what is its own


@contextmanager
def growing_writer(name: str) -> "Iterator[subprocess.Popen[bytes]]":
    """A 'write --grow' from a pipe that has stored 300,000 bytes and waits for more."""
    path_of(name).write_bytes(bytes(10))
    with subprocess.Popen(
        shmctl_argv("write", name, "--grow"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin
        process.stdin.write(b"x" * 300_000)
        process.stdin.flush()
        until(lambda: path_of(name).stat().st_size >= 262_144, "it has grown")
        yield process


def test_a_failure_gives_the_old_size_back(name: str) -> None:
    with growing_writer(name) as process:
        process.terminate()
        assert (process.communicate(timeout=TIMEOUT)[1], process.returncode) == (b"", 143)
    assert path_of(name).stat().st_size == 10


def test_a_failure_leaves_what_another_has_grown(name: str) -> None:
    with growing_writer(name) as process:
        with path_of(name).open("r+b") as file:
            os.pwrite(file.fileno(), THEIRS, 2 * FAR)
        process.terminate()
        err = process.communicate(timeout=TIMEOUT)[1]
        assert process.returncode == 143
    assert path_of(name).read_bytes()[2 * FAR :] == THEIRS
    assert err.startswith(f"shmctl: write: {name}: it stays 2000006 bytes long, up from 10: ".encode())
    assert b"another process has changed it\n" in err


def test_a_failure_leaves_what_another_has_open(name: str) -> None:
    """It may have stored in what has grown, and no look shows that."""
    with growing_writer(name) as process, path_of(name).open("r+b") as file:
        size = path_of(name).stat().st_size
        os.pwrite(file.fileno(), THEIRS, 200_000)
        process.terminate()
        err = process.communicate(timeout=TIMEOUT)[1]
        assert process.returncode == 143
        assert path_of(name).stat().st_size >= size
    assert path_of(name).read_bytes()[200_000:200_006] == THEIRS
    assert b"up from 10: others may have it open\n" in err


def test_a_failure_leaves_what_another_has_stored_before_it(name: str) -> None:
    """It stores far behind the old end; another one stores in between, and is done."""
    path_of(name).write_bytes(bytes(10))
    argv = shmctl_argv("write", name, "--grow", "-o", str(FAR))
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdin
        process.stdin.write(b"x" * 300_000)
        process.stdin.flush()
        until(lambda: path_of(name).stat().st_size > FAR, "it has grown")
        with path_of(name).open("r+b") as file:
            os.pwrite(file.fileno(), THEIRS, 20)
        process.terminate()
        err = process.communicate(timeout=TIMEOUT)[1]
        assert process.returncode == 143
    assert path_of(name).read_bytes()[20:26] == THEIRS
    assert b"another process has changed it\n" in err


class FailedError(Exception):
    pass


@pytest.mark.filterwarnings("ignore:.*it stays:RuntimeWarning")
def test_failures_and_another_that_grows_it(name: str, partner: Callable[[str], Partner]) -> None:
    other = partner("store")
    kept = 0
    for number in range(ROUNDS):
        path_of(name).write_bytes(bytes(10))
        other.go(delay(number) // 20)
        with (
            pytest.raises(FailedError),
            writable(parse_name(name)) as target,
            room(target, 0, 5000, grow=True),
        ):
            raise FailedError
        other.hear(b"done")
        assert path_of(name).read_bytes()[FAR:] == THEIRS
        kept += 1
    assert kept == ROUNDS


# -- a lock is had on what has the name


def lock_in_the_library(name: str) -> int:
    with shmctl.lock(name), shmctl.open(name, writable=True) as box:
        box.write(b"ours")
    return 0


@pytest.mark.parametrize("form", ["write --lock", "write --create --lock", "the library"])
def test_a_lock_that_waits_while_the_object_is_replaced(
    name: str, form: str, partner: Callable[[str], Partner]
) -> None:
    """What is stored under the lock is stored in the object that has the name by then."""
    other = partner("swap")
    lost = 0
    for number in range(ROUNDS):
        path_of(name).write_bytes(b"older")
        other.go(delay(number))
        other.hear(b"locked")
        command = [*form.split(), name, "ours"]
        status = lock_in_the_library(name) if form == "the library" else run_here(command)
        other.hear(b"done")
        assert status == 0
        lost += path_of(name).read_bytes() != b"oursr"
    assert lost == 0, f"{lost} of {ROUNDS} lost"


def test_reads_under_the_lock_while_the_object_is_replaced(
    name: str, partner: Callable[[str], Partner], capfd: pytest.CaptureFixture[str]
) -> None:
    other = partner("swap")
    for number in range(ROUNDS):
        path_of(name).write_bytes(b"older")
        other.go(delay(number))
        other.hear(b"locked")
        assert run_here(["read", "--lock", "--text", name]) == 0
        other.hear(b"done")
        assert capfd.readouterr().out == "newer"


@pytest.mark.parametrize(
    "options", [[], ["--timeout", "30"], ["--shared"]], ids=["plain", "timeout", "shared"]
)
def test_lock_runs_its_command_under_the_lock_of_what_has_the_name(name: str, options: list[str]) -> None:
    path_of(name).write_bytes(b"older")
    holder = Background(["flock", "--no-fork", str(path_of(name)), "sh", "-c", "echo; exec sleep 60"])
    with holder:
        assert holder.line() == b"\n"
        with started("lock", name, *options, "--", "sh", "-c", "echo; exec sleep 60") as ours:
            ours.until_in("nanosleep" if "--timeout" in options else "flock")
            path_of(name).rename(f"{path_of(name)}-old")
            path_of(name).write_bytes(b"newer")
            holder.signal(signal.SIGKILL)
            assert ours.line() == b"\n"
            assert run_command(["flock", "-n", str(path_of(name)), "true"]).status == 1


def test_a_lock_of_what_has_been_removed_meanwhile(name: str) -> None:
    path_of(name).write_bytes(b"older")
    holder = Background(["flock", "--no-fork", str(path_of(name)), "sh", "-c", "echo; exec sleep 60"])
    with holder:
        assert holder.line() == b"\n"
        with started("write", name, "--lock", "ours") as ours:
            ours.until_in("flock")
            path_of(name).unlink()
            holder.signal(signal.SIGKILL)
            result = ours.end()
    assert (result.status, path_of(name).exists()) == (1, False)
    assert result.errors.startswith(f"shmctl: write: {name}: No such file or directory (ENOENT)\n")


def test_replacing_waits_for_the_lock(name: str) -> None:
    """So that nobody who has the lock finds another object in its place."""
    path_of(name).write_bytes(b"older")
    holder = Background(["flock", "--no-fork", str(path_of(name)), "sh", "-c", "echo; exec sleep 60"])
    with holder:
        assert holder.line() == b"\n"
        with started("write", name, "--create", "--atomic", "--replace", "newer") as ours:
            ours.until_in("flock")
            assert path_of(name).read_bytes() == b"older"
            holder.signal(signal.SIGKILL)
            assert ours.end() == Result(0, b"", b"")
    assert path_of(name).read_bytes() == b"newer"


def test_a_signal_ends_a_replacement_that_waits(name: str) -> None:
    path_of(name).write_bytes(b"older")
    holder = Background(["flock", "--no-fork", str(path_of(name)), "sh", "-c", "echo; exec sleep 60"])
    with holder:
        assert holder.line() == b"\n"
        with started("write", name, "--create", "--atomic", "--replace", "newer") as ours:
            ours.until_in("flock")
            ours.signal(signal.SIGTERM)
            assert ours.end() == Result(143, b"", b"")
    assert path_of(name).read_bytes() == b"older"
    assert [each for each in os.listdir("/dev/shm") if each.startswith(".shmctl-replace-")] == []


@pytest.mark.parametrize("how", ["lock", "lock --shared", "flock"])
def test_replacing_under_the_own_lock(name: str, how: str) -> None:
    path_of(name).write_bytes(b"older")
    replace = [str(word) for word in shmctl_argv("write", name, "--create", "--atomic", "--replace", "newer")]
    if how == "flock":
        result = run_command(["flock", str(path_of(name)), *replace])
    else:
        result = run("lock", name, *how.split()[1:], "--", *replace)
    assert result == Result(0, b"", b"")
    assert path_of(name).read_bytes() == b"newer"


COUNT = """
import sys
from shmctl.cli.main import run
name, rounds = sys.argv[1], int(sys.argv[2])
import shmctl
for _ in range(rounds):
    with shmctl.lock(name), shmctl.open(name, writable=True) as box:
        number = int.from_bytes(box.read(0, 4), "little") + 1
        box.write(number.to_bytes(4, "little"))
"""
REPLACE = """
import sys
from shmctl.cli.main import run
name, rounds = sys.argv[1], int(sys.argv[2])
for _ in range(rounds):
    # The number is carried over by what nobody can read or store meanwhile but whom the lock does not bind.
    assert run(["lock", name, "--", "sh", "-c", sys.argv[3]]) == 0
"""


def test_counting_under_the_lock_of_an_object_that_is_replaced(name: str) -> None:
    """No step is lost, although the object is another one again and again."""
    path_of(name).write_bytes(bytes(4))
    rounds = max(20, ROUNDS // 10)
    write = " ".join(str(word) for word in shmctl_argv("write", name, "--create", "--atomic", "--replace"))
    carry = f"cat {path_of(name)} | {write}"
    counters = [
        Background([sys.executable, "-c", COUNT, name, str(rounds * 20)], env={"PYTHONPATH": os.getcwd()})
        for _ in range(2)
    ]
    replacer = Background(
        [sys.executable, "-c", REPLACE, name, str(rounds // 10), carry], env={"PYTHONPATH": os.getcwd()}
    )
    for process in (*counters, replacer):
        assert process.end(TIMEOUT * 10) == Result(0, b"", b"")
    assert int.from_bytes(path_of(name).read_bytes(), "little") == 2 * rounds * 20
