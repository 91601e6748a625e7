"""shmctl sem, with C's sem_open(3) on the other side."""

import itertools
import json
import os
import re
import signal
import stat
import struct
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.sync.processes import SYSTEM_CALLS, Background, Servant, started, until
from tests.support import PREFIX, TIMEOUT, Result, compile_c, done, path_of, run, run_as_nobody, shmctl_argv

MAXIMUM = 2**31 - 1
FUTEX = f"{SYSTEM_CALLS['futex']} "
# Lets a file be an idle semaphore and one that the C library dies of, in turn.
FLIPPER = r"""
#include <fcntl.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    volatile unsigned *words = mmap(0, 32, PROT_READ | PROT_WRITE, MAP_SHARED, open(argv[1], O_RDWR), 0);
    for (;;) {
        words[0] = 0; words[1] = 0; words[2] = 128;
        words[1] = 1; words[2] = ~0u;
    }
}
"""


def file_of(name: str) -> Path:
    """The file behind a semaphore."""
    return path_of(f"/sem.{name[1:]}")


def failed(result: Result, status: int, pattern: str) -> None:
    """One honest sentence, and nothing on standard output."""
    assert (result.status, result.text) == (status, ""), result
    assert re.match(f"shmctl: sem [a-z]+: {pattern}", result.errors), result
    assert "internal error" not in result.errors


def missing(name: str) -> str:
    """The pattern of the error for a semaphore that is not there."""
    return rf"(/sem\.{name[1:]}|{name}): (sem_\w+: )?No such file or directory \(ENOENT\)\n"


# -- with C


def test_made_by_shmctl_used_by_c(name: str, c: Servant) -> None:
    assert done("sem", "create", name, "--value", "2") == ""
    assert c("sem_open", name) == "0"
    assert c("sem_value") == "2"
    assert done("sem", "post", name) == ""
    assert c("sem_value") == "3"
    assert done("sem", "wait", name) == ""
    assert [c("sem_wait"), c("sem_wait"), c("sem_value")] == ["0", "0", "0"]
    assert done("sem", "value", name) == "0\n"
    assert c("sem_unlink", name) == "0"
    failed(run("sem", "value", name), 1, missing(name))


def test_made_by_c_used_by_shmctl(name: str, c: Servant) -> None:
    assert c("sem_make", name, 3) == "0"
    assert done("sem", "value", name) == "3\n"
    assert done("sem", "wait", name) == ""
    assert c("sem_value") == "2"
    assert done("sem", "post", name) == ""
    assert c("sem_value") == "3"
    assert done("sem", "unlink", name) == ""
    assert c("sem_open", name) == "ENOENT"


def test_c_wakes_shmctl(name: str, c: Servant) -> None:
    assert c("sem_make", name, 0) == "0"
    with started("sem", "wait", name) as waiter:
        waiter.until_in("futex")
        assert waiter.running
        assert c("sem_post") == "0"
        assert waiter.end() == Result(0, b"", b"")
    assert c("sem_value") == "0"


def test_shmctl_wakes_c(name: str, c: Servant) -> None:
    done("sem", "create", name)
    assert c("sem_open", name) == "0"
    c.order("sem_wait")
    until(c.asleep, "C waits")
    done("sem", "post", name)
    assert c.answer() == "0"
    assert done("sem", "value", name) == "0\n"


def test_shmctl_wakes_shmctl_one_for_each_post(name: str) -> None:
    done("sem", "create", name)
    with started("sem", "wait", name, "--timeout", "50") as one, started("sem", "wait", name) as other:
        for waiter in (one, other):
            waiter.until_in("futex")
        done("sem", "post", name)
        until(lambda: not (one.running and other.running), "one has ended")
        time.sleep(0.05)
        assert one.running != other.running
        done("sem", "post", name)
        assert one.end() == other.end() == Result(0, b"", b"")
    assert done("sem", "value", name) == "0\n"


# -- create


def test_create(names: list[str]) -> None:
    assert done("sem", "create", *names) == ""
    assert done("sem", "value", *names) == "0\n" * 3
    for each in names:
        assert stat.S_IMODE(file_of(each).stat().st_mode) == 0o600
        assert not path_of(each).exists()


def test_mode_less_the_umask(name: str) -> None:
    before = os.umask(0o027)
    try:
        run("sem", "create", name, "-m", "666")
    finally:
        os.umask(before)
    assert stat.S_IMODE(file_of(name).stat().st_mode) == 0o640


def test_exclusive_is_the_default(name: str) -> None:
    done("sem", "create", name, "--value", "5")
    for option in ([], ["--excl"]):
        failed(run("sem", "create", name, "--value", "1", *option), 1, f"{name}: .*EEXIST")
    kept = run("sem", "create", name, "--value", "1", "--no-excl", "--mode", "644")
    assert (kept.status, kept.out) == (0, b"")
    assert "it exists and keeps its mode, 0600" in kept.errors
    assert done("sem", "value", name) == "5\n"
    assert stat.S_IMODE(file_of(name).stat().st_mode) == 0o600


def test_no_excl_makes_what_is_not_there(name: str) -> None:
    assert done("sem", "create", "--no-excl", "--value", "4", name) == ""
    assert done("sem", "value", name) == "4\n"


def test_the_largest_value_and_overflow(name: str, c: Servant) -> None:
    done("sem", "create", name, "--value", str(MAXIMUM))
    failed(run("sem", "post", name), 1, rf"{name}: .*EOVERFLOW")
    assert done("sem", "value", name) == f"{MAXIMUM}\n"
    assert c("sem_open", name) == "0"
    assert c("sem_post") == "EOVERFLOW"


@pytest.mark.parametrize("value", [str(MAXIMUM + 1), "-1", "many", "1.5"])
def test_values_that_cannot_be(name: str, value: str) -> None:
    assert run("sem", "create", name, "--value", value).status == 2
    assert not file_of(name).exists()


def test_many_operands_go_on_past_a_failure(names: list[str]) -> None:
    done("sem", "create", names[0], names[2], "--value", "1")
    result = run("sem", "value", *names)
    assert (result.status, result.text) == (1, "1\n1\n")
    assert re.fullmatch(f"shmctl: sem [a-z]+: {missing(names[1])}", result.errors), result
    result = run("sem", "post", *names)
    assert result.status == 1
    assert done("sem", "value", names[0], names[2]) == "2\n2\n"
    result = run("sem", "unlink", *names, "-v")
    assert (result.status, result.text) == (1, f"removed {names[0]}\nremoved {names[2]}\n")
    assert not file_of(names[2]).exists()


# -- wait


def test_nonblock(name: str) -> None:
    done("sem", "create", name, "--value", "1")
    assert done("sem", "wait", name, "--nonblock") == ""
    failed(run("sem", "wait", name, "--nonblock"), 1, f"{name}: .*EAGAIN")
    assert done("sem", "value", name) == "0\n"


@pytest.mark.parametrize("seconds", ["0.2", "0"])
def test_timeout(name: str, seconds: str) -> None:
    """Also 0 s are a time, which --nonblock is not."""
    done("sem", "create", name)
    begun = time.monotonic()
    failed(run("sem", "wait", name, "--timeout", seconds), 124, f"{name}: timed out after {seconds} s")
    assert float(seconds) <= time.monotonic() - begun < 20
    done("sem", "post", name)
    assert done("sem", "wait", name, "--timeout", seconds) == ""


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("options", [[], ["--timeout", "60"]], ids=["for ever", "timeout"])
def test_a_signal_while_it_waits(name: str, number: int, status: int, options: list[str]) -> None:
    done("sem", "create", name)
    with started("sem", "wait", name, *options) as waiter:
        waiter.until_in("futex")
        waiter.signal(number)
        assert waiter.end(20) == Result(status, b"", b"")
    done("sem", "post", name)
    assert done("sem", "value", name) == "1\n", "nobody has taken it"


def test_nonblock_and_timeout_exclude_each_other(name: str) -> None:
    assert run("sem", "wait", name, "--nonblock", "--timeout", "1").status == 2


# -- names


def test_every_spelling(name: str) -> None:
    bare = name[1:]
    done("sem", "create", name)
    spellings = [name, bare, f"/sem.{bare}", f"sem.{bare}", f"/dev/shm/sem.{bare}"]
    for each in spellings:
        done("sem", "post", each)
    assert done("sem", "value", *spellings) == "5\n" * 5
    done("sem", "unlink", f"/dev/shm/sem.{bare}")
    assert not file_of(name).exists()


@pytest.mark.parametrize(
    "bad", ["", "/", ".", "..", "/a/b", "sem.", "/sem.", "/sem..", "x" * 252, "sem.a/b", "sem." + "x" * 252]
)
@pytest.mark.parametrize("action", ["create", "value"])
def test_names_that_cannot_be(bad: str, action: str) -> None:
    result = run("sem", action, bad)
    assert (result.status, result.text) == (2, ""), result


def test_the_longest_name(c: Servant) -> None:
    name = "/" + PREFIX + "x" * (251 - len(PREFIX))
    done("sem", "create", name, "--value", "1")
    assert c("sem_open", name) == "0"
    assert c("sem_value") == "1"
    done("sem", "unlink", name)


@pytest.mark.parametrize("end", [b"\xff", b" '\n*", b"-"], ids=["not UTF-8", "hostile", "dash"])
def test_strange_names(name: str, end: bytes) -> None:
    raw = name.encode() + end
    file = b"/dev/shm/sem." + raw[1:]
    assert run("sem", "create", raw, "--value", "7") == Result(0, b"", b"")
    assert os.path.exists(file)
    assert run("sem", "post", raw) == Result(0, b"", b"")
    assert run("sem", "wait", raw, "--nonblock") == Result(0, b"", b"")
    assert run("sem", "value", raw) == Result(0, b"7\n", b"")
    if end == b"\xff":
        listed = json.loads(done("sem", "ls", "--json"))
        found = [record for record in listed if record.get("name_bytes") == file[8:].hex()]
        assert [record["value"] for record in found] == [7]
    assert run("sem", "unlink", raw) == Result(0, b"", b"")
    assert not os.path.exists(file)


# -- what is planted under the name

ACTIONS = [["value"], ["post"], ["wait", "--timeout", "3"], ["create", "--no-excl"]]


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "directory"])
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action[0])
def test_what_is_no_file(name: str, kind: str, action: list[str], tmp_path: Path) -> None:
    """An error at once: it is neither opened, which would block, nor followed."""
    victim = tmp_path / "victim"
    victim.write_bytes(bytes(32))
    if kind == "FIFO":
        os.mkfifo(file_of(name))
    elif kind == "directory":
        file_of(name).mkdir()
    else:
        file_of(name).symlink_to(victim)
    failed(run("sem", *action, name), 1, f"(/sem\\.{name[1:]}|{name}): it is a {kind}")
    assert victim.read_bytes() == bytes(32)


@pytest.mark.parametrize("size", [0, 16])
@pytest.mark.parametrize("action", [*ACTIONS[:3], ["wait", "--nonblock"]], ids=" ".join)
def test_a_file_too_short_for_a_semaphore(name: str, size: int, action: list[str]) -> None:
    """The C library would map it, and die, or wait for what nobody can post."""
    file_of(name).write_bytes(bytes(size))
    result = run("sem", *action, name)
    assert result.status == 1, result
    assert result.errors.startswith("shmctl: sem "), result


@pytest.mark.parametrize("options", [[], ["--timeout", "0.5"]], ids=["for ever", "timeout"])
def test_shrunk_while_it_waits(name: str, options: list[str]) -> None:
    """It ends as it would otherwise, or with an error; never by SIGBUS, and never after its time."""
    done("sem", "create", name)
    with started("sem", "wait", name, *options) as waiter:
        waiter.until_in("futex")
        os.truncate(file_of(name), 0)
        if not options:
            waiter.signal(signal.SIGTERM)
        result = waiter.end(20)
    assert result.status in ((1, 124) if options else (1, 143)), result
    assert "Traceback" not in result.errors
    assert "internal error" not in result.errors


@pytest.mark.needs_root
def test_not_allowed(name: str) -> None:
    done("sem", "create", name)
    for action in ("post", "value", "wait"):
        result = run_as_nobody("sem", action, name)
        assert result.status == 1, result
        assert re.search("Permission denied \\(EACCES\\)", result.errors), result
    assert done("sem", "value", name) == "0\n"


# -- ls, stat


def test_ls(names: list[str]) -> None:
    names = sorted(names)
    for value, each in enumerate(names):
        done("sem", "create", each, "--value", str(value), "-m", "600")
    path_of(names[0]).touch()
    lines = done("sem", "ls", f"{PREFIX}*").splitlines()
    assert lines[0].split() == ["NAME", "VALUE", "MODE", "OWNER", "MODIFIED"]
    assert [line.split()[:3] for line in lines[1:]] == [
        [each, str(value), "-rw-------"] for value, each in enumerate(names)
    ]
    assert done("sem", "ls", names[1]).splitlines()[1].split()[0] == names[1]
    assert done("sem", "ls", f"/sem.{names[2][1:]}").splitlines()[1].split()[:2] == [names[2], "2"]


def test_ls_json(name: str) -> None:
    done("sem", "create", name, "--value", "6")
    (record,) = json.loads(done("sem", "ls", name, "--json"))
    assert record["semaphore"] == name
    assert record["name"] == f"/sem.{name[1:]}"
    assert record["value"] == 6
    assert (record["kind"], record["mode"], record["size"]) == ("semaphore", "0600", 32)
    assert done("sem", "ls", f"{name}-none", "--json") == "[]\n"


def test_ls_of_what_is_none(names: list[str], tmp_path: Path) -> None:
    """A short file has no value, and what is no file is not listed; nothing hangs or dies."""
    file_of(names[0]).write_bytes(b"short")
    os.mkfifo(file_of(names[1]))
    file_of(names[2]).symlink_to(tmp_path)
    (record,) = json.loads(done("sem", "ls", f"{PREFIX}*", "--json"))
    assert (record["semaphore"], record["value"]) == (names[0], None)
    assert done("sem", "ls", names[0]).splitlines()[1].split()[:2] == [names[0], "-"]


def test_stat_shows_the_value(name: str) -> None:
    done("sem", "create", name, "--value", "9")
    file = f"/sem.{name[1:]}"
    assert re.search(r"(?im)^\s*(semaphore )?value\s*:?\s+9$", done("stat", file))
    (record,) = json.loads(done("stat", file, "--json"))
    assert record["value"] == 9


def test_unlink_leaves_users_alone(name: str, c: Servant) -> None:
    assert c("sem_make", name, 1) == "0"
    assert done("sem", "unlink", name, "--verbose") == f"removed {name}\n"
    assert c("sem_wait") == "0"
    failed(run("sem", "unlink", name), 1, missing(name))


def test_unlink_of_an_object_is_not_done(name: str) -> None:
    """Only what is called sem. is a semaphore."""
    path_of(name).touch()
    assert run("sem", "unlink", name).status == 1
    assert path_of(name).exists()


def test_usage(name: str) -> None:
    for arguments in (["post"], ["wait"], ["wait", name, name], ["create"], ["unlink"], ["raise", name]):
        assert run("sem", *arguments).status == 2, arguments


# -- files that others may write to

GARBAGE = {
    "all ones": b"\xff" * 32,
    "neither private nor shared": struct.pack("4I16x", 0, 1, 1, 0),
    "a value that cannot be": struct.pack("=QI20x", 2**31, 128),
    "too long": bytes(33),
}


def plant(name: str, content: bytes, mode: int = 0o666) -> None:
    file_of(name).write_bytes(content)
    file_of(name).chmod(mode)


@pytest.mark.parametrize("mode", [0o666, 0o600])
@pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE)
def test_bytes_that_are_no_semaphore(name: str, content: bytes, mode: int) -> None:
    """The C library would abort, or never return, or show a number that nobody has stored."""
    plant(name, content, mode)
    for action in (["value"], ["post"], ["wait", "--timeout", "3"], ["wait", "--nonblock"]):
        failed(run("sem", *action, name), 1, rf"{name}: its file is no semaphore: .*\(EINVAL\)\n$")
    assert file_of(name).read_bytes() == content
    (record,) = json.loads(done("sem", "ls", name, "--json"))
    assert record["value"] is None
    assert done("sem", "ls", name).splitlines()[1].split()[:2] == [name, "-"]
    assert json.loads(done("stat", f"/sem.{name[1:]}", "--json"))[0]["value"] is None


def test_a_batch_goes_on_past_bytes_that_are_no_semaphore(names: list[str]) -> None:
    plant(names[0], GARBAGE["all ones"])
    done("sem", "create", names[1])
    result = run(
        "batch", "-k", stdin=f"sem wait {names[0]}\nsem post {names[1]}\nsem value {names[1]}\n".encode()
    )
    assert (result.status, result.text) == (1, "1\n"), result


def test_what_others_may_write_to_is_used_all_the_same(name: str, c: Servant) -> None:
    assert c("sem_make", name, 2) == "0"
    file_of(name).chmod(0o666)
    assert done("sem", "value", name) == "2\n"
    assert done("sem", "post", name) == ""
    assert c("sem_value") == "3"
    assert done("sem", "wait", name) == ""
    assert done("sem", "wait", name, "--timeout", "20") == ""
    assert done("sem", "wait", name, "--nonblock") == ""
    failed(run("sem", "wait", name, "--nonblock"), 1, f"{name}: its value is 0 .*EAGAIN")
    failed(run("sem", "wait", name, "--timeout", "0.2"), 124, f"{name}: timed out after 0.2 s")
    assert c("sem_value") == "0"
    with started("sem", "wait", name) as waiter:
        waiter.until_in("poll")
        assert c("sem_post") == "0"
        assert waiter.end() == Result(0, b"", b"")
    c.order("sem_wait")
    until(c.asleep, "C waits")
    assert done("sem", "post", name) == ""
    assert c.answer() == "0"
    plant(name, struct.pack("=QI20x", MAXIMUM, 128))
    failed(run("sem", "post", name), 1, rf"{name}: .*EOVERFLOW")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_wait_in_another_process_ends_with_this_one(name: str, number: int, status: int) -> None:
    """Nobody is left who would take the semaphore."""
    done("sem", "create", name, "-m", "600")
    file_of(name).chmod(0o666)
    with started("sem", "wait", name) as waiter:
        waiter.until_in("poll")
        (helper,) = Path(f"/proc/{waiter.pid}/task/{waiter.pid}/children").read_text().split()
        until(lambda: b"sem_wait" in Path(f"/proc/{helper}/cmdline").read_bytes(), "it has been started")
        until(lambda: Path(f"/proc/{helper}/syscall").read_text().startswith(FUTEX), "it waits")
        waiter.signal(number)
        assert waiter.end(20) == Result(status, b"", b"")
        until(lambda: not Path(f"/proc/{helper}").exists(), "it is gone")
    done("sem", "post", name)
    assert done("sem", "value", name) == "1\n", "nobody has taken it"


def test_a_file_that_changes_all_the_time(name: str, tmp_path: Path) -> None:
    """Whatever the C library meets, shmctl does not die of it."""
    plant(name, bytes(32))
    flipper = compile_c(FLIPPER, tmp_path, "flipper")
    aborted = "ended its process (SIGABRT)"
    told = ""
    begun = time.monotonic()
    with Background([flipper, str(file_of(name))]):
        for number in itertools.count():
            if number >= 30 and (aborted in told or time.monotonic() - begun > TIMEOUT):
                break
            action = ["post"] if number % 2 else ["wait", "--timeout", "0.01"]
            result = run("sem", *action, name)
            assert result.status in (0, 1, 124), result
            assert "internal error" not in result.errors and "futex" not in result.errors
            told += result.errors
    assert aborted in told


def test_a_semaphore_of_32_bit_programs_is_called_that(name: str) -> None:
    plant(name, struct.pack("4I", 5 << 1, 128, 0, 0))
    failed(run("sem", "post", name), 1, rf"{name}: it is a semaphore of 32-bit programs \(16 bytes\)")
    assert done("sem", "ls", name).splitlines()[1].split()[:2] == [name, "-"]


# -- a name that changes hands while it is made


def test_what_has_taken_the_name_meanwhile_is_left_alone(name: str, tmp_path: Path) -> None:
    """Between sem_open(3) and the look at the file somebody else puts a link there, which is an error."""
    log = tmp_path / "log"
    delay = ["-P", str(file_of(name)), "-e", "inject=openat:delay_enter=1500000", "-e", "trace=openat"]
    argv = ["strace", "-f", "-qq", "-o", str(log), *delay, *shmctl_argv("sem", "create", name)]
    with Background(argv) as creator:
        until(file_of(name).exists, "it is made")
        file_of(name).unlink()
        file_of(name).symlink_to(tmp_path)
        result = creator.end()
    assert "O_PATH" in log.read_text()
    assert result.status == 1, result
    assert file_of(name).is_symlink()


# -- the C library musl, whose semaphores have no prefix

MUSL = """
#include <fcntl.h>
#include <semaphore.h>

int main(int argc, char **argv)
{
    return sem_open(argv[1], O_CREAT | O_EXCL, 0600, 3) == SEM_FAILED;
}
"""


def test_a_semaphore_of_musl_is_no_orphan(names: list[str], tmp_path: Path) -> None:
    """By its name it is an object like any other, and nobody has it open between two uses."""
    program = compile_c(MUSL, tmp_path, compiler="musl-gcc")
    subprocess.run([program, names[0]], check=True)
    assert path_of(names[0]).stat().st_size == 32
    path_of(names[1]).write_bytes(b"an object of thirty-two bytes...")
    path_of(names[2]).write_bytes(bytes(64))
    judged = json.loads(done("leaks", "--min-age", "0", "--json", *names))
    assert [each["verdict"] for each in judged] == ["kept", "orphan", "orphan"]
    assert judged[0]["reasons"][-1] == (
        "it may be a semaphore of a program built with musl, idle between uses (see --semaphores)"
    )
    done("gc", "--yes", "--min-age", "0", names[0])
    assert path_of(names[0]).exists()
    done("gc", "--yes", "--semaphores", "--min-age", "0", names[0])
    assert not path_of(names[0]).exists()
