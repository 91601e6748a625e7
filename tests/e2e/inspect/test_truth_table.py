"""Is anybody using this object? A test for each way to use one; no object in use is ever called an orphan."""

import errno
import json
import mmap
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shmctl.cli import main
from shmctl.core import locking, posix
from shmctl.core.errors import ShmError
from shmctl.core.inspect.gc import remove_orphan
from shmctl.core.inspect.verdicts import Judgement, Verdict
from shmctl.core.names import parse_name
from shmctl.core.objects.describe import describe
from tests.e2e.inspect.holding import (
    SIZE,
    UNINSPECTED,
    Holder,
    Holding,
    Place,
    PrivatePlace,
    complaints,
    private_place,
    records,
    sleeper,
)
from tests.e2e.terminal import Terminal
from tests.support import (
    AS_NOBODY,
    Result,
    as_nobody,
    compile_c,
    environment,
    python_for_all,
    race_rounds,
    run_command,
    shmctl_argv,
)

IN_USE_UNSEEN = "in use by a process that is not visible from here"


def assert_held(place: Place, name: str, pids: list[int]) -> list[dict[str, Any]]:
    """All commands agree that exactly these processes hold the object; what holders says of them."""
    (verdict,) = place.records("leaks", "--min-age", "0", name)
    assert (verdict["verdict"], verdict["holders"]) == ("held", sorted(pids)), verdict
    assert "in use" in " ".join(verdict["reasons"]) or "open or mapped" in " ".join(verdict["reasons"])
    found = place.records("holders", name)
    assert [record["pid"] for record in found] == sorted(pids), found
    st = place.path(name).stat()
    assert {(each["name"], each["device"], each["inode"]) for each in found} == {(name, st.st_dev, st.st_ino)}
    rows = place.run("holders", name).text.splitlines()
    assert rows[0].split() == ["NAME", "PID", "USER", "COMMAND", "ACCESS", "MAPPED", "FDS"]
    assert [row.split()[:2] for row in rows[1:]] == [[name, str(pid)] for pid in sorted(pids)]
    quiet = place.run("holders", "-q", name)
    assert (quiet.status, quiet.out, complaints(quiet)) == (0, b"", []), quiet
    return found


def assert_held_unseen(place: Place, name: str) -> None:
    """The kernel knows that it is in use, and nothing else does: it is held all the same."""
    (verdict,) = place.records("leaks", "--min-age", "0", name)
    assert (verdict["verdict"], verdict["holders"]) == ("held", []), verdict
    result = place.run("holders", "--json", name)
    (row,) = json.loads(result.out)
    assert (result.status, row["name"], row["pid"], row["fds"]) == (0, name, None, None), result
    (complaint, _) = complaints(result)
    assert complaint == f"shmctl: holders: {name}: {IN_USE_UNSEEN}"
    quiet = place.run("holders", "-q", name)
    assert (quiet.status, quiet.out, complaints(quiet)) == (0, b"", []), quiet


def assert_orphan(place: Place, name: str) -> None:
    """All commands agree that nobody holds the object."""
    (verdict,) = place.records("leaks", "--min-age", "0", name)
    assert (verdict["verdict"], verdict["holders"]) == ("orphan", []), verdict
    assert place.records("holders", name) == []
    quiet = place.run("holders", "-q", name)
    assert (quiet.status, quiet.out, complaints(quiet)) == (1, b"", []), quiet


# How a process holds an object; what holders says of its access, mapped bytes, and how many descriptors.
WAYS = {
    "fd": ("rw", 0, 1),
    "read-only fd": ("r", 0, 1),
    "write-only fd": ("w", 0, 1),
    "two fds": ("rw", 0, 2),
    "mapping": ("rw", SIZE, 0),
    "read-only mapping": ("r", SIZE, 0),
    "PROT_NONE mapping": ("", SIZE, 0),
    "private mapping": ("r", SIZE, 0),
    "fd and mapping": ("rw", SIZE, 1),
    "child": ("rw", 0, 1),
    "flock": ("r", 0, 1),
    "fcntl lock": ("rw", 0, 1),
    "fd, leader dead": ("rw", 0, 1),
    "mapping, leader dead": ("rw", SIZE, 0),
    "fd of a thread alone": ("rw", 0, 1),
}


@pytest.mark.parametrize("way", WAYS)
def test_holder(way: str, name: str, shared: Place, holder: Holder) -> None:
    """A descriptor or a mapping of any kind; the mappings have their descriptors closed."""
    access, mapped, fds = WAYS[way]
    with holder(way, shared.make(name)) as holding:
        (found,) = assert_held(shared, name, [holding.pid])
        assert (found["access"], found["mapped"], len(found["fds"])) == (access, mapped, fds)
        assert (found["command"], found["uid"]) == ("holder", os.geteuid())
        row = shared.run("holders", name).text.splitlines()[1].split()
        assert row[4:6] == [access or "-", str(mapped)]
    assert_orphan(shared, name)


@pytest.mark.needs_root
def test_executable_mapping(name: str, private: PrivatePlace, holder: Holder) -> None:
    """The machine's own /dev/shm may be mounted noexec."""
    private.make(name)
    with holder("executable mapping", "/dev/shm" + name, private.enter) as holding:
        (found,) = assert_held(private, name, [holding.pid])
        assert found["access"] == "rx"
    assert_orphan(private, name)


def test_several_holders(name: str, shared: Place, holder: Holder) -> None:
    path = shared.make(name)
    with holder("fd", path) as one, holder("mapping", path) as two, holder("read-only fd", path) as three:
        assert_held(shared, name, [one.pid, two.pid, three.pid])
    assert_orphan(shared, name)


def test_private_mapping_beside_other_holders(name: str, shared: Place, holder: Holder) -> None:
    """That others show themselves does not hide it."""
    path = shared.make(name)
    with holder("private mapping", path) as one, holder("fd", path) as two:
        assert_held(shared, name, [one.pid, two.pid])


def test_two_names_of_one_object(names: list[str], shared: Place, holder: Holder) -> None:
    """Who holds it by one name holds it by the other, too."""
    one, other, _ = names
    shared.path(other).hardlink_to(shared.make(one))
    with holder("fd", shared.path(one)) as holding:
        for name in (one, other):
            assert_held(shared, name, [holding.pid])
        found = shared.records("holders", one, other)
        assert [(each["name"], each["pid"]) for each in found] == [(one, holding.pid), (other, holding.pid)]


def test_o_path_descriptor_holds_nothing(name: str, shared: Place, holder: Holder) -> None:
    """It takes no memory, and cannot be read from."""
    with holder("O_PATH fd", shared.make(name)):
        assert_orphan(shared, name)


def test_semaphore(name: str, shared: Place, holder: Holder) -> None:
    """Mapped by whoever has it open; kept when nobody has, and an orphan only if that was asked for."""
    posix_name, file_name = name, f"/sem.{name[1:]}"
    script = "import sys, posix_ipc; posix_ipc.Semaphore(sys.argv[1], posix_ipc.O_CREX).close()"
    subprocess.run([sys.executable, "-c", script, posix_name], check=True)
    with holder("semaphore", posix_name) as holding:
        (found,) = assert_held(shared, file_name, [holding.pid])
        assert (found["access"], found["fds"]) == ("rw", [])
    assert shared.verdicts(file_name) == {file_name: "kept"}
    assert shared.run("holders", "-q", file_name).status == 1


def test_descriptor_in_flight(name: str, shared: Place, holder: Holder) -> None:
    """In a socket's buffer, closed by its sender: no process has it, and no scan can show it."""
    with holder("in flight", shared.make(name)):
        assert_held_unseen(shared, name)
    assert_orphan(shared, name)


@pytest.mark.needs_root
def test_holder_in_another_pid_namespace(name: str, shared: Place, holder: Holder) -> None:
    """Seen from outside it is a process like any other."""
    with holder("mapping", shared.make(name), ["unshare", "-p", "-f"]) as holding:
        assert holding.pid != 1
        assert_held(shared, name, [holding.pid])
    assert_orphan(shared, name)


def test_patterns(names: list[str], shared: Place, holder: Holder) -> None:
    """A pattern and a name together; what matches twice is shown once."""
    one, two, free = names
    with holder("fd", shared.make(one)) as first, holder("mapping", shared.make(two)) as second:
        shared.make(free)
        found = shared.records("holders", f"{one[:-1]}*", two)
        assert {(each["name"], each["pid"]) for each in found} == {(one, first.pid), (two, second.pid)}
        assert len(found) == 2
        assert shared.run("holders", "-q", f"*{two[1:]}").status == 0
        assert shared.run("holders", "-q", f"*{free[1:]}").status == 1
    result = shared.run("holders", f"{one}-*", f"{one}-missing")
    assert (result.status, result.text.split()[:1]) == (1, ["NAME"])
    assert f"{one}-missing: No such file or directory (ENOENT)" in result.errors


def test_software_of_unlinked_objects(private: PrivatePlace, holder: Holder) -> None:
    """One row for each holder."""
    path = private.make("/nccl-a1B2c3")
    with (
        holder("fd", "/dev/shm/nccl-a1B2c3", private.enter) as one,
        holder("mapping", "/dev/shm/nccl-a1B2c3", private.enter) as two,
    ):
        path.unlink()
        found = private.records("holders", "--unlinked")
        rows = private.run("holders", "--unlinked").text.splitlines()
    assert [(each["pid"], each["software"]) for each in found] == [
        (pid, "NCCL") for pid in sorted((one.pid, two.pid))
    ]
    assert [row.split()[-1] for row in rows] == ["SOFTWARE", "NCCL"]


class Inside(Place):
    """The machine's /dev/shm, looked at from a PID namespace in which nobody else lives."""

    enter = ("unshare", "-p", "-f", "--mount-proc")


@pytest.mark.needs_root
@pytest.mark.parametrize("way", ["fd", "read-only fd", "PROT_NONE mapping", "private mapping"])
def test_holder_outside_of_our_pid_namespace(name: str, shared: Place, holder: Holder, way: str) -> None:
    """No /proc shows it; the kernel knows."""
    with holder(way, shared.make(name)):
        assert_held_unseen(Inside(), name)
    assert_orphan(Inside(), name)


# Mounts the machine's /dev/shm elsewhere, and on /dev/shm another tmpfs with an object of the same name.
ELSEWHERE = """
mount --bind /dev/shm {0} && mount -t tmpfs -o size=1m tmpfs /dev/shm && head -c 8192 /dev/zero >/dev/shm{1}
exec "$@"
"""


@pytest.mark.needs_root
def test_holder_in_another_mount_namespace(name: str, shared: Place, holder: Holder, tmp_path: Path) -> None:
    """It has the same tmpfs, under the same path or another."""
    path = shared.make(name)
    with holder("mapping", path, ["unshare", "-m"]) as holding:
        assert_held(shared, name, [holding.pid])
    there = ["unshare", "-m", "sh", "-c", ELSEWHERE.format(tmp_path, name), "sh"]
    for way in ("mapping", "fd"):
        with holder(way, f"{tmp_path}{name}", there) as holding:
            assert_held(shared, name, [holding.pid])
    assert_orphan(shared, name)


@pytest.mark.needs_root
@pytest.mark.parametrize("way", ["mapping", "fd"])
def test_holder_of_the_same_path_on_another_tmpfs(
    name: str, shared: Place, holder: Holder, tmp_path: Path, way: str
) -> None:
    """It holds another object of that name, and neither is taken for the other's holder."""
    path = shared.make(name)
    there = ["unshare", "-m", "sh", "-c", ELSEWHERE.format(tmp_path, name), "sh"]
    with holder(way, path, there):
        assert_orphan(shared, name)


def test_unlinked_and_made_again(name: str, shared: Place, holder: Holder) -> None:
    """Who holds the old object does not hold the new one, although the path is the same."""
    path = shared.make(name)
    inode = path.stat().st_ino
    with holder("mapping", path) as old:
        path.unlink()
        shared.make(name)
        assert path.stat().st_ino != inode
        assert_orphan(shared, name)
        with holder("fd", path) as new:
            assert_held(shared, name, [new.pid])
        (unlinked,) = [each for each in shared.records("holders", "--unlinked") if each["inode"] == inode]
        assert unlinked["name"] == name
        assert (unlinked["pid"], unlinked["device"]) == (old.pid, path.stat().st_dev)
        assert (unlinked["size"], unlinked["allocated"]) == (SIZE, SIZE)


@pytest.mark.parametrize("way", ["mapping", "fd"])
def test_live_object_with_a_name_that_looks_deleted(
    name: str, shared: Place, holder: Holder, way: str
) -> None:
    """/proc shows one path for the live object and for the unlinked one: they are told apart all the same."""
    path = shared.make(name)
    unlinked_inode = path.stat().st_ino
    live_name = name + " (deleted)"
    with holder(way, path) as old:
        path.unlink()
        live = shared.make(live_name)
        assert_orphan(shared, live_name)
        with holder(way, live) as new:
            found = shared.records("holders", live_name)
            assert [each["pid"] for each in found] == [new.pid]
            assert shared.run("holders", "-q", live_name).status == 0
            by_inode = {each["inode"]: each for each in shared.records("holders", "--unlinked")}
            assert live.stat().st_ino not in by_inode
            assert by_inode[unlinked_inode]["name"] == name
            assert by_inode[unlinked_inode]["pid"] == old.pid


@pytest.mark.needs_root
def test_live_object_that_looks_deleted_to_an_ordinary_user(name: str, shared: Place, holder: Holder) -> None:
    """Without privilege a mapping shows a path only; the directory shows that the object has its name."""
    live_name = name + " (deleted)"
    path = shared.make(live_name)
    os.chown(path, 65534, 65534)
    with holder("mapping", path, AS_NOBODY) as holding:
        result = shared.run_as_nobody("holders", "--unlinked", "--json")
        assert path.stat().st_ino not in {each["inode"] for each in records(result)}, result
        path.unlink()
        found = records(shared.run_as_nobody("holders", "--unlinked", "--json"))
        (gone,) = [each for each in found if each["pid"] == holding.pid]
        assert gone["name"] == live_name


# Plan and removal


def gc_on_terminal(*args: str) -> Terminal:
    return Terminal(shmctl_argv("gc", "--min-age", "0", *args), columns=200)


def answered(terminal: Terminal, meanwhile: Callable[[], None], answer: bytes = b"y\n") -> str:
    """Let gc ask, do something, answer; all that it showed."""
    terminal.until(rb"remove .*\?")
    meanwhile()
    terminal.type(answer)
    result = terminal.end()
    assert result.status == 0, result
    return result.text.replace("\r\n", "\n")


def test_holder_that_dies_between_plan_and_unlink(names: list[str], shared: Place, holder: Holder) -> None:
    """It is not in the plan, and so it is left; the next run finds it."""
    planned, held, _ = names
    shared.make(planned)
    with holder("mapping", shared.make(held)) as holding, gc_on_terminal(planned, held) as terminal:
        shown = answered(terminal, holding.kill)
    assert (shared.path(planned).exists(), shared.path(held).exists()) == (False, True), shown
    assert held not in shown
    assert_orphan(shared, held)
    result = shared.run("gc", "--min-age", "0", "--yes", held)
    assert (result.status, shared.path(held).exists()) == (0, False), result


@pytest.mark.parametrize("way", ["fd", "read-only fd", "private mapping", "PROT_NONE mapping", "in flight"])
def test_holder_that_opens_between_plan_and_unlink(
    names: list[str], shared: Place, holder: Holder, way: str
) -> None:
    """It is left, and that is told; the rest of the plan is carried out."""
    for each in names[:2]:
        shared.make(each)
    with gc_on_terminal(*names[:2]) as terminal:
        holdings: list[Holding] = []
        try:
            shown = answered(terminal, lambda: holdings.append(holder(way, shared.path(names[0]))))
        finally:
            for holding in holdings:
                holding.end()
    assert (shared.path(names[0]).exists(), shared.path(names[1]).exists()) == (True, False), shown
    assert f"left {names[0]}: it" in shown
    assert "removed 1 of " in shown


def test_object_that_is_replaced_between_plan_and_unlink(name: str, shared: Place) -> None:
    path = shared.make(name)

    def replace() -> None:
        path.unlink()
        path.write_bytes(b"another's")

    with gc_on_terminal(name) as terminal:
        shown = answered(terminal, replace)
    assert path.read_bytes() == b"another's"
    assert f"left {name}: " in shown


def test_object_that_is_gone_between_plan_and_unlink(name: str, shared: Place) -> None:
    path = shared.make(name)
    with gc_on_terminal(name) as terminal:
        shown = answered(terminal, path.unlink)
    assert f"left {name}: it is" in shown


def test_object_that_was_used_between_plan_and_unlink(name: str, shared: Place) -> None:
    """Somebody came, wrote and went: it came into use since the plan, if only for a moment."""
    path = shared.make(name)

    def use() -> None:
        time.sleep(0.05)  # the file system's clock ticks more coarsely than ours
        path.write_bytes(b"news")

    with gc_on_terminal(name) as terminal:
        shown = answered(terminal, use)
    assert path.exists(), shown
    assert path.read_bytes() == b"news"
    assert f"left {name}: " in shown


# Spins on the shared page argv[2] until it names a round; waits as long as the page says; opens argv[1] as
# the page says; stamps when that was done; holds the object until the round is over.
OPENER = r"""
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct page { volatile int64_t start, over, delay, flags, opened_at, error, done; };

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv)
{
    int page_fd = open(argv[2], O_RDWR);
    struct page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
    if (page == MAP_FAILED) return 3;
    printf("%d\n", getpid());
    fflush(stdout);
    for (int64_t round = 1;; round++) {
        while (page->start < round) sched_yield();
        if (page->delay < 0) return 0;
        int64_t until = now() + page->delay;
        while (now() < until) ;
        int fd = open(argv[1], page->flags);
        page->error = fd < 0 ? errno : 0;
        page->opened_at = now();
        __sync_synchronize();
        page->done = round;
        while (page->over < round) sched_yield();
        if (fd >= 0) close(fd);
    }
}
"""
PAGE = struct.Struct("=7q")
ROUNDS = race_rounds(1000)


class Race:
    """A thousand rounds of removing an object that another process opens at about the same time."""

    def __init__(self, program: str, name: str, page_path: Path) -> None:
        self.name = parse_name(name)
        self.path = Path("/dev/shm" + name)
        page_path.write_bytes(bytes(PAGE.size))
        with page_path.open("r+b") as file:
            self.page = mmap.mmap(file.fileno(), PAGE.size)
        self.unlinked_at = 0
        self.process = subprocess.Popen([program, str(self.path), str(page_path)], stdout=subprocess.PIPE)
        assert self.process.stdout and self.process.stdout.readline()

    def get(self, field: int) -> int:
        return int(struct.unpack_from("=q", self.page, 8 * field)[0])

    def put(self, field: int, value: int) -> None:
        struct.pack_into("=q", self.page, 8 * field, value)

    def round(self, number: int, head_start: int, flags: int) -> tuple[str | None, int, int]:
        """Why the object was left, what open(2) said, and by how many ns it was back before unlink(2).

        ``head_start`` is how many ns the opener has before the removal begins; below 0 it waits for so long.
        """
        self.path.write_bytes(b"x")
        plan = Judgement(describe(self.name), Verdict.ORPHAN, ())
        self.unlinked_at = 0
        self.put(2, max(0, -head_start))
        self.put(3, flags)
        self.put(0, number)
        until = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + head_start
        while time.clock_gettime_ns(time.CLOCK_MONOTONIC) < until:
            pass
        removal = remove_orphan(plan)
        while self.get(6) < number:
            os.sched_yield()
        error, opened_at = self.get(5), self.get(4)
        self.put(1, number)
        assert (removal.left is None) == (self.unlinked_at != 0 and not self.path.exists()), removal
        with suppress(FileNotFoundError):
            self.path.unlink()
        return removal.left, error, self.unlinked_at - opened_at if removal.left is None else 0

    def end(self) -> None:
        self.put(2, -1)
        self.put(0, 2**62)
        self.put(1, 2**62)
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture
def race(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Race]:
    running = Race(compile_c(OPENER, tmp_path, "opener"), name, tmp_path / "page")
    real = posix.unlink

    def stamped(*args: Any) -> None:
        running.unlinked_at = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        real(*args)

    # Notes the time of the call, and makes it.
    monkeypatch.setattr(posix, "unlink", stamped)
    yield running
    running.end()


@pytest.mark.long
def test_a_thousand_races_with_an_opener(race: Race) -> None:
    """What was opened before the call of unlink(2) is never removed; and both sides win at times."""
    dice = random.Random(4711)
    head_start, step, before = 0, 1000, False
    lost, outcomes = [], []
    for number in range(1, 1 + ROUNDS):
        flags = dice.choice([os.O_RDONLY, os.O_RDWR, os.O_RDONLY | os.O_NONBLOCK])
        left, error, early = race.round(number, head_start + dice.randrange(-30_000, 30_000), flags)
        assert error in (0, errno.ENOENT, errno.EWOULDBLOCK), errno.errorcode[error]
        removed = left is None
        if removed and error == 0 and early > 0:
            lost.append((number, early))
        outcomes.append((removed, error))
        # Whoever wins gives the other a start, and a longer one each time: so they meet on any machine.
        step = min(2 * step, 500_000) if removed == before else 1000
        before = removed
        head_start = max(-5_000_000, min(5_000_000, head_start + (step if removed else -step)))
    assert not lost, f"{len(lost)} objects were removed from under their users: {lost[:5]}"
    # The race was run: removed first, and opened first.
    assert outcomes.count((True, errno.ENOENT)) > ROUNDS // 50, (head_start, outcomes)
    assert outcomes.count((False, 0)) > ROUNDS // 50, (head_start, outcomes)


# Other users


@pytest.mark.needs_root
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_another_users_object(name: str, shared: Place, holder: Holder, mode: int) -> None:
    """The kernel answers its owner and root only: unknown, whether or not somebody holds it."""
    path = shared.make(name)
    path.chmod(mode)

    def verdict() -> dict[str, Any]:
        (found,) = records(shared.run_as_nobody("leaks", "--min-age", "0", "--json", name))
        return found

    def quiet() -> Result:
        return shared.run_as_nobody("holders", "-q", name)

    assert verdict()["verdict"] == "unknown"
    assert "EACCES" in " ".join(verdict()["reasons"])
    with holder("fd", path):
        assert verdict()["verdict"] == "unknown"
        # What cannot be told counts as held, and that is told.
        assert quiet().status == 0
        assert [
            line.startswith(f"shmctl: holders: {name}: taken for held") for line in complaints(quiet())
        ] == [True]
    result = shared.run_as_nobody("gc", "--min-age", "0", "--yes", name)
    assert (result.status, path.exists()) == (0, True), result


@pytest.mark.needs_root
def test_another_users_object_with_evidence(name: str, shared: Place, holder: Holder) -> None:
    """A holder or a lock that shows is proof."""
    path = shared.make(name)
    path.chmod(0o644)
    with holder("read-only mapping", path, AS_NOBODY) as holding:
        (found,) = records(shared.run_as_nobody("leaks", "--json", name))
        assert (found["verdict"], found["holders"]) == ("held", [holding.pid]), found
        assert str(holding.pid) in " ".join(found["reasons"])
        assert shared.run_as_nobody("holders", "-q", name).status == 0
    for way, kind in (("flock", "FLOCK"), ("fcntl lock", "POSIX")):
        with holder(way, path) as holding:
            (found,) = records(shared.run_as_nobody("leaks", "--json", name))
            assert found["verdict"] == "held", found
            assert f"locked ({kind} by PID {holding.pid})" in " ".join(found["reasons"])


@pytest.mark.needs_root
def test_ones_own_object_as_an_ordinary_user(name: str, shared: Place, holder: Holder) -> None:
    """The owner is answered, also about holders that only root may look into."""
    path = shared.make(name)
    os.chown(path, 65534, 65534)
    with holder("PROT_NONE mapping", path):
        (found,) = records(shared.run_as_nobody("leaks", "--min-age", "0", "--json", name))
        assert (found["verdict"], found["holders"]) == ("held", []), found
    (found,) = records(shared.run_as_nobody("leaks", "--min-age", "0", "--json", name))
    assert found["verdict"] == "orphan"
    result = shared.run_as_nobody("gc", "--min-age", "0", "--yes", name)
    assert (result.status, path.exists()) == (0, False), result


@pytest.mark.needs_root
def test_ones_own_process_with_many_mappings(name: str, shared: Place) -> None:
    """Too many to read: the kernel is asked for each."""
    path = shared.make(name, bytes(1000 * SIZE))
    os.chown(path, 65534, 65534)
    code = """
import mmap
fd = os.open(sys.argv[1], os.O_RDWR)
kept = [mmap.mmap(fd, 8192, prot=1 + 2 * (i % 2), offset=8192 * i) for i in range(1000)]
"""
    with sleeper(code, str(path), enter=AS_NOBODY) as pid:
        (found,) = records(shared.run_as_nobody("holders", name, "--json"))
        assert (found["pid"], found["access"], found["mapped"]) == (pid, "rw", 1000 * SIZE)
        # A kernel that does not list the addresses, even to root.
        script = f'mount -t tmpfs tmpfs /proc/{pid}/map_files && exec "$@"'
        argv = shmctl_argv("holders", name, "--json")
        result = run_command(["unshare", "-m", "sh", "-c", script, "sh", *argv])
        assert records(result) == [found]


@pytest.mark.needs_root
def test_uninspected_processes_are_told_in_one_line(name: str, shared: Place, holder: Holder) -> None:
    path = shared.make(name)
    path.chmod(0o644)
    with (
        tempfile.TemporaryFile(dir=path.parent),  # it has no name
        holder("fd", path) as one,
        holder("fd", path),
        holder("fd", path),
    ):
        for args in (["holders", name], ["holders"], ["holders", "--unlinked"]):
            result = shared.run_as_nobody(*args)
            assert result.status == 0, result
            (told,) = uninspected_lines(result)
            assert int(re.findall("[0-9]+", told)[0]) >= 3
            assert told.endswith(" could not be inspected: Permission denied (EACCES)")
            assert "inspected" not in result.text
            (by_pid,) = uninspected_lines(shared.run_as_nobody(*args, "--verbose"))
            assert re.search(rf"inspected: PID .*\b{one.pid}\b.*: Permission denied \(EACCES\)$", by_pid)


def uninspected_lines(result: Result) -> list[str]:
    return [line for line in result.errors.splitlines() if UNINSPECTED.fullmatch(line)]


@pytest.mark.needs_root
def test_uninspected_processes_are_told_where_they_may_matter(
    names: list[str], private: PrivatePlace, holder: Holder
) -> None:
    """Not where the kernel's lease says that nobody holds it, or where all bytes are accounted for."""
    own, theirs, _ = names
    os.chown(private.make(own), 65534, 65534)
    assert uninspected_lines(private.run_as_nobody("holders", own)) == []
    assert uninspected_lines(private.run_as_nobody("holders")) == []
    path = private.make(theirs)
    with holder("fd", "/dev/shm" + own, private.enter), holder("fd", "/dev/shm" + theirs, private.enter):
        assert len(uninspected_lines(private.run_as_nobody("holders", own))) == 1
        assert len(uninspected_lines(private.run_as_nobody("holders"))) == 1
        assert uninspected_lines(private.run_as_nobody("df")) == []
        path.unlink()
        assert len(uninspected_lines(private.run_as_nobody("df"))) == 1


@pytest.mark.needs_root
def test_zombies_and_the_kernels_threads_have_nothing_to_inspect() -> None:
    """They refuse another user, as any process does."""

    script = """
from shmctl.core.inspect.holders import scan_processes
print(*[each.pid for each in scan_processes(()).uninspected])
"""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,vsz="], capture_output=True, check=True).stdout
    kernel = {int(pid) for pid, size in map(bytes.split, listed.splitlines()) if size == b"0"}
    with subprocess.Popen(["true"]) as ended, sleeper() as alive:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        result = run_command(as_nobody([python_for_all(), "-c", script]))
        uninspected = set(map(int, result.text.split()))
        assert alive in uninspected
        assert not uninspected & {ended.pid, *kernel}


@pytest.mark.needs_root
def test_unlinked_object_with_a_carriage_return_in_its_name(name: str, shared: Place, holder: Holder) -> None:
    """Its owner, who is shown the text of the mappings alone, finds it."""
    path = shared.make(name + "a\rb")
    os.chown(path, 65534, 65534)
    with holder("mapping", path, AS_NOBODY) as holding:
        path.unlink()
        found = json.loads(shared.run_as_nobody("holders", "--unlinked", "--json").out)
        assert [each["pid"] for each in found if each["name"] == name + "a\rb"] == [holding.pid]


@pytest.mark.needs_root
def test_a_lock_on_no_file(name: str, shared: Place, tmp_path: Path) -> None:
    """The kernel shows its place as <none>:0; the other locks are still read."""
    st = shared.make(name).stat()
    place = f"{os.major(st.st_dev):02x}:{os.minor(st.st_dev):02x}:{st.st_ino}"
    text = f"1: POSIX  ADVISORY  WRITE 5 <none>:0 0 EOF\n2: FLOCK  ADVISORY  WRITE 4711 {place} 0 EOF\n"
    (tmp_path / "locks").write_text(text)
    argv = as_nobody(shmctl_argv("leaks", "--json", name, python=python_for_all()))
    script = f'mount --bind {tmp_path}/locks /proc/locks && exec "$@"'
    result = run_command(["unshare", "-m", "sh", "-c", script, "sh", *argv], env={"HOME": "/nonexistent"})
    (found,) = json.loads(result.out)
    assert (found["verdict"], found["reasons"]) == ("held", ["it is locked (FLOCK by PID 4711)"]), result


# Places where nothing can be created

# The options of the tmpfs, and what happens once it has its objects.
PLACES = {
    "no inode left": ("nr_inodes=5", "touch /dev/shm/last"),
    "full to the byte": ("size=64k", "cat /dev/zero >/dev/shm/last 2>/dev/null"),
    "read-only": ("size=1m", "mount -o remount,ro /dev/shm"),
    "of mode 0755": ("size=1m,mode=755", ":"),
    "of another user namespace": ("size=1m", ":"),
}
FILL = """
for name in free held sem.idle; do printf %32s x >/dev/shm/$name; done
chown nobody /dev/shm/* 2>/dev/null
"""


@pytest.mark.needs_root
@pytest.mark.parametrize("user", ["root", "owner"])
@pytest.mark.parametrize("where", PLACES)
def test_where_nothing_can_be_created(where: str, user: str, holder: Holder) -> None:
    """The lease is asked of the objects that exist: orphans are found, and removed where that is allowed."""
    options, then = PLACES[where]
    enter, target = [], []
    if where == "of another user namespace":
        enter = [*AS_NOBODY, "unshare", "-U", "-r"]
    with private_place(options, f"{{ {FILL}{then}; true; }}", enter) as place:
        if enter:
            target, place.enter = ["--target", str(place.pid)], ()
        run = place.run_as_nobody if user == "owner" else place.run
        with holder("read-only mapping", f"{place.root}/dev/shm/held"):
            found = records(run(*target, "leaks", "--min-age", "0", "--json"))
            verdicts = {each["name"]: each["verdict"] for each in found if each["name"] != "/last"}
            assert verdicts == {"/free": "orphan", "/held": "held", "/sem.idle": "kept"}
            result = run(*target, "gc", "--min-age", "0", "--yes", "/free", "/held")
            refused = where == "read-only" or (where, user) == ("of mode 0755", "owner")
            assert result.status == refused, result
            assert (place.path("/free").exists(), place.path("/held").exists()) == (refused, True)


@pytest.mark.needs_root
def test_inodes_that_are_used_up_are_named() -> None:
    with private_place("nr_inodes=5") as place:
        for name in ("/a", "/b", "/c", "/d"):
            place.make(name)
        result = place.run("create", "/new")
        assert result.errors == (
            "shmctl: create: /new: No inode left on /dev/shm: all 5 are used (ENOSPC)\n"
            "hint: 4 are root's objects, such as /a; 'shmctl gc' removes what no process uses\n"
        )
        for name in ("/b", "/c", "/d"):
            place.path(name).unlink()
        place.path("/folder").mkdir()
        place.make("/folder/x")
        place.make("/folder/y")
        result = place.run("create", "/new")
        assert "hint: most are in directories or have no name: see 'shmctl df'" in result.errors


@pytest.mark.needs_root
def test_several_shmctl_at_once_are_no_holders(private: PrivatePlace, holder: Holder) -> None:
    """Each has objects open for a moment, and none takes another for a holder; what is held stays so."""
    for number in range(500):
        private.make(f"/{number}", b"x")
    with holder("mapping", "/dev/shm/0", private.enter):
        argv = [*private.enter, *shmctl_argv("leaks", "--min-age", "0", "--json")]
        running = [subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment()) for _ in range(6)]
        for process in running:
            out, _ = process.communicate(timeout=60)
            verdicts = {each["name"]: each["verdict"] for each in json.loads(out)}
            assert verdicts.pop("/0") == "held"
            assert set(verdicts.values()) == {"orphan"}, [n for n, v in verdicts.items() if v != "orphan"]
        argv = [*private.enter, *shmctl_argv("gc", "--min-age", "0", "--yes")]
        running = [subprocess.Popen(argv, stdout=subprocess.PIPE, env=environment()) for _ in range(3)]
        for process in running:
            out, _ = process.communicate(timeout=60)
            assert process.returncode == 0, out
    assert os.listdir(private.path("/")) == ["0"]


@pytest.fixture
def hidepid() -> Iterator[PrivatePlace]:
    with private_place(setup="mount -t proc -o hidepid=2 proc /proc") as place:
        yield place


@pytest.mark.needs_root
def test_hidepid(name: str, hidepid: PrivatePlace, holder: Holder) -> None:
    """Processes of others are not even listed: that nobody is to be seen says nothing."""
    theirs, own = hidepid.make(name), hidepid.make(name + "-own")
    theirs.chmod(0o644)
    os.chown(own, 65534, 65534)

    def verdicts() -> dict[str, str]:
        found = records(hidepid.run_as_nobody("leaks", "--min-age", "0", "--json"))
        return {record["name"]: record["verdict"] for record in found}

    assert verdicts() == {name: "unknown", name + "-own": "orphan"}
    with (
        holder("mapping", "/dev/shm" + name, hidepid.enter) as one,
        holder("mapping", f"/dev/shm{name}-own", hidepid.enter) as two,
    ):
        assert verdicts() == {name: "unknown", name + "-own": "held"}
        assert hidepid.run_as_nobody("holders", "-q", name).status == 0
        # Root is not kept from seeing them.
        assert_held(hidepid, name, [one.pid])
        assert_held(hidepid, name + "-own", [two.pid])


@pytest.mark.needs_root
def test_creator_that_hidepid_hides(hidepid: PrivatePlace, holder: Holder) -> None:
    """A creator that is not listed is not dead: kept or unknown, but no orphan."""
    with holder("fd", "/dev/null", hidepid.enter) as creator:
        path = hidepid.make(f"/torch_{creator.pid}_1_1")
        os.chown(path, 65534, 65534)
        (found,) = records(hidepid.run_as_nobody("leaks", "--min-age", "0", "--json"))
        assert found["verdict"] in ("kept", "unknown"), found
        hidepid.run_as_nobody("gc", "--min-age", "0", "--yes")
        assert path.exists()


# Leases that do not work


@pytest.fixture(params=[errno.EINVAL, errno.EACCES, errno.ENOLCK], ids=errno.errorcode.get)
def leases_off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """As where fs.leases-enable is 0, or a sandbox knows no leases."""

    def refuse(fd: int, name: bytes) -> bool:
        raise ShmError("fcntl", name, request.param)

    monkeypatch.setattr(locking, "take_lease", refuse)
    return int(request.param)


def in_process(capfd: pytest.CaptureFixture[str], *args: str) -> Result:
    """Run a command in this process, in which leases are switched off."""
    capfd.readouterr()
    status = main.run(args)
    shown = capfd.readouterr()
    return Result(int(status), shown.out.encode(), shown.err.encode())


def test_leases_switched_off(
    names: list[str], shared: Place, holder: Holder, leases_off: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """What /proc shows is held; nothing is an orphan, and nothing is removed."""
    free, held, in_flight = names
    for name in names:
        shared.make(name)
    with holder("mapping", shared.path(held)) as holding, holder("in flight", shared.path(in_flight)):
        result = in_process(capfd, "leaks", "--min-age", "0", "--json", *names)
        found = {record["name"]: record for record in json.loads(result.out)}
        assert {name: found[name]["verdict"] for name in names} == {
            free: "unknown", held: "held", in_flight: "unknown",
        }  # fmt: skip
        assert found[held]["holders"] == [holding.pid]
        assert str(holding.pid) in " ".join(found[held]["reasons"])
        assert errno.errorcode[leases_off] in " ".join(found[free]["reasons"])
        assert errno.errorcode[leases_off] in result.errors
        assert len(result.errors.splitlines()) <= 3, "it is told once, not for each object"
        removed = in_process(capfd, "gc", "--min-age", "0", "--yes", *names)
        assert removed.status == 0, removed
        listed = in_process(capfd, "holders", "--json", *names)
        assert [record["pid"] for record in json.loads(listed.out)] == [holding.pid]
        assert in_process(capfd, "holders", "-q", held).status == 0
        assert in_process(capfd, "holders", "-q", in_flight).status == 0, "it cannot be told: taken for held"
    assert all(shared.path(name).exists() for name in names)


def test_leases_that_stop_working_after_the_plan(
    name: str, shared: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The object is left, and that is a failure that is told."""
    path = shared.make(name)
    real = locking.take_lease
    calls = iter(range(1000))

    def refuse_late(fd: int, name: bytes) -> bool:
        # The first is for the verdict, the second proves it.
        if next(calls) < 2:
            return real(fd, name)
        raise ShmError("fcntl", name, errno.EINVAL)

    monkeypatch.setattr(locking, "take_lease", refuse_late)
    result = in_process(capfd, "gc", "--min-age", "0", "--yes", name)
    assert (result.status, path.exists()) == (1, True), result
    assert "EINVAL" in result.errors
    assert f"left {name}" in result.text


def test_a_kernel_that_grants_whatever(
    name: str,
    shared: Place,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    holder: Holder,
) -> None:
    """Leases are proved before they are trusted."""
    path = shared.make(name)
    monkeypatch.setattr(locking, "take_lease", lambda fd, name: True)
    monkeypatch.setattr(locking, "release_lease", lambda fd, name: None)
    with holder("in flight", path):
        result = in_process(capfd, "leaks", "--min-age", "0", "--json", name)
        assert [record["verdict"] for record in json.loads(result.out)] == ["unknown"]
        assert "this kernel grants leases on objects in use" in result.errors
        in_process(capfd, "gc", "--min-age", "0", "--yes", name)
    assert path.exists()


@pytest.mark.needs_root
def test_without_proc(names: list[str], holder: Holder) -> None:
    """The lease takes no /proc."""
    free, held, _ = names
    with private_place(setup="mount -t tmpfs tmpfs /proc") as place:
        for name in (free, held):
            place.make(name)
        with holder("mapping", "/dev/shm" + held, place.enter):
            result = place.run("leaks", "--min-age", "0", "--json")
            assert result.status == 0, result
            verdicts = {record["name"]: record["verdict"] for record in json.loads(result.out)}
            assert verdicts == {free: "orphan", held: "held"}, result
            removed = place.run("gc", "--min-age", "0", "--yes")
            assert removed.status == 0, removed
            assert [place.path(name).exists() for name in (free, held)] == [False, True]
            quiet = place.run("holders", "-q", held)
            assert quiet.status == 0, quiet
