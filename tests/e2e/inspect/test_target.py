"""--target PID: the /dev/shm that a process sees, and never what it has planted there."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import (
    SIZE,
    Holder,
    Place,
    PrivatePlace,
    complaints,
    dead_pid,
    private_place,
    sleeper,
)
from tests.support import (
    AS_NOBODY,
    NOBODY,
    Result,
    done,
    path_of,
    run,
    run_as_nobody,
    run_command,
    shmctl_argv,
)

pytestmark = pytest.mark.needs_root

PID_THAT_CANNOT_BE = 2**22 + 1


class Target(Place):
    """A private place, looked at from outside."""

    def __init__(self, place: PrivatePlace) -> None:
        self.pid = place.pid
        self.enter = ()
        self.root = place.root
        self.inside = place

    def run(self, *args: str | bytes, env: dict[str, str] | None = None) -> Result:
        return run("--target", str(self.pid), *args, env=env)

    def done(self, *args: str) -> str:
        """The output of a command that succeeds."""
        result = self.run(*args)
        assert (result.status, complaints(result)) == (0, []), result
        return result.text


@pytest.fixture
def target(private: PrivatePlace, name: str) -> Iterator[Target]:
    """A process with a /dev/shm of its own; an object of the same name in ours has to stay as it is."""
    path_of(name).write_bytes(b"ours")
    path_of(name).chmod(0o640)
    before = path_of(name).stat()
    yield Target(private)
    after = path_of(name).stat()
    assert path_of(name).read_bytes() == b"ours"
    assert (after.st_ino, after.st_mode, after.st_uid, after.st_ctime_ns) == (
        before.st_ino, before.st_mode, before.st_uid, before.st_ctime_ns,
    )  # fmt: skip


def test_create(target: Target, name: str) -> None:
    target.done("create", name, "-s", "100", "-m", "640")
    st = target.path(name).stat()
    assert (st.st_size, stat.S_IMODE(st.st_mode)) == (100, 0o640)
    again = target.run("create", name)
    assert again.status == 1
    assert "EEXIST" in again.errors
    target.done("create", name + "-2", "-s", "8K", "--reserve")
    assert target.path(name + "-2").stat().st_blocks == 16
    assert not path_of(name + "-2").exists()


def test_atomic(target: Target, name: str) -> None:
    """What appears under the name, and takes another's place, does so there alone."""
    target.done("create", name, "-s", "100", "--atomic")
    assert target.path(name).stat().st_size == 100
    again = target.run("create", name, "--atomic")
    assert (again.status, "EEXIST" in again.errors) == (1, True)
    target.done("write", name, "theirs", "--create", "--atomic", "--replace")
    assert target.path(name).read_bytes() == b"theirs"
    assert os.listdir(target.path("/")) == [name[1:]]


def test_truncate(target: Target, name: str) -> None:
    target.make(name)
    target.done("truncate", name, "-s", "+10")
    assert target.path(name).stat().st_size == SIZE + 10


def test_write_and_read(target: Target, name: str) -> None:
    target.make(name, b"theirs")
    assert target.done("read", name) == "theirs"
    target.done("write", name, "T")
    assert target.path(name).read_bytes() == b"Theirs"
    target.done("write", name + "-new", "--create", "--type", "int32", "7")
    assert target.done("read", name + "-new", "--type", "int32") == "7\n"
    assert not path_of(name + "-new").exists()


def test_ls_and_stat(target: Target, name: str) -> None:
    target.make(name)
    assert target.done("ls", "-o", "name,size", "--no-headings").split() == [name, str(SIZE)]
    (found,) = target.records("ls", "-o", "+verdict,holders")
    st = target.path(name).stat()
    assert (found["inode"], found["device"]) == (st.st_ino, st.st_dev)
    assert target.done("stat", "-f", "%i %s", name) == f"{st.st_ino} {SIZE}\n"


def test_chmod_and_chown(target: Target, name: str) -> None:
    target.make(name)
    target.done("chmod", "604", name)
    target.done("chown", f"{NOBODY}:{NOBODY}", name)
    st = target.path(name).stat()
    assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o604, NOBODY, NOBODY)


@pytest.mark.parametrize("command", ["rm", "unlink"])
def test_removal(target: Target, name: str, command: str) -> None:
    target.make(name)
    target.done(command, name)
    assert not target.path(name).exists()
    assert target.run(command, name).status == 1
    if command == "rm":
        for each in ("-1", "-2"):
            target.make(name + each)
        target.done("rm", name + "*")
        assert os.listdir(target.path("")) == []


def test_holders(target: Target, name: str, holder: Holder) -> None:
    """Those of the object there, not of ours by the same name."""
    target.make(name)
    with holder("fd", path_of(name)):
        assert target.records("holders", name) == []
        assert target.run("holders", "-q", name).status == 1
        with holder("mapping", "/dev/shm" + name, target.inside.enter) as theirs:
            assert [each["pid"] for each in target.records("holders", name)] == [theirs.pid]
            assert target.run("holders", "-q", name).status == 0
            assert [each["pid"] for each in target.records("stat", "--holders", name)[0]["holders"]] == [
                theirs.pid
            ]
            target.path(name).unlink()
            (unlinked,) = target.records("holders", "--unlinked")
            assert (unlinked["name"], unlinked["pid"]) == (name, theirs.pid)
    assert target.run("holders", name).status == 1


def test_leaks_and_gc(target: Target, name: str, holder: Holder) -> None:
    for each in (name, name + "-used"):
        target.make(each)
    with holder("PROT_NONE mapping", f"/dev/shm{name}-used", target.inside.enter):
        assert target.verdicts() == {name: "orphan", name + "-used": "held"}
        (removed,) = target.records("gc", "--min-age", "0", "--yes")
    assert (removed["name"], removed["removed"], removed["freed"]) == (name, True, SIZE)
    assert os.listdir(target.path("")) == [name[1:] + "-used"]


def test_df(target: Target, name: str, holder: Holder) -> None:
    target.make(name)
    gone = target.make(name + "-gone")
    with holder("mapping", f"/dev/shm{name}-gone", target.inside.enter):
        gone.unlink()
        (found,) = target.records("df")
    assert (found["capacity"], found["used"], found["unexplained"]) == (16 << 20, 2 * SIZE, 0)
    assert {kind: size for kind, size in found["by_kind"].items() if size} == {"shm": SIZE}
    assert [each["name"] for each in found["unlinked"]] == [name + "-gone"]


def test_names_that_are_not_utf_8(target: Target) -> None:
    odd = b"/shmctl-\xff\xfe"
    assert target.run("create", odd, "-s", "5").status == 0
    assert target.run("write", odd, "hello").status == 0
    assert target.run("chmod", "600", odd).status == 0
    assert target.run("read", odd).out == b"hello"
    (found,) = target.records("leaks", "--min-age", "0", odd)
    assert (bytes.fromhex(found["name_bytes"]), found["verdict"]) == (odd, "orphan")
    assert target.run("rm", odd).status == 0
    assert os.listdir(target.path("")) == []


def test_ones_own_process(name: str) -> None:
    """One's own /dev/shm by another way."""
    path_of(name).write_bytes(b"ours")
    assert done("--target", str(os.getpid()), "read", name) == "ours"
    assert done("-t", str(os.getpid()), "ls", "-o", "name", "--no-headings", name).split() == [name]


def test_planted_link_for_an_object(target: Target, name: str) -> None:
    """A link in the target's /dev/shm leads nowhere, neither in its root nor in ours."""
    target.path(name + "-link").symlink_to("/etc/hostname")
    for args in (["read"], ["write"], ["truncate", "-s", "0"], ["chmod", "777"], ["holders"]):
        result = target.run(args[0], *args[1:], name + "-link")
        assert result.status != 0 or args[0] == "holders", result
        assert b"Traceback" not in result.err
    target.done("rm", name + "-link")
    assert not target.path(name + "-link").is_symlink()


# A root that somebody else has laid out


@contextmanager
def process_in(root: Path) -> Iterator[int]:
    with sleeper("os.chroot(sys.argv[1]); os.chdir('/')", str(root)) as pid:
        yield pid


REFUSED = [
    ["create", "/x", "-s", "10"], ["write", "/x", "--create", "y"], ["read", "/secret"], ["ls"], ["holders"],
    ["leaks"], ["gc", "--min-age", "0", "--yes"], ["df"], ["rm", "/secret"], ["unlink", "/secret"],
]  # fmt: skip


def assert_refused(pid: int, *words: str) -> None:
    for args in REFUSED:
        result = run("--target", str(pid), *args)
        assert (result.status, result.out) == (1, b""), (args, result)
        line, *_ = result.errors.splitlines()
        assert line.startswith("shmctl: "), line
        assert f"/proc/{pid}/root" in line
        for word in words:
            assert word in line, line


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
@pytest.mark.parametrize("link", ["dev", "dev/shm"])
def test_planted_links_are_not_followed(tmp_path: Path, link: str, absolute: bool) -> None:
    """/dev/shm, or /dev, is a link out of the target's root, or within it."""
    root, outside = tmp_path / "root", tmp_path / "root" / "outside"
    (outside / "shm").mkdir(parents=True)
    (outside / "shm" / "secret").write_bytes(b"secret")
    (root / link).parent.mkdir(exist_ok=True)
    there = outside if link == "dev" else outside / "shm"
    (root / link).symlink_to(there if absolute else os.path.relpath(there, (root / link).parent))
    with process_in(root) as pid:
        assert_refused(pid, "link")
    assert os.listdir(outside / "shm") == ["secret"]


def test_planted_link_in_a_mount_namespace(tmp_path: Path, name: str) -> None:
    """The target has mounted a tmpfs on /dev, in which shm is a link to ours."""
    path_of(name).write_bytes(b"ours")
    script = f"mkdir {tmp_path}/shm && mount --bind /dev/shm {tmp_path}/shm && mount -t tmpfs tmpfs /dev && "
    script += f"ln -s {tmp_path}/shm /dev/shm"
    with sleeper(enter=("unshare", "-m", "sh", "-c", script + ' && exec "$@"', "sh")) as pid:
        for args in (["rm", name], ["gc", "--yes", "--min-age", "0", name], ["read", name]):
            result = run("--target", str(pid), *args)
            assert (result.status, result.out) == (1, b""), result
    assert path_of(name).read_bytes() == b"ours"


def test_without_dev_shm(tmp_path: Path) -> None:
    """No /dev at all; no shm in it; and something else in its place."""
    with process_in(tmp_path) as pid:
        assert_refused(pid, "no /dev/shm", "ENOENT")
        (tmp_path / "dev").mkdir()
        assert_refused(pid, "no /dev/shm", "ENOENT")
        (tmp_path / "dev/shm").write_bytes(b"")
        assert_refused(pid, "ENOTDIR")
        (tmp_path / "dev/shm").unlink()
        os.mkfifo(tmp_path / "dev/shm")
        assert_refused(pid, "ENOTDIR")


def test_a_directory_in_a_root(tmp_path: Path) -> None:
    """An ordinary directory is what the process sees, and so what it is."""
    (tmp_path / "dev/shm").mkdir(parents=True)
    with process_in(tmp_path) as pid:
        assert run("--target", str(pid), "create", "/x", "-s", "10").status == 0
        assert os.listdir(tmp_path / "dev/shm") == ["x"]
        assert run("--target", str(pid), "rm", "/x").status == 0
        assert os.listdir(tmp_path / "dev/shm") == []


# No such process, no permission


def test_no_such_process() -> None:
    for pid in (PID_THAT_CANNOT_BE, dead_pid()):
        for args in REFUSED:
            result = run("--target", str(pid), *args)
            assert (result.status, result.out) == (1, b""), result
            assert "ESRCH" in result.errors
            assert f"no process has PID {pid}" in result.errors


@pytest.mark.parametrize("pid", ["0", "-1", "", "self", "1x", "99999999999999999999", "1/../2"])
def test_what_is_no_pid(pid: str) -> None:
    result = run("--target", pid, "ls")
    assert (result.status, result.out) == (1 if pid.startswith("999") else 2, b""), result
    assert b"Traceback" not in result.err
    assert b"internal error" not in result.err


def test_no_permission(private: PrivatePlace) -> None:
    private.make("/x").chmod(0o666)
    for args in REFUSED:
        result = run_as_nobody("--target", str(private.pid), *args)
        assert (result.status, result.out) == (1, b""), result
        assert "EACCES" in result.errors
        assert "hint: only root" in result.errors
    assert os.listdir(private.path("")) == ["x"]


def test_ones_own_process_as_an_ordinary_user(name: str) -> None:
    path_of(name).write_bytes(b"ours")
    path_of(name).chmod(0o644)
    with sleeper(enter=AS_NOBODY) as pid:
        result = run_as_nobody("--target", str(pid), "read", name)
        assert (result.status, result.out) == (0, b"ours"), result
        result = run_as_nobody("--target", str(pid), "rm", name)
        assert result.status == 1
    assert path_of(name).exists()


def test_a_directory_that_is_shut_to_ordinary_users() -> None:
    with private_place(setup="chmod 700 /dev/shm") as place, sleeper(enter=(*place.enter, *AS_NOBODY)) as pid:
        result = run_as_nobody("--target", str(pid), "ls")
    assert (result.status, result.out) == (1, b""), result
    assert result.errors == f"shmctl: ls: /proc/{pid}/root/dev/shm: Permission denied (EACCES)\n"


def test_target_that_ends_meanwhile(private: PrivatePlace, tmp_path: Path) -> None:
    """The directory stays open: what was begun is ended in it, and nowhere else."""
    other = subprocess.Popen([*private.enter, "cat"], stdin=subprocess.PIPE)
    private.make("/x", b"theirs")
    with subprocess.Popen(
        shmctl_argv("--target", str(other.pid), "write", "/x", "-i", "/dev/stdin"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writing:
        assert writing.stdin
        writing.stdin.write(b"T")
        writing.stdin.flush()
        other.communicate()
        _, err = writing.communicate(b"H", timeout=60)
    assert writing.returncode in (0, 1), err
    assert b"Traceback" not in err
    assert private.path("/x").read_bytes() in (b"THeirs", b"theirs")


def test_trace_names_no_path_of_ours(private: PrivatePlace) -> None:
    """Each call goes through the directory's descriptor."""
    private.make("/x")
    result = run("--trace", "--target", str(private.pid), "rm", "/x")
    assert result.status == 0
    assert "unlinkat(" in result.errors
    assert '"/dev/shm' not in result.errors
    result = run("--trace", "--target", str(private.pid), "create", "/x")
    assert re.search(r'^openat\(\d+, "x", O_RDWR\|O_CREAT\|O_EXCL\|.*, 0600\) = ', result.errors)


def test_json_tells_the_path_it_went(private: PrivatePlace) -> None:
    private.make("/x")
    result = run_command(shmctl_argv("--target", str(private.pid), "ls", "--json"))
    (found,) = json.loads(result.out)
    assert found["name"] == "/x"
    assert Path(found["path"]).stat().st_ino == private.path("/x").stat().st_ino
