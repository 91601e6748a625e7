"""Names that change hands at the worst moment: what was looked at is what is changed or removed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.terminal import Terminal, without_styles
from tests.support import (
    NOBODY,
    TIMEOUT,
    as_nobody,
    compile_c,
    done,
    environment,
    path_of,
    python_for_all,
    race_rounds,
    run,
    run_as_nobody,
    shmctl_argv,
)

pytestmark = pytest.mark.long

# Lets argv[1] be an object and a link to argv[2], in turn, without pause, and never nothing.
SWAPPER = r"""
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char link[400], object[400];
    snprintf(link, sizeof link, "%s-link", argv[1]);
    snprintf(object, sizeof object, "%s-object", argv[1]);
    puts("ready");
    fflush(stdout);
    for (;;) {
        if (symlink(argv[2], link) || rename(link, argv[1])) { perror("link"); return 3; }
        close(open(object, O_RDWR | O_CREAT, 0600));
        if (rename(object, argv[1])) { perror("object"); return 3; }
    }
}
"""
# Runs a command 1000 times in one process; says how often it succeeded and how often it failed.
ROUNDS = """
import ast, sys
from shmctl.cli import main
args = ast.literal_eval(sys.argv[1])
statuses = [int(main.run(args)) for _ in range(1000)]
print(statuses.count(0), statuses.count(1), len(statuses))
"""


@pytest.fixture(scope="session")
def swapper(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c(SWAPPER, tmp_path_factory.mktemp("swapper"), "swapper")


@contextmanager
def swapping(swapper: str, name: str, target: Path) -> Iterator[None]:
    path_of(name).touch()
    with subprocess.Popen([swapper, str(path_of(name)), str(target)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"ready\n"
            yield
            assert process.poll() is None
        finally:
            process.kill()


CHANGES = [
    ["chmod", "4777", "NAME"],
    ["chown", f"{NOBODY}:{NOBODY}", "NAME"],
    ["truncate", "NAME", "-s", "0"],
    ["write", "NAME", "evil", "--grow"],
    ["write", "NAME", "evil", "--create", "--exact"],
    ["create", "NAME", "--no-excl", "--trunc", "-s", "5"],
]


@pytest.mark.needs_root
@pytest.mark.parametrize("command", CHANGES, ids=" ".join)
def test_a_name_that_turns_into_a_link_and_back(
    name: str, command: list[str], swapper: str, tmp_path: Path
) -> None:
    """Root changes the object, or nothing; never what the link leads to."""
    target = tmp_path / "target"
    target.write_text("precious")
    target.chmod(0o600)
    before = target.stat()
    args = [name if word == "NAME" else word for word in command]
    won = lost = 0
    with swapping(swapper, name, target):
        for _ in range(race_rounds(20)):
            result = subprocess.run(
                [sys.executable, "-c", ROUNDS, repr(args)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL, env=environment(), timeout=TIMEOUT, check=True,
            )  # fmt: skip
            good, bad, all_of_them = map(int, result.stdout.split())
            assert good + bad == all_of_them
            won, lost = won + good, lost + bad
            # As often as that, a command that goes by the name again has met the link.
            if min(won, lost) > race_rounds(1000):
                break
    assert won and lost, "the race was never run"
    after = target.stat()
    assert target.read_text() == "precious"
    assert (after.st_mode, after.st_uid, after.st_gid, after.st_ino) == (
        before.st_mode, before.st_uid, before.st_gid, before.st_ino,
    )  # fmt: skip


def replace(name: str, make: Callable[[Path], object] = lambda path: path.write_bytes(b"another's")) -> int:
    """Another one takes the name; its inode."""
    other = path_of(name + "-other")
    make(other)
    other.rename(path_of(name))
    return os.lstat(path_of(name)).st_ino


def answered(name: str, question: bytes, args: list[str], make: Callable[[Path], object]) -> tuple[int, str]:
    """The name changes hands while the user thinks, who then says yes; status and what was shown."""
    with Terminal(shmctl_argv(*args, name), columns=200) as terminal:
        terminal.until(question)
        terminal.wait_until_asleep()
        inode = replace(name, make)
        terminal.type(b"y\n")
        result = terminal.end()
    assert os.lstat(path_of(name)).st_ino == inode, "the other one is there still"
    return result.status, without_styles(result.out).decode()


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"another's"), os.mkfifo, lambda path: path.symlink_to("/")],
    ids=["object", "FIFO", "link"],
)  # fmt: skip
def test_rm_removes_what_it_asked_about(name: str, make: Callable[[Path], object]) -> None:
    path_of(name).write_bytes(b"shown")
    status, shown = answered(name, rb"remove .*\?", ["rm", "-i"], make)
    assert status == 1
    assert f"shmctl: rm: {name}: another object has taken this name since; it is left alone (ESTALE)" in shown


def test_rm_of_what_went_while_it_asked(name: str) -> None:
    path_of(name).write_bytes(b"shown")
    with Terminal(shmctl_argv("rm", "-i", name)) as terminal:
        terminal.until(rb"remove .*\?")
        path_of(name).unlink()
        terminal.type(b"y\n")
        result = terminal.end()
    assert result.status == 1
    assert b"ENOENT" in result.out


@pytest.mark.parametrize(
    "make", [lambda path: path.write_bytes(b"another's"), lambda path: path.touch(), os.mkfifo],
    ids=["object", "empty", "FIFO"],
)  # fmt: skip
def test_gc_removes_what_it_asked_about(name: str, make: Callable[[Path], object]) -> None:
    """Also one that is an orphan by itself stays: nobody was asked about that."""
    path_of(name).write_bytes(b"shown")
    status, shown = answered(name, rb"remove this orphan\?", ["gc", "--min-age", "0"], make)
    assert status == 0
    assert "left" in shown and "removed 0 of 1 orphan" in shown


def test_gc_leaves_what_was_written_to_while_it_asked(name: str) -> None:
    path_of(name).write_bytes(b"shown")
    with Terminal(shmctl_argv("gc", "--min-age", "0", name), columns=200) as terminal:
        terminal.until(rb"remove this orphan\?")
        path_of(name).write_bytes(b"in use after all")
        terminal.type(b"y\n")
        assert b"removed 0 of 1" in terminal.end().out
    assert path_of(name).read_bytes() == b"in use after all"


# Refusals that name the owner

REFUSED = [
    ["read", "NAME"],
    ["write", "NAME", "x"],
    ["write", "NAME", "x", "--create"],
    ["write", "NAME", "x", "--create", "--atomic", "--replace"],
    ["create", "NAME", "--no-excl"],
    ["create", "NAME", "--atomic", "--replace"],
    ["truncate", "NAME", "-s", "1"],
    ["chmod", "666", "NAME"],
    ["chown", "nobody", "NAME"],
    ["lock", "NAME", "--", "true"],
    ["wait", "NAME", "--type", "int8", "== 1", "--timeout", "5"],
    ["rm", "NAME"],
    ["unlink", "NAME"],
    ["sem", "value", "NAME"],
    ["sem", "post", "NAME"],
    ["sem", "wait", "NAME", "--nonblock"],
    ["sem", "unlink", "NAME"],
]


@pytest.mark.needs_root
@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_a_refusal_says_whose_it_is(name: str, command: list[str]) -> None:
    """In the sticky /dev/shm, where another user's object can be neither used nor removed."""
    for path in (path_of(name), path_of(f"/sem.{name[1:]}")):
        path.write_bytes(bytes(32))
        path.chmod(0o600)
        os.chown(path, 1, 1)
    result = run_as_nobody(*(name if word == "NAME" else word for word in command))
    assert result.status == 1, result
    error, hint = result.errors.splitlines()
    verb = " ".join(command[: 2 if command[0] == "sem" else 1])
    assert error.startswith(f"shmctl: {verb}: {name}: ")
    assert error.endswith(("Permission denied (EACCES)", "Operation not permitted (EPERM)"))
    assert hint.startswith("hint: it is daemon:daemon's, with mode -rw-------")
    removal = command[0] in ("rm", "unlink") or "--replace" in command or "sem unlink" in " ".join(command)
    assert ("sticky" in hint) == removal
    assert path_of(name).read_bytes() == bytes(32)


@pytest.mark.needs_root
@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_a_refusal_to_remove_what_is_no_object_says_it_too(name: str, kind: str) -> None:
    path = path_of(name)
    {"fifo": os.mkfifo, "directory": os.mkdir, "link": lambda link: os.symlink("/", link)}[kind](path)
    os.chown(path, 1, 1, follow_symlinks=False)
    for command in ("rm", "unlink"):
        result = run_as_nobody(command, name)
        assert result.status == 1
        assert "hint: it is daemon:daemon's" in result.errors
    assert os.path.lexists(path)


# Leases

LEASE_HOLDER = """
import fcntl, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDONLY)

def asked(*_):
    if "polite" in sys.argv:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

signal.signal(signal.SIGIO, asked)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("ready", flush=True)
while True:
    signal.pause()
"""


@contextmanager
def leased(path: Path, manner: str = "rude") -> Iterator[None]:
    """While another user has a lease on the object; a polite one lets go when asked."""
    argv = [python_for_all(), "-c", LEASE_HOLDER, str(path), manner]
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
        argv = [str(word) for word in as_nobody(argv)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout and process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()


@pytest.mark.parametrize(
    "command",
    [
        ["read", "NAME"], ["write", "NAME", "x"], ["truncate", "NAME", "-s", "1"], ["chmod", "600", "NAME"],
        ["lock", "NAME", "--", "true"], ["sem", "value", "SEM"], ["sem", "post", "SEM"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_lease_holds_nobody_up(name: str, command: list[str]) -> None:
    """Its holder would have 45 seconds to let go, and a blocking open would wait for that."""
    file = path_of(f"/sem.{name[1:]}")
    file.write_bytes(bytes(32))
    words = {"NAME": f"/sem.{name[1:]}", "SEM": name}
    with leased(file):
        result = run(*(words.get(word, word) for word in command))
    assert (result.status, result.out) == (1, b"")
    assert "another process holds a lease on it (EAGAIN)" in result.errors
    assert file.read_bytes() == bytes(32)


def test_a_lease_does_not_hold_up_lists_either(name: str) -> None:
    file = path_of(f"/sem.{name[1:]}")
    file.write_bytes(bytes([7]) + bytes(31))
    assert done("sem", "ls", name).splitlines()[1].split()[:2] == [name, "7"]
    with leased(file):
        assert done("sem", "ls", name).splitlines()[1].split()[:2] == [name, "-"]
        assert "cannot be read" in done("stat", f"/sem.{name[1:]}")
        verdict = done("leaks", f"/sem.{name[1:]}").splitlines()[1]
        assert " held " in verdict and "another process holds a lease on it" in verdict


def test_a_lease_that_goes_at_once_is_no_error(name: str) -> None:
    """leaks holds one on each object for a moment: who opens an object just then gets it all the same."""
    path_of(name).write_bytes(b"content")
    for _ in range(3):
        with leased(path_of(name), "polite"):
            assert done("read", name) == "content"


# Directories


@pytest.mark.needs_root
def test_df_enters_no_link_and_gives_up_on_no_depth(name: str, tmp_path: Path) -> None:
    """Anybody can make a directory a thousand levels deep, or a link to one elsewhere.

    That one is on the same file system here, where nothing else tells that it does not belong there.
    """
    elsewhere = tmp_path / "elsewhere"
    script = f"""
mount -t tmpfs tmpfs {tmp_path} && mkdir {elsewhere} && head -c 100000 /dev/zero > {elsewhere}/file
mkdir -m 1777 {tmp_path}/shm && mount --bind {tmp_path}/shm /dev/shm
ln -s {elsewhere} /dev/shm/link && mkdir /dev/shm/d && ln -s {elsewhere} /dev/shm/d/link
printf x > /dev/shm/d/x
{sys.executable} -c '
import os
os.chdir("/dev/shm/d")
for _ in range(1200):
    os.mkdir("d")
    os.chdir("d")
'
exec "$@"
"""
    argv = ["unshare", "-m", "sh", "-c", script, "sh", *shmctl_argv("df", "--json")]
    result = subprocess.run(argv, capture_output=True, env=environment(), timeout=TIMEOUT)
    assert result.returncode == 0, result.stderr
    assert b'"in directories": 4096' in result.stdout
    assert b"internal error" not in result.stderr


def test_the_count_of_hard_links_is_shown(name: str) -> None:
    path_of(name).write_bytes(b"content")
    path_of(name + "-2").hardlink_to(path_of(name))
    assert done("ls", "-o", "name,nlink", "--no-headings", name).split() == [name, "2"]
    assert "st_nlink    2" in done("stat", name)
