"""gc: removes orphans only, after a plan and a yes; what is in doubt stays."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import SIZE, Holder, Place, PrivatePlace, complaints, dead_pid, records
from tests.e2e.terminal import Terminal, without_styles
from tests.support import NOBODY, Result, run, shmctl_argv

NOW = ("--min-age", "0")


def left_in(place: Place) -> set[str]:
    return {"/" + entry for entry in os.listdir(place.path(""))}


# The plan


def test_without_yes_nothing_is_removed(names: list[str], shared: Place) -> None:
    """In a pipe it shows the plan, and says how to go on."""
    for name in names:
        shared.make(name)
    result = run("gc", *NOW, *names, stdin=b"y\n" * 9)
    assert result.status == 0
    assert complaints(result) == ["shmctl: gc: nothing is removed without --yes"]
    assert all(shared.path(name).exists() for name in names)
    heading, *rows = result.text.splitlines()
    assert heading.split() == ["NAME", "ALLOCATED", "OWNER", "REASONS"]
    assert [row.split()[:2] for row in rows[:3]] == [[name, str(SIZE)] for name in names]
    assert rows[-1] == f"3 of 3 objects are orphans to remove, {3 * SIZE} bytes"


def test_without_yes_json(names: list[str], shared: Place) -> None:
    for name in names:
        shared.make(name)
    result = run("gc", *NOW, "--json", *names)
    assert result.status == 0
    found = json.loads(result.out)
    assert [(each["name"], each["removed"], each["freed"]) for each in found] == [
        (name, False, 0) for name in names
    ]
    assert all("--yes" in each["left"] for each in found)
    assert all(shared.path(name).exists() for name in names)


def test_yes(names: list[str], shared: Place) -> None:
    for name in names:
        shared.make(name)
    result = run("gc", *NOW, "--yes", *names[:2])
    assert (result.status, complaints(result)) == (0, []), result
    assert [shared.path(name).exists() for name in names] == [False, False, True]
    assert result.text.splitlines()[-1].startswith("removed 2 of 2 orphans; ")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_name_that_is_missing_keeps_nothing_from_the_others(
    names: list[str], shared: Place, as_json: bool
) -> None:
    """What can be done is done; the rest is reported."""
    there, missing, _ = names
    shared.make(there)
    result = run("gc", *NOW, "--yes", *(["--json"] if as_json else []), there, missing)
    assert result.status == 1
    assert complaints(result) == [f"shmctl: gc: {missing}: No such file or directory (ENOENT)"]
    assert not shared.path(there).exists()
    if as_json:
        assert [(each["name"], each["removed"]) for each in json.loads(result.out)] == [(there, True)]
    else:
        assert result.text.splitlines()[-1].startswith("removed 1 of 1 orphan; ")


def test_a_missing_name_without_yes(names: list[str], shared: Place) -> None:
    """The plan in JSON, too, is printed, and the status tells that a name was not there."""
    shared.make(names[0])
    result = run("gc", *NOW, "--json", *names[:2])
    assert result.status == 1
    assert [(each["name"], each["removed"]) for each in json.loads(result.out)] == [(names[0], False)]
    result = run("gc", *NOW, "--json", names[1])
    assert (result.status, json.loads(result.out)) == (1, [])
    result = run("gc", *NOW, *names[:2])
    assert result.status == 1
    assert complaints(result)[-1] == "shmctl: gc: nothing is removed without --yes"
    assert shared.path(names[0]).exists()


def test_nothing_to_do(name: str) -> None:
    """No question, no error."""
    for args in ([], ["--yes"]):
        result = run("gc", *NOW, *args, name + "*")
        assert (result.status, result.errors) == (0, ""), result
        assert result.text == "0 of 0 objects are orphans to remove, 0 bytes\n"
    for args in ([], ["--yes"]):
        assert records(run("gc", *NOW, "--json", *args, name + "*")) == []


def test_young_ones_stay(name: str, shared: Place) -> None:
    """Ten minutes by default."""
    path = shared.make(name)
    for args in ([], ["--min-age", "1h"]):
        result = run("gc", "--yes", *args, name)
        assert result.status == 0
        assert "0 of 1 object is an orphan to remove" in result.text
    assert path.exists()


# The question


@pytest.mark.parametrize(
    ("answer", "gone"),
    [(b"y\n", True), (b"yes\n", True), (b"n\n", False), (b"\n", False), (b"\x04", False)],
    ids=["y", "yes", "n", "Enter", "Ctrl-D"],
)
def test_it_asks_on_a_terminal(name: str, shared: Place, answer: bytes, gone: bool) -> None:
    path = shared.make(name)
    with Terminal(shmctl_argv("gc", *NOW, name), columns=100) as terminal:
        terminal.until(rb"remove this orphan\?.*")
        shown = without_styles(terminal.shown).decode()
        assert name in shown
        assert "1 of 1 object is an orphan to remove" in shown
        assert path.exists(), "it waits for the answer"
        terminal.wait_until_asleep()
        terminal.type(answer)
        result = terminal.end()
    assert result.status == 0, result
    assert b"Traceback" not in result.out
    assert path.exists() != gone
    assert (b"removed 1 of 1" in result.out) == gone


def test_it_is_interrupted_at_the_question(name: str, shared: Place) -> None:
    path = shared.make(name)
    with Terminal(shmctl_argv("gc", *NOW, name)) as terminal:
        terminal.until(rb"\?")
        terminal.wait_until_asleep()
        terminal.type(b"\x03")
        result = terminal.end()
    assert (result.status, path.exists()) == (130, True), result


def test_it_does_not_ask_for_nothing(name: str, shared: Place) -> None:
    shared.make(name)
    with Terminal(shmctl_argv("gc", name)) as terminal:
        result = terminal.end()
    assert (result.status, b"?" in result.out) == (0, False), result


def test_it_does_not_ask_after_yes(name: str, shared: Place) -> None:
    path = shared.make(name)
    with Terminal(shmctl_argv("gc", *NOW, "--yes", name)) as terminal:
        result = terminal.end()
    assert (result.status, b"?" in result.out, path.exists()) == (0, False, False), result


def test_nobody_is_asked_what_he_was_not_shown(name: str, shared: Place) -> None:
    """With --json there is no plan to say yes to: it takes --yes."""
    path = shared.make(name)
    with Terminal(shmctl_argv("gc", *NOW, "--json", name)) as terminal:
        terminal.type(b"y\n")
        result = terminal.end()
    assert result.status == 0
    assert path.exists() or name.encode() in result.out.partition(b"?")[0], result


def test_a_question_needs_both_a_terminal_to_read_and_to_write(name: str, shared: Place) -> None:
    path = shared.make(name)
    script = f'exec "$@" 2>/tmp/{name[1:]}'
    with Terminal(["sh", "-c", script, "sh", *shmctl_argv("gc", *NOW, name)]) as terminal:
        terminal.type(b"y\n")
        result = terminal.end()
    error = Path(f"/tmp/{name[1:]}")
    assert "nothing is removed without --yes" in error.read_text()
    error.unlink()
    assert (result.status, path.exists()) == (0, True)


# What is chosen


def test_keep(names: list[str], shared: Place) -> None:
    for name in names:
        shared.make(name)
    result = run("gc", *NOW, "--yes", *names, "--keep", names[0], "--keep", f"*{names[1][-6:]}")
    assert result.status == 0, result
    assert [shared.path(name).exists() for name in names] == [True, True, False]
    assert "1 of 3 objects is an orphan to remove" in result.text


def test_bad_patterns(name: str, shared: Place) -> None:
    """A --keep that could keep nothing is an error before anything is removed."""
    path = shared.make(name)
    for args in (["--keep", ""], ["--keep", "a/b"], ["a/b"], [""]):
        result = run("gc", *NOW, "--yes", *args, name)
        assert (result.status, path.exists()) == (2, True), result


@pytest.mark.needs_root
@pytest.mark.parametrize("owner", ["nobody", str(NOBODY)])
def test_owner(names: list[str], shared: Place, owner: str) -> None:
    for name in names:
        shared.make(name)
    os.chown(shared.path(names[1]), NOBODY, NOBODY)
    result = run("gc", *NOW, "--yes", "--owner", owner, *names)
    assert result.status == 0, result
    assert [shared.path(name).exists() for name in names] == [True, False, True]
    assert run("gc", *NOW, "--yes", "--owner", "no-such-user", *names).status == 2


@pytest.mark.needs_root
def test_semaphores(private: PrivatePlace, holder: Holder) -> None:
    """Only when asked for, and never one that somebody has open."""
    private.make("/sem.free", bytes(32))
    private.make("/sem.used", bytes(32))
    with holder("semaphore", "/used", private.enter):
        assert private.run("gc", *NOW, "--yes").status == 0
        assert left_in(private) == {"/sem.free", "/sem.used"}
        assert private.run("gc", *NOW, "--yes", "--semaphores").status == 0
        assert left_in(private) == {"/sem.used"}
    assert private.run("gc", "--semaphores", "--yes").status == 0
    assert left_in(private) == {"/sem.used"}, "it is young"


@pytest.mark.needs_root
def test_only_orphans(private: PrivatePlace, holder: Holder) -> None:
    for name in ("/free", "/used", "/sem.x", "/libpod_lock", "/" + "n" * 200, "/ odd \n\x1b[31m", "/-rf"):
        private.make(name)
    private.make("/fresh", b"")
    private.make(f"/torch_{os.getpid()}_1_1")
    private.path("/directory").mkdir()
    private.path("/directory/file").write_bytes(b"x")
    private.path("/link").symlink_to("/dev/shm/free")
    os.mkfifo(private.path("/fifo"))
    for way in ("PROT_NONE mapping", "in flight"):
        private.make("/" + way)
    with (
        holder("read-only fd", "/dev/shm/used", private.enter),
        holder("PROT_NONE mapping", "/dev/shm/PROT_NONE mapping", private.enter),
        holder("in flight", "/dev/shm/in flight", private.enter),
    ):
        result = private.run("gc", *NOW, "--yes")
    assert (result.status, complaints(result)) == (0, []), result
    assert "\x1b" not in result.text
    assert left_in(private) == {
        "/used", "/sem.x", "/libpod_lock", "/fresh", f"/torch_{os.getpid()}_1_1", "/directory", "/link",
        "/fifo", "/PROT_NONE mapping", "/in flight",
    }  # fmt: skip
    assert private.path("/directory/file").exists()


@pytest.mark.needs_root
def test_every_true_orphan_is_found(private: PrivatePlace) -> None:
    """Whatever its owner, mode and size."""
    pid = dead_pid()
    for number, mode in enumerate((0, 0o200, 0o400, 0o600, 0o4777)):
        for owner in (0, NOBODY, 4711):
            path = private.make(f"/x{number}-{owner}", b"x" * number * 5000 + b"x")
            os.chown(path, owner, owner)
            path.chmod(mode)
    for name in (
        "/psm_01234567",
        "/nccl-AbCdEf",
        f"/mono.{pid}",
        "/pulse-shm-123",
        "/.org.chromium.Chromium.AbCdEf",
    ):
        private.make(name)
    result = private.run("gc", *NOW, "--yes")
    assert (result.status, left_in(private)) == (0, set()), result


# What became of it


@pytest.mark.needs_root
def test_freed_is_what_the_file_system_gave_back(private: PrivatePlace) -> None:
    """Memory, not length: holes are not counted, and what has another name elsewhere stays."""

    def free() -> int:
        vfs = os.statvfs(private.path(""))
        return vfs.f_bfree * vfs.f_frsize

    private.make("/x", bytes(1_000_000))
    private.make("/one", b"x")
    private.make("/twice", bytes(5 * 4096))
    private.path("/directory").mkdir()
    private.path("/directory/second").hardlink_to(private.path("/twice"))
    with private.path("/sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 20)
        file.write(b"x")
    before = free()
    (*found,) = private.records("gc", *NOW, "--yes")
    by_name = {each["name"]: each["freed"] for each in found}
    assert by_name == {"/x": 245 * 4096, "/one": 4096, "/twice": 0, "/sparse": 4096}
    assert sum(by_name.values()) == free() - before
    private.path("/twice").unlink()
    private.make("/x", bytes(1_000_000))
    private.make("/y", bytes(4096))
    before = free()
    text = private.run("gc", *NOW, "--yes").text
    assert text.splitlines()[-1] == f"removed 2 of 2 orphans; {free() - before} bytes freed"


def test_json_of_what_was_removed(names: list[str], shared: Place, holder: Holder) -> None:
    for name in names:
        shared.make(name)
    with holder("fd", shared.path(names[1])):
        found = shared.records("gc", *NOW, "--yes", *names)
    assert [(each["name"], each["removed"], each["left"]) for each in found] == [
        (names[0], True, None), (names[2], True, None),
    ]  # fmt: skip
    assert {"verdict", "reasons", "software", "creator_pid", "freed", "inode", "size"} < set(found[0])
    assert found[0]["verdict"] == "orphan"


def test_two_at_once(name: str, shared: Place) -> None:
    """Each object goes once, and neither run fails for what the other did."""
    many = [f"{name}-{number}" for number in range(100)]
    for each in many:
        shared.make(each, b"x")
    argv = shmctl_argv("gc", *NOW, "--yes", "--json", name + "-*")
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    removed: list[str] = []
    for process in running:
        out, err = process.communicate(timeout=60)
        found = records(Result(process.returncode, out, err))
        removed += [each["name"] for each in found if each["removed"]]
    assert len(removed) == len(set(removed))
    # What one took for another's use is left, and goes with the next run.
    rest = records(run("gc", *NOW, "--yes", "--json", name + "-*"))
    assert sorted(removed + [each["name"] for each in rest if each["removed"]]) == sorted(many)
    assert not any(shared.path(each).exists() for each in many)


@pytest.mark.needs_root
def test_read_only_file_system(private: PrivatePlace) -> None:
    """Orphans are found and cannot be removed."""
    private.make("/x")
    subprocess.run([*private.enter, "mount", "-o", "remount,ro", "/dev/shm"], check=True)
    result = private.run("gc", *NOW, "--yes")
    assert (result.status, left_in(private)) == (1, {"/x"}), result
    assert "shmctl: gc: /x: /dev/shm is mounted read-only (EROFS)" in result.errors
    assert "left /x: unlink failed (EROFS)" in result.text


@pytest.mark.needs_root
def test_what_cannot_be_removed(private: PrivatePlace) -> None:
    """An object that may not be removed is left with the reason; the rest goes."""
    for name in ("/x", "/y"):
        private.make(name)
    subprocess.run([*private.enter, "mount", "--bind", "/dev/shm/x", "/dev/shm/x"], check=True)
    result = private.run("gc", *NOW, "--yes")
    assert result.status == 1, result
    assert left_in(private) >= {"/x"}
    assert not private.path("/y").exists()
    assert re.search(r"^shmctl: gc: /x: .*\(EBUSY\)$", result.errors, re.MULTILINE), result
    assert "left /x: unlink failed (EBUSY)" in result.text


# A set, and the creator's, at the question


@pytest.mark.needs_root
def test_set_of_which_a_member_came_into_use_meanwhile(private: PrivatePlace, holder: Holder) -> None:
    """Objects that belong together stay together, also while the question stands."""
    for name in ("/fastrtps_port7400", "/fastrtps_port7400_el"):
        private.make(name)
    with Terminal([*private.enter, *shmctl_argv("gc", *NOW)], columns=200) as terminal:
        terminal.until(rb"remove .*\?")
        with holder("flock", "/dev/shm/fastrtps_port7400_el", private.enter):
            terminal.type(b"y\n")
            result = terminal.end()
    assert left_in(private) == {"/fastrtps_port7400", "/fastrtps_port7400_el"}, result
