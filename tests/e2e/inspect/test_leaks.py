"""leaks: the verdicts and their reasons, in a /dev/shm of one's own."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import (
    SEES_ALL,
    SIZE,
    Holder,
    Place,
    PrivatePlace,
    complaints,
    dead_pid,
    records,
    sleeper,
)
from tests.e2e.terminal import Terminal, without_styles
from tests.support import AS_NOBODY, run_command, shmctl_argv

pytestmark = pytest.mark.needs_root

GRANTED = "no process has it open or mapped (kernel lease granted)"


def reason_of(place: Place, name: str, verdict: str, *args: str) -> str:
    """The reasons for the verdict on an object, which has to be ``verdict``."""
    (found,) = place.records("leaks", *(args or ("--min-age", "0")), name)
    assert found["verdict"] == verdict, found
    return "; ".join(found["reasons"])


def test_orphan(private: PrivatePlace) -> None:
    private.make("/x")
    reason = reason_of(private, "/x", "orphan")
    assert reason.startswith(GRANTED)
    assert re.search(r"last changed [0-9]+ seconds? ago", reason)


def test_a_process_that_forges_its_pids(private: PrivatePlace) -> None:
    """What another user's process calls itself makes no dead creator live."""
    code = """
import ctypes
assert ctypes.CDLL(None).prctl(15, b"\\rNSpid:\\t" + sys.argv[1].encode(), 0, 0, 0) == 0
"""
    dead = dead_pid()
    private.make(f"/torch_{dead}_815_0")
    with sleeper(code, str(dead), enter=AS_NOBODY) as pid:
        assert b"\rNSpid:\t%d" % dead in Path(f"/proc/{pid}/status").read_bytes()
        (found,) = private.records("leaks", "--min-age", "0")
    assert found["verdict"] == ("orphan" if SEES_ALL else "unknown"), found


def test_a_zombie_that_created_it_is_dead(private: PrivatePlace, holder: Holder) -> None:
    """Unless other threads of it live on."""
    with subprocess.Popen(["true"]) as ended, holder("fd, leader dead", "/dev/null") as holding:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        for pid in (ended.pid, holding.pid):
            private.make(f"/torch_{pid}_815_0")
        verdicts = private.verdicts()
    assert verdicts[f"/torch_{ended.pid}_815_0"] == ("orphan" if SEES_ALL else "unknown")
    assert verdicts[f"/torch_{holding.pid}_815_0"] == "kept"


def test_traces_of_spdk(private: PrivatePlace) -> None:
    """No later process takes the name of a dead one's trace; a number that was given is taken again."""
    dead = dead_pid()
    with sleeper() as alive:
        for end in (f"pid{alive}", f"pid{dead}", "0"):
            private.make(f"/nvmf_trace.{end}")
        verdicts = private.verdicts()
    wanted = {f"pid{alive}": "kept", f"pid{dead}": "orphan", "0": "kept"}
    assert verdicts == {f"/nvmf_trace.{end}": verdict for end, verdict in wanted.items()}


def test_pytorch(private: PrivatePlace) -> None:
    """An object in a queue may be mapped by nobody: it stays while its creator lives."""
    dead = dead_pid()
    with sleeper() as alive:
        for pid in (alive, dead):
            private.make(f"/torch_{pid}_815_0")
        found = {each["name"]: each for each in private.records("leaks", "--min-age", "0")}
    kept, orphan = found[f"/torch_{alive}_815_0"], found[f"/torch_{dead}_815_0"]
    assert kept["verdict"] == "kept", kept
    assert f"its creator, PID {alive}, is alive" in kept["reasons"]
    assert orphan["verdict"] == ("orphan" if SEES_ALL else "unknown"), orphan
    assert [each["software"] for each in (kept, orphan)] == ["PyTorch"] * 2
    assert [each["creator_pid"] for each in (kept, orphan)] == [alive, dead]
    if SEES_ALL:
        reasons = "; ".join(orphan["reasons"])
        assert reasons.startswith(GRANTED)
        assert f"its creator, PID {dead}, is dead" in reasons
        assert "made by PyTorch" in reasons


def test_any_process_of_that_pid_keeps(private: PrivatePlace) -> None:
    """Whether it is the creator, or what has its PID by now, cannot be proved."""
    private.make("/torch_1_1_1")
    assert "PID 1, is alive" in reason_of(private, "/torch_1_1_1", "kept")


@pytest.mark.parametrize("suffix", ["", "_0"])
def test_openmp_lives_as_long_as_its_process(private: PrivatePlace, suffix: str) -> None:
    """libomp closes and unmaps it at once."""
    with sleeper() as alive:
        name = f"/__KMP_REGISTERED_LIB_{alive}{suffix}"
        private.make(name)
        assert "is alive" in reason_of(private, name, "kept")
        removed = private.run("gc", "--min-age", "0", "--yes")
        assert removed.status == 0
        assert private.path(name).exists()
    assert "LLVM OpenMP" in reason_of(private, name, "orphan" if SEES_ALL else "unknown")


class Inside(Place):
    """A place, looked at from a PID namespace in which nobody else lives."""

    def __init__(self, place: PrivatePlace) -> None:
        self.enter = (*place.enter, "unshare", "-p", "-f", "--mount-proc")
        self.root = place.root


def test_creator_outside_of_our_pid_namespace(private: PrivatePlace) -> None:
    """What cannot be seen from here may live: unknown where the creator decides."""
    with sleeper() as alive:
        for pid in (alive, dead_pid()):
            name = f"/torch_{pid}_815_0"
            private.make(name)
            reason = reason_of(Inside(private), name, "unknown")
            assert f"PID {pid}, is not visible" in reason
            assert "PID namespace" in reason
    # Where the creator does not decide, that nobody holds it is enough.
    private.make("/mono.4711")
    assert "not visible from here" in reason_of(Inside(private), "/mono.4711", "orphan")


# Forks until a child has the PID argv[1]; that one prints it, and stays until its input ends.
GET_PID = """
import os, sys
wanted = pid = int(sys.argv[1])
while pid <= wanted:
    pid = os.fork()
    if pid == 0 and os.getpid() == wanted:
        print(wanted, flush=True)
        sys.stdin.read()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_creator_inside_another_pid_namespace(private: PrivatePlace) -> None:
    """The name has the PID that its creator has there, which is nobody's here."""
    wanted = next(pid for pid in range(10, 30000) if not Path(f"/proc/{pid}").exists())
    argv = ["unshare", "-p", "-f", sys.executable, "-c", GET_PID, str(wanted)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == b"%d\n" % wanted
        private.make(f"/torch_{wanted}_1_1")
        assert f"PID {wanted}, is alive" in reason_of(private, f"/torch_{wanted}_1_1", "kept")
        process.stdin.close()
        process.wait()
    assert "creator" in reason_of(private, f"/torch_{wanted}_1_1", "orphan" if SEES_ALL else "unknown")


@pytest.mark.parametrize("name", ["/libpod_lock", "/libpod_rootless_lock_1000", "/sr_main", "/looking-glass"])
def test_family_that_persists(private: PrivatePlace, name: str) -> None:
    private.make(name)
    assert "by design" in reason_of(private, name, "kept")
    assert private.run("gc", "--min-age", "0", "--yes", "--semaphores").status == 0
    assert private.path(name).exists()


def test_semaphore(private: PrivatePlace) -> None:
    private.make("/sem.x", bytes(32))
    assert "semaphore" in reason_of(private, "/sem.x", "kept")


@pytest.mark.parametrize(
    ("min_age", "verdict"),
    [(None, "kept"), ("10m", "kept"), ("1h", "kept"), ("0", "orphan"), ("0.0", "orphan")],
)
def test_min_age(private: PrivatePlace, min_age: str | None, verdict: str) -> None:
    """Ten minutes is the default."""
    private.make("/x")
    args = () if min_age is None else ("--min-age", min_age)
    (found,) = private.records("leaks", *args)
    assert found["verdict"] == verdict
    if verdict == "kept":
        assert "younger than " + ("1 hour" if min_age == "1h" else "10 minutes") in "; ".join(
            found["reasons"]
        )


def test_min_age_goes_by_the_later_of_mtime_and_ctime(private: PrivatePlace) -> None:
    """A program may set mtime back, as unpacking an archive does."""
    os.utime(private.make("/x"), (0, 0))
    assert "younger" in reason_of(private, "/x", "kept", "--min-age", "10m")


def test_an_mtime_in_the_future_does_not_keep(private: PrivatePlace) -> None:
    """Any owner can set one; the other times tell the age."""
    os.utime(private.make("/x"), (2**33, 2**33))
    assert "last changed 0 seconds ago" in reason_of(private, "/x", "orphan", "--min-age", "0")
    time.sleep(1.1)
    reason_of(private, "/x", "orphan", "--min-age", "1s")


def test_bad_min_age(private: PrivatePlace) -> None:
    for text in ("-1", "soon", ""):
        assert private.run("leaks", "--min-age", text).status == 2


def test_empty_and_fresh(private: PrivatePlace) -> None:
    """Its creator may not have come to ftruncate yet, however little --min-age is."""
    private.make("/x", b"")
    assert "empty and fresh" in reason_of(private, "/x", "kept")


FAST_DDS = [
    "/fastrtps_port7400",
    "/fastrtps_port7400_el",
    "/fastrtps_port7400_sl",
    "/sem.fastrtps_port7400_mutex",
]


def test_fast_dds_goes_together(private: PrivatePlace, holder: Holder) -> None:
    """Life shows as a lock on one file only; its set stays, another set goes."""
    for name in (*FAST_DDS, "/fastrtps_port7411", "/fastrtps_port7411_el"):
        private.make(name)
    with holder("flock", "/dev/shm/fastrtps_port7400_el", private.enter):
        found = {each["name"]: each for each in private.records("leaks", "--min-age", "0")}
        assert {name: each["verdict"] for name, each in found.items()} == {
            "/fastrtps_port7400": "kept",
            "/fastrtps_port7400_el": "held",
            "/fastrtps_port7400_sl": "kept",
            "/sem.fastrtps_port7400_mutex": "kept",
            "/fastrtps_port7411": "orphan",
            "/fastrtps_port7411_el": "orphan",
        }
        reasons = "; ".join(found["/fastrtps_port7400"]["reasons"])
        assert "/fastrtps_port7400_el" in reasons
        assert "held" in reasons
        # A look at one of them alone, and at one without its semaphore, comes to the same.
        assert private.verdicts("/fastrtps_port7400") == {"/fastrtps_port7400": "kept"}
        result = private.run("gc", "--min-age", "0", "--semaphores", "--yes")
        assert result.status == 0
        assert all(private.path(name).exists() for name in FAST_DDS)
        assert not private.path("/fastrtps_port7411").exists()
    removed = private.run("gc", "--min-age", "0", "--semaphores", "--yes")
    assert removed.status == 0
    assert not any(private.path(name).exists() for name in FAST_DDS), removed


def test_a_young_member_keeps_its_set(private: PrivatePlace) -> None:
    private.make("/fastrtps_port7400")
    private.make("/fastrtps_port7400_sl", b"")
    assert private.verdicts() == {"/fastrtps_port7400": "kept", "/fastrtps_port7400_sl": "kept"}


def test_users_own_family(private: PrivatePlace, tmp_path: Path) -> None:
    folder = tmp_path / "shmctl"
    folder.mkdir()
    (folder / "families.toml").write_text(
        "[[family]]\nsoftware = 'Ours'\nmatch = ['ours-.+']\nlifetime = 'persistent'\n"
    )
    private.make("/ours-1")
    result = private.run("leaks", "--min-age", "0", "--json", env={"XDG_CONFIG_HOME": str(tmp_path)})
    (found,) = records(result)
    assert (found["verdict"], found["software"]) == ("kept", "Ours")
    (folder / "families.toml").write_text("[[family]]\nsoftware = \n")
    for args in (["leaks"], ["gc", "--yes"], ["df"]):
        result = private.run(*args, env={"XDG_CONFIG_HOME": str(tmp_path)})
        assert result.status == 2, result
        assert f"{folder}/families.toml: Invalid value (at line 2, " in result.errors
        assert private.path("/ours-1").exists()


def totals(lines: Sequence[str]) -> dict[str, tuple[int, int]]:
    start = next(i for i, line in enumerate(lines) if line.startswith("VERDICT "))
    rows = [line.split() for line in lines[start + 1 :]]
    return {verdict: (int(objects), int(size)) for verdict, objects, size in rows}


def test_totals(private: PrivatePlace, holder: Holder) -> None:
    """Objects and bytes of memory by verdict."""
    private.make("/one", bytes(SIZE))
    private.make("/two", bytes(3 * SIZE))
    private.make("/sem.three", bytes(32))
    with private.make("/sparse", b"").open("wb") as file:
        file.truncate(1 << 20)
    private.make("/used")
    with holder("mapping", "/dev/shm/used", private.enter):
        result = private.run("leaks", "--min-age", "0")
    assert (result.status, complaints(result)) == (0, []), result
    lines = result.text.splitlines()
    assert totals(lines) == {
        "held": (1, SIZE), "orphan": (3, 4 * SIZE), "kept": (1, 4096), "unknown": (0, 0),
    }  # fmt: skip
    assert lines[0].split()[0] == "NAME"
    assert [line.split()[0] for line in lines[1:6]] == ["/one", "/sem.three", "/sparse", "/two", "/used"]
    assert "\x1b" not in result.text
    selected = private.run("leaks", "--min-age", "0", "/one", "/sem.*").text.splitlines()
    assert totals(selected)["orphan"] == (1, SIZE)
    assert totals(selected)["kept"] == (1, 4096)


def test_exit_code(private: PrivatePlace) -> None:
    """For monitoring: 1 if an orphan is among what was asked for."""
    assert private.run("leaks", "--exit-code").status == 0
    private.make("/sem.x", bytes(32))
    private.make("/x")
    assert private.run("leaks", "--min-age", "0").status == 0
    assert private.run("leaks", "--min-age", "0", "--exit-code").status == 1
    assert private.run("leaks", "--exit-code").status == 0, "it is too young yet"
    assert private.run("leaks", "--min-age", "0", "--exit-code", "sem.*").status == 0
    found = private.run("leaks", "--min-age", "0", "--exit-code", "--json")
    assert found.status == 1
    assert len(json.loads(found.out)) == 2


KEYS = [
    "name", "path", "kind", "size", "allocated", "mode", "uid", "owner", "gid", "group", "nlink", "inode",
    "device", "atime", "mtime", "ctime", "verdict", "reasons", "holders", "software", "creator_pid",
]  # fmt: skip


def test_json(private: PrivatePlace, holder: Holder) -> None:
    private.make("/x")
    private.path("/caf\udce9").write_bytes(b"x")
    with (
        holder("mapping", "/dev/shm/x", private.enter) as one,
        holder("fd", "/dev/shm/x", private.enter) as two,
    ):
        result = private.run("leaks", "--min-age", "0", "--json")
    odd, found = records(result)
    assert set(found) == set(KEYS)
    assert found["holders"] == sorted([one.pid, two.pid])
    assert (found["software"], found["creator_pid"]) == (None, None)
    assert isinstance(found["reasons"], list)
    assert bytes.fromhex(odd["name_bytes"]) == b"/caf\xe9"
    assert odd["verdict"] == "orphan"
    assert len(result.text.splitlines()) == 4, "one line an object"
    private.path("/x").unlink()
    private.path("/caf\udce9").unlink()
    assert private.records("leaks") == []


def test_what_is_no_object_is_left_out(private: PrivatePlace) -> None:
    private.path("/directory").mkdir()
    private.path("/link").symlink_to("/etc/passwd")
    os.mkfifo(private.path("/fifo"))
    assert private.verdicts() == {"/directory": "unknown"}
    assert private.run("gc", "--min-age", "0", "--yes").status == 0
    assert private.path("/directory").exists()
    assert private.path("/fifo").exists()
    assert private.path("/link").is_symlink()


def test_object_that_its_owner_closed_to_himself(private: PrivatePlace) -> None:
    """Root opens it all the same."""
    private.make("/x").chmod(0)
    assert private.verdicts() == {"/x": "orphan"}


def test_hostile_names_in_reasons(private: PrivatePlace, holder: Holder) -> None:
    """A name in another object's reasons is as safe as in its own row."""
    name = "/fast_datasharing_0\x1b[31m"
    private.make("/torch_1_1_1\n")
    private.make(name)
    result = private.run("leaks", "--min-age", "0")
    assert "\x1b" not in result.text
    rows = result.text.split("\n\n")[0].splitlines()
    assert len(rows) == 3


def test_readable_in_80_columns(private: PrivatePlace) -> None:
    """Reasons are wrapped, and no word of them is lost; names stay whole."""
    name = f"/torch_{os.getpid()}_815_0"
    private.make(name)
    argv = [*private.enter, *shmctl_argv("leaks", "--min-age", "0")]
    with Terminal(argv, columns=80) as terminal:
        result = terminal.end()
    shown = without_styles(result.out).decode()
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert name in shown
    assert b"\x1b[" in result.out, "verdicts are coloured"
    words = re.sub(r"\s+", "", "".join(line[40:] if name not in line else line for line in lines))
    for word in ("creator,", f"PID{os.getpid()}", "alive", "PyTorch"):
        assert word in words or word in shown, (word, shown)


TOUCHED = re.compile(r'"/proc/([0-9]+)/(?:fd|maps|map_files)')


@pytest.mark.parametrize(
    "args", [["leaks"], ["gc"], ["ls", "-o", "+verdict"], ["holders", "-q", "/used"]], ids=" ".join
)
def test_no_scan_of_proc_where_the_kernel_answers(
    private: PrivatePlace, holder: Holder, tmp_path: Path, args: list[str]
) -> None:
    """Whether an object is held takes no look at other processes' descriptors and mappings."""
    for name in ("/free", "/used"):
        private.make(name)
    log = tmp_path / "strace"
    argv = [*private.enter, "strace", "-f", "-o", str(log), "-e", "trace=open,openat,readlink,readlinkat"]
    with holder("mapping", "/dev/shm/used", private.enter):
        result = run_command([*argv, *shmctl_argv(*args)])
    assert result.status == 0, result
    assert log.stat().st_size, "strace(1) saw nothing"
    assert set(TOUCHED.findall(log.read_text())) == set()


def test_what_nobody_could_see_is_not_called_none(private: PrivatePlace, holder: Holder) -> None:
    """A verdict on a stranger's object takes a look through /proc: it names the holders of others, too."""
    path = private.make("/own")
    os.chown(path, 65534, 65534)
    free = private.make("/free")
    os.chown(free, 65534, 65534)
    with holder("fd", "/dev/shm/own", (*private.enter, *AS_NOBODY)) as holding:
        assert f"PID {holding.pid}" not in private.run_as_nobody("leaks", "/own", "/free").text
        private.make("/strangers").chmod(0o600)
        shown = private.run_as_nobody("leaks", "--min-age", "0").text
        assert f"(kernel lease refused); PID {holding.pid}\n" in shown
        found = {each["name"]: each["holders"] for each in records(private.run_as_nobody("leaks", "--json"))}
        assert found == {"/own": [holding.pid], "/free": [], "/strangers": None}
    (gone,) = [
        each for each in records(private.run("gc", "--min-age", "0", "--json")) if each["name"] == "/own"
    ]
    assert gone["holders"] is None
