"""Other processes shrink, grow, replace and remove objects meanwhile: an error at worst, never a signal."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import Result, compile_c, environment, path_of, race_rounds, run, run_command, shmctl_argv

pytestmark = pytest.mark.long

# Shrinks and grows the file of argv[1] without pause, between nothing and argv[2] bytes; says when it begins.
FLICKER = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int fd = open(argv[1], O_RDWR);
    long size = atol(argv[2]);
    if (fd < 0) { perror("open"); return 3; }
    puts("ready");
    fflush(stdout);
    for (unsigned long round = 1;; round++) {
        /* Every size there is, with the whole and the half of it often. */
        long smaller = round % 3 ? (long)(round * 2654435761u % size) : 0;
        if (ftruncate(fd, smaller)) { perror("ftruncate"); return 3; }
        /* About as long small as large: so that it is seen large and used small. */
        if (round % 5 == 0)
            usleep(round % 7 * 50);
        if (ftruncate(fd, size)) { perror("ftruncate"); return 3; }
        if (round % 7 == 0)
            usleep(round % 5 * 100);
    }
}
"""
# Makes and removes files argv[1]0 to argv[1]99 without pause.
CHURN = """
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char path[400];
    puts("ready");
    fflush(stdout);
    for (unsigned round = 0;; round++) {
        snprintf(path, sizeof path, "%s%u", argv[1], round % 100);
        close(open(path, O_RDWR | O_CREAT, 0600));
        snprintf(path, sizeof path, "%s%u", argv[1], (round + 70) % 100);
        unlink(path);
    }
}
"""
# Moves a file of its own to argv[1] again and again, looks whether it stays there, and removes it. When its
# input ends it says how often it did, and how often the file was gone or another.
SWAP = r"""
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_there(const char *name, ino_t inode)
{
    struct stat found;
    return stat(name, &found) == 0 && found.st_ino == inode;
}

int main(int argc, char **argv)
{
    struct pollfd input = {0, POLLIN, 0};
    long swaps = 0, lost = 0;
    unsigned seed = 1;
    char own[400];
    struct stat mine;

    snprintf(own, sizeof own, "%s-own", argv[1]);
    puts("ready");
    fflush(stdout);
    for (; poll(&input, 1, 0) == 0; swaps++) {
        int fd = open(own, O_CREAT | O_EXCL | O_RDWR, 0600), looks = 0;
        if (fd < 0 || fstat(fd, &mine) || close(fd)) return 1;
        for (volatile int pause = rand_r(&seed) % 60000; pause > 0; pause--) ;
        if (rename(own, argv[1])) return 1;
        while (looks++ < 200 && is_there(argv[1], mine.st_ino)) ;
        lost += looks <= 200;
        if (is_there(argv[1], mine.st_ino)) unlink(argv[1]);
    }
    printf("%ld %ld\n", swaps, lost);
    return 0;
}
"""
# Makes the semaphore argv[1] again and again; a signal comes while it does, and takes back what was made.
CREATE = """
import random, signal, sys
from shmctl.core.errors import ShmError
from shmctl.core.names import parse_name
from shmctl.core.sync.semaphores import create_semaphore

class Stopped(Exception):
    pass

def stop(number, frame):
    raise Stopped

signal.signal(signal.SIGALRM, stop)
stopped = 0
while stopped < int(sys.argv[2]):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(30e-6, 600e-6))
        try:
            create_semaphore(parse_name(sys.argv[1]), 1)
        except ShmError:
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Stopped:
        stopped += 1
"""
SIZE = 1_000_000


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("races")
    sources = {"flicker": FLICKER, "churn": CHURN, "swap": SWAP}
    return {name: compile_c(source, folder, name) for name, source in sources.items()}


@contextmanager
def beside(*argv: str) -> Iterator[None]:
    """While the body runs, so does another process."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            yield
            assert process.poll() is None, "it ended before the race did"
        finally:
            process.kill()


def survived(result: Result) -> None:
    """Done, or one honest sentence."""
    assert result.status in (0, 1), result
    if result.status:
        assert result.err.startswith(b"shmctl: "), result
    assert b"Traceback" not in result.err
    assert b"internal error" not in result.err, result


FORMS = {
    "read": ["read", "NAME"],
    "read --hex": ["read", "NAME", "--hex"],
    "read --text": ["read", "NAME", "--text"],
    "read --json": ["read", "NAME", "--json"],
    "read --type": ["read", "NAME", "--type", "int64", "-c", "100000"],
    "read --type at the end": ["read", "NAME", "--type", "int8", "-o", str(SIZE - 1)],
    "read --struct": ["read", "NAME", "--struct", "int a[20000]", "a[19999]"],
    "read --lock": ["read", "NAME", "--lock"],
    "write VALUE": ["write", "NAME", "hello", "-o", str(SIZE - 10)],
    "write VALUE, large": ["write", "NAME", "x" * 100_000],
    "write --type": ["write", "NAME", "-o", str(SIZE // 2), "--type", "int32", *(["7"] * 5000)],
    "write --fill": ["write", "NAME", "--fill", "1"],
    "write --fill --grow": ["write", "NAME", "--fill", "1", "-n", str(SIZE), "--grow"],
    "write --struct": ["write", "NAME", "--struct", "int a[20000]; unsigned b:3", "a[19999]=1", "b=2"],
    "write --hex --exact": ["write", "NAME", "--hex", "ab" * 50_000, "--exact"],
    "write from a pipe": ["write", "NAME"],
    "write from a pipe --grow": ["write", "NAME", "--grow"],
    "write --create": ["write", "NAME", "--create"],
    "create --no-excl": ["create", "NAME", "--no-excl", "-s", str(SIZE), "--reserve"],
    "truncate": ["truncate", "NAME", "-s", str(SIZE)],
    "stat": ["stat", "NAME"],
}
ROUNDS = 4


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_an_object_that_flickers(name: str, form: list[str], programs: dict[str, str]) -> None:
    argv = shmctl_argv(*(name if part == "NAME" else part for part in form))
    stdin = os.urandom(SIZE - 5) if form[0] == "write" else b""
    path_of(name).write_bytes(b"x" * SIZE)
    with beside(programs["flicker"], str(path_of(name)), str(SIZE)):
        for _ in range(race_rounds(ROUNDS)):
            survived(run_command(argv, stdin=stdin))


def test_many_rounds_in_one_process(name: str, programs: dict[str, str], tmp_path: Path) -> None:
    """The same without the cost of a start: hundreds of rounds, through the library's calls."""
    forms = [form for form in FORMS.values() if form[0] in ("read", "write") and len(form) > 2]
    script = tmp_path / "rounds.py"
    script.write_text(f"""
import sys
from shmctl.cli import main
forms = {forms!r}
seen = set()
for _ in range({race_rounds(12)}):
    for form in forms:
        status = main.run([{name!r} if part == "NAME" else part for part in form])
        assert status in (0, 1), (status, form)
        seen.add(int(status))
sys.stderr.write(f"seen {{sorted(seen)}}")
""")
    path_of(name).write_bytes(b"x" * SIZE)
    with beside(programs["flicker"], str(path_of(name)), str(SIZE)), open(os.devnull, "wb") as null:
        done = subprocess.run(
            [sys.executable, str(script)], stdin=subprocess.DEVNULL, stdout=null, stderr=subprocess.PIPE,
            env=environment({"PYTHONPATH": os.getcwd()}), timeout=race_rounds(120),
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    # The race was run: it was lost at times, and won at times.
    assert done.stderr.endswith(b"seen [0, 1]"), done.stderr[-3000:]
    assert b"internal error" not in done.stderr, done.stderr
    assert b"Traceback" not in done.stderr


LEASE = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
sys.stdin.read()
"""


def test_an_object_that_somebody_has_a_lease_on(name: str) -> None:
    """As 'leaks' and 'gc' have it, for a moment, to learn whether it is in use: that is no failure."""
    path_of(name).write_bytes(b"hello")
    with beside(sys.executable, "-c", LEASE, str(path_of(name)), "0.3"):
        assert run("read", name) == Result(0, b"hello", b"")
    with beside(sys.executable, "-c", LEASE, str(path_of(name)), "60"):
        result = run("write", name, "x")
        assert (result.status, path_of(name).stat().st_size) == (1, 5)
        assert "another process holds a lease on it" in result.errors


def test_an_object_that_shrinks_under_a_slow_reader(name: str) -> None:
    """What is gone cannot be read: an error that says so, after what was read before."""
    path_of(name).write_bytes(b"x" * 2_000_000)
    for form in ([], ["--hex"], ["--text"], ["--json"]):
        os.truncate(path_of(name), 0)
        path_of(name).write_bytes(os.urandom(500_000).replace(b"\0", b"\1") * 4)
        with subprocess.Popen(
            shmctl_argv("read", name, *form),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process:
            assert process.stdout and process.stderr
            assert process.stdout.read(10)
            # The pipe is full now, and most of the object still to come.
            os.truncate(path_of(name), 100)
            out, err = process.communicate(timeout=60)
        assert process.returncode == 1, (form, process.returncode, err)
        assert b"shrank" in err or b"shrunk" in err, err
        assert len(out) < 8_000_000


def test_an_object_that_shrinks_under_a_slow_writer(name: str) -> None:
    """A stream into an object that is cut off meanwhile does not die; pwrite(2) makes it larger again."""
    path_of(name).write_bytes(bytes(1_000_000))
    with subprocess.Popen(
        shmctl_argv("write", name), stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin
        process.stdin.write(b"x" * 400_000)
        process.stdin.flush()
        while path_of(name).read_bytes()[:1] != b"x":
            pass
        os.truncate(path_of(name), 0)
        _, err = process.communicate(b"x" * 100_000, timeout=60)
    survived(Result(process.returncode, b"", err))


def test_an_object_that_is_replaced_meanwhile(name: str) -> None:
    """write --create that fails takes back its own object, not the one that bears the name by then."""
    with subprocess.Popen(
        shmctl_argv("write", name, "--create", "-n", "1G"), stdin=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin
        process.stdin.write(b"x" * 300_000)
        process.stdin.flush()
        while not (path_of(name).exists() and path_of(name).stat().st_size):
            pass
        path_of(name).unlink()
        path_of(name).write_bytes(b"another's")
        process.terminate()
        assert process.wait(60) == 143
    assert path_of(name).read_bytes() == b"another's"


def test_a_semaphore_that_is_replaced_meanwhile(name: str, programs: dict[str, str]) -> None:
    """sem create that a signal ends takes back its own semaphore, never what has its name by then."""
    argv = [programs["swap"], str(path_of(f"/sem.{name[1:]}"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as swapping:
        assert swapping.stdout
        assert swapping.stdout.readline() == b"ready\n"
        created = run_command([sys.executable, "-c", CREATE, name, str(race_rounds(1000))])
        out, _ = swapping.communicate()
    assert created == Result(0, b"", b"")
    swaps, lost = map(int, out.split())
    assert swaps > 100
    assert lost == 0


def test_listing_while_objects_vanish(name: str, programs: dict[str, str]) -> None:
    with beside(programs["churn"], str(path_of(name)) + "-"):
        for args in (["ls"], ["ls", "--json"], ["ls", "-0"], ["ls", "-a"], ["ls", f"{name}*"]) * 3:
            result = run_command(shmctl_argv(*args))
            assert (result.status, result.err) == (0, b""), result


def test_removing_while_objects_vanish(name: str, programs: dict[str, str]) -> None:
    with beside(programs["churn"], str(path_of(name)) + "-"):
        for _ in range(10):
            result = run_command(shmctl_argv("rm", "-f", f"{name}-*"))
            assert (result.status, result.err) == (0, b""), result


def test_two_creators(name: str) -> None:
    """Of many that create the same name exclusively, one wins; with --no-excl all do."""
    argv = shmctl_argv("create", name, "-s", "100")
    running = [subprocess.Popen(argv, stderr=subprocess.DEVNULL) for _ in range(6)]
    assert sorted(process.wait(60) for process in running) == [0, 1, 1, 1, 1, 1]
    assert path_of(name).stat().st_size == 100
    path_of(name).unlink()
    running = [subprocess.Popen([*argv, "--no-excl"], stderr=subprocess.DEVNULL) for _ in range(6)]
    assert [process.wait(60) for process in running] == [0] * 6
    assert path_of(name).stat().st_size == 100


def test_locked_writers(name: str) -> None:
    """--lock keeps two writers of more than a pipe holds apart: what is there is all of one of them."""
    size = 3_000_000
    path_of(name).write_bytes(bytes(size))
    running = [
        subprocess.Popen(shmctl_argv("write", name, "--lock", "--fill", str(byte), "-n", str(size)))
        for byte in (1, 2, 3)
    ]
    while any(process.poll() is None for process in running):
        content = run_command(shmctl_argv("read", name, "--lock"))
        assert content.status == 0
        assert len(set(content.out)) == 1, "half of one and half of another"
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(set(path_of(name).read_bytes())) == 1
