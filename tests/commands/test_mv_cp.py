"""shmctl mv and shmctl cp, and shmctl.rename: names that change hands, and copies, while others look."""

import os
import subprocess
import time
from pathlib import Path

import pytest

import shmctl
from tests.support import (
    compile_c,
    done,
    in_tiny_shm,
    path_of,
    race_rounds,
    run,
    run_as_nobody,
    run_command,
    shmctl_argv,
)

# Opens NEW again and again: it is never missing, and has one content or the other, whole.
WATCHER = """
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int n, char **arg) {
    long seen[2] = {0, 0};
    puts("ready"); fflush(stdout);
    while (access(arg[2], F_OK) != 0) {
        char data[2000] = "";
        int fd = shm_open(arg[1], O_RDONLY, 0);
        if (fd < 0) { perror("shm_open"); return 1; }
        if (read(fd, data, sizeof data) != 1000) { fprintf(stderr, "not whole\\n"); return 1; }
        for (int i = 1; i < 1000; i++) if (data[i] != data[0]) { fprintf(stderr, "mixed\\n"); return 1; }
        seen[data[0] == 'b']++;
        close(fd);
    }
    printf("%d\\n", seen[0] && seen[1]);
    return 0;
}
"""


def make(name: str, content: bytes, mode: int = 0o600) -> int:
    """An object; returns its inode."""
    path_of(name).write_bytes(content)
    path_of(name).chmod(mode)
    return path_of(name).stat().st_ino


def content(name: str) -> bytes | None:
    return path_of(name).read_bytes() if path_of(name).exists() else None


def test_mv_keeps_the_object(names: list[str]) -> None:
    inode = make(names[0], b"text", 0o640)
    with path_of(names[0]).open("r+b", buffering=0) as holder:
        assert done("mv", names[0], names[1]) == ""
        holder.write(b"TEXT")
    st = path_of(names[1]).stat()
    assert (st.st_ino, st.st_mode & 0o7777, content(names[1])) == (inode, 0o640, b"TEXT")
    assert content(names[0]) is None


def test_mv_says_what_it_did(names: list[str]) -> None:
    make(names[0], b"")
    assert done("mv", "-v", names[0][1:], f"/dev/shm{names[1]}") == f"renamed {names[0]} to {names[1]}\n"


@pytest.mark.parametrize("command", ["mv", "cp"])
def test_what_exists_stays(names: list[str], command: str) -> None:
    make(names[0], b"old")
    make(names[1], b"new")
    result = run(command, names[0], names[1])
    assert (result.status, result.out) == (1, b"")
    assert result.errors.startswith(f"shmctl: {command}: {names[1]}: File exists (EEXIST)\nhint: ")
    assert (content(names[0]), content(names[1])) == (b"old", b"new")


@pytest.mark.parametrize("command", ["mv", "cp"])
@pytest.mark.parametrize("options", [[], ["--replace"]], ids=" ".join)
def test_what_is_not_there(names: list[str], command: str, options: list[str]) -> None:
    make(names[1], b"other")
    result = run(command, names[0], names[1], *options)
    assert result.status == 1
    assert result.errors.startswith(f"shmctl: {command}: {names[0]}: No such file or directory (ENOENT)\n")
    assert content(names[1]) == b"other"


def test_exchange_wants_both(names: list[str]) -> None:
    make(names[0], b"old")
    result = run("mv", "--exchange", *names[:2])
    assert result.errors.startswith(f"shmctl: mv: {names[1]}: No such file or directory (ENOENT)\n")
    assert content(names[0]) == b"old"


def test_replace_and_exchange(names: list[str]) -> None:
    first, second = make(names[0], b"a"), make(names[1], b"b")
    done("mv", "--exchange", *names[:2])
    assert [path_of(each).stat().st_ino for each in names[:2]] == [second, first]
    done("mv", "--replace", *names[:2])
    assert (content(names[0]), content(names[1])) == (None, b"b")
    assert run("mv", "--replace", "--exchange", *names[:2]).status in (1, 2)


@pytest.mark.parametrize("options", [[], ["--replace"], ["--exchange"]], ids=" ".join)
def test_mv_to_its_own_name(name: str, options: list[str]) -> None:
    """renameat2(2) finds that it exists, or has nothing to do."""
    inode = make(name, b"text")
    assert run("mv", name, name, *options).status == (0 if options else 1)
    assert path_of(name).stat().st_ino == inode


def test_cp_to_its_own_name(name: str) -> None:
    make(name, b"text")
    assert run("cp", name, name).status == 1
    done("cp", "--replace", name, name)
    assert content(name) == b"text"


def test_cp_keeps_holes_and_mode(names: list[str]) -> None:
    make(names[0], b"head")
    with path_of(names[0]).open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"middle" * 100_000)
        file.truncate(20_000_001)
    path_of(names[0]).chmod(0o751)
    assert done("cp", "-v", *names[:2]) == f"copied 20000001 bytes from {names[0]} to {names[1]}\n"
    old, new = (path_of(each).stat() for each in names[:2])
    assert (new.st_mode, new.st_size, new.st_blocks) == (old.st_mode, old.st_size, old.st_blocks)
    assert content(names[0]) == content(names[1])
    assert new.st_ino != old.st_ino


@pytest.mark.parametrize("size", [0, 1, 4096, 300_000])
def test_cp_of_every_length(names: list[str], size: int) -> None:
    make(names[0], os.urandom(size))
    done("cp", *names[:2])
    assert content(names[0]) == content(names[1])


@pytest.mark.parametrize("error", ["ENOSYS", "EXDEV", "EOPNOTSUPP"])
def test_cp_where_the_kernel_has_no_call_for_it(names: list[str], tmp_path: Path, error: str) -> None:
    make(names[0], os.urandom(600_000))
    log = tmp_path / "log"
    inject = f"inject=copy_file_range:error={error}"
    result = run_command(["strace", "-o", str(log), "-e", inject, *shmctl_argv("cp", *names[:2])])
    assert (result.status, result.errors) == (0, "")
    assert "INJECTED" in log.read_text()
    assert content(names[0]) == content(names[1])


def test_semaphores(name: str) -> None:
    """By the name of their file, as everywhere but in 'shmctl sem'."""
    old, new = (f"/sem.{name[1:]}{end}" for end in ("", "-new"))
    done("sem", "create", name, "--value", "3")
    done("cp", old, new)
    assert done("sem", "value", f"{name}-new") == "3\n"
    done("mv", "--exchange", old, new)
    done("sem", "post", name)
    assert done("sem", "value", name) == "4\n"
    done("sem", "unlink", name)
    done("sem", "unlink", f"{name}-new")


ODD = [b" spaces  ", b"\xff\xfe", b"new\nline", b"-n", b"'\"$(x)", b"\x1b[31m", b"*?[a]"]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_names(name: str, odd: bytes) -> None:
    make(name, b"text")
    new = b"/" + name[1:].encode() + odd
    result = run("cp", "-v", name, new)
    assert (result.status, b"\x1b" in result.out, result.out.count(b"\n")) == (0, False, 1)
    assert run("mv", "--replace", new, name).status == 0
    assert not os.path.exists(b"/dev/shm" + new)
    long = "/" + "x" * 256
    assert run("mv", name, long).status == run("cp", name, long).status == run("mv", name, "a/b").status == 2


@pytest.mark.parametrize("command", ["mv", "cp"])
def test_what_is_no_object(names: list[str], command: str) -> None:
    make(names[0], b"object")
    path_of(names[1]).mkdir()
    (path_of(names[1]) / "inside").write_text("kept")
    path_of(names[2]).symlink_to("/etc/passwd")
    for other, what in ((names[1], "a directory"), (names[2], "a symbolic link")):
        for args in ([other, names[0] + "x"], [names[0], other, "--replace"]):
            result = run(command, *args)
            assert result.status == 1
            assert f"it is {what}, not a shared-memory object" in result.errors
    assert run("mv", "--exchange", names[0], names[1]).status == 1
    assert (path_of(names[1]) / "inside").read_text() == "kept"
    assert content(names[0]) == b"object"


@pytest.mark.needs_root
def test_whose_the_copy_is(names: list[str]) -> None:
    make(names[0], b"text", 0o644)
    os.chown(path_of(names[0]), 1234, 4321)
    done("cp", *names[:2])
    st = path_of(names[1]).stat()
    assert (st.st_uid, st.st_gid) == (1234, 4321)
    assert run_as_nobody("cp", names[0], names[2]).status == 0
    st = path_of(names[2]).stat()
    assert (st.st_uid, st.st_mode & 0o777) == (65534, 0o644)


@pytest.mark.needs_root
def test_no_copy_runs_as_its_maker(names: list[str]) -> None:
    """The set-user-ID bit is for its owner to set."""
    make(names[0], b"#!/bin/sh", 0o6755)
    assert run_as_nobody("cp", *names[:2]).status == 0
    assert path_of(names[1]).stat().st_mode & 0o7777 == 0o755
    done("cp", names[0], names[2])
    assert path_of(names[2]).stat().st_mode & 0o7777 == 0o6755


@pytest.mark.needs_root
def test_what_another_may_not(names: list[str]) -> None:
    make(names[0], b"secret", 0o600)
    make(names[1], b"mine", 0o644)
    for args in (
        ["cp", names[0], names[2]],
        ["mv", names[1], names[2]],
        ["cp", "--replace", names[1], names[0]],
    ):
        result = run_as_nobody(*args)
        assert (result.status, "EACCES" in result.errors or "EPERM" in result.errors) == (1, True), result
    assert (content(names[0]), content(names[1]), content(names[2])) == (b"secret", b"mine", None)


@pytest.mark.needs_root
def test_a_full_tmpfs_keeps_nothing() -> None:
    script = """
    head -c 700k /dev/urandom >/dev/shm/a
    shmctl cp /a /b; echo "status $?"
    shmctl cp --replace /a /a; echo "status $?"
    ls -A /dev/shm; stat -f -c %f /dev/shm
    """
    result = in_tiny_shm(script)
    assert result.text.split("\n") == ["status 1", "status 1", "a", str((1024 - 700) // 4), ""]
    assert result.errors.count("No space left on /dev/shm (ENOSPC)") == 2


def test_the_source_shrinks(names: list[str], tmp_path: Path) -> None:
    """Between two calls of the copy, which the second one has to find."""
    make(names[0], b"x" * (24 << 20))
    log = tmp_path / "log"
    inject = "inject=copy_file_range:delay_enter=1500000:when=2"
    argv = ["strace", "-o", str(log), "-e", inject, *shmctl_argv("cp", *names[:2])]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        while not log.exists() or b"copy_file_range" not in log.read_bytes():
            time.sleep(0.01)
        os.truncate(path_of(names[0]), 4096)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, b"(EFAULT)" in err) == (1, True), err
    assert content(names[1]) is None


@pytest.mark.parametrize("way", ["mv --replace", "mv --exchange", "cp --replace"])
def test_a_reader_finds_the_old_or_the_new(names: list[str], tmp_path: Path, way: str) -> None:
    """A C program that opens the name all the time."""
    command, option = way.split()
    stop = tmp_path / "stop"
    make(names[1], b"a" * 1000)
    argv = [compile_c(WATCHER, tmp_path), names[1], str(stop)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout and watcher.stdout.readline() == "ready\n"
        lines = []
        for round_ in range(race_rounds(40)):
            letter = "ba"[round_ % 2]
            lines.append(f"write {names[0]} --create --exact {letter * 1000}")
            lines.append(f"{command} {option} {names[0]} {names[1]}")
        assert run("batch", stdin="\n".join(lines).encode()).status == 0
        stop.touch()
        out, err = watcher.communicate(timeout=30)
    assert (watcher.returncode, out, err) == (0, "1\n", "")


def test_two_that_rename_to_one_name(names: list[str]) -> None:
    """One gets it, and the other's object stays: nothing is ever lost."""
    for _ in range(race_rounds(5)):
        inodes = {make(each, b"") for each in names[:2]}
        both = [
            subprocess.Popen(shmctl_argv("mv", each, names[2]), stderr=subprocess.DEVNULL)
            for each in names[:2]
        ]
        assert sorted(process.wait(timeout=30) for process in both) == [0, 1]
        there = [path_of(each) for each in names if path_of(each).exists()]
        assert {path.stat().st_ino for path in there} == inodes
        for path in there:
            path.unlink()


@pytest.mark.parametrize(
    "args", [["mv", "--replace"], ["mv", "--exchange"], ["cp", "--replace"]], ids=" ".join
)
def test_it_waits_for_the_lock_of_what_loses_its_name(names: list[str], args: list[str]) -> None:
    make(names[0], b"new")
    inode = make(names[1], b"old")
    locker = ["flock", str(path_of(names[1])), "sh", "-c", "echo locked; cat"]
    with subprocess.Popen(locker, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lock:
        assert lock.stdout and lock.stdout.readline() == b"locked\n"
        with subprocess.Popen(shmctl_argv(*args, *names[:2])) as process:
            time.sleep(0.5)
            assert process.poll() is None
            assert path_of(names[1]).stat().st_ino == inode
            assert lock.stdin
            lock.stdin.close()
            assert process.wait(timeout=30) == 0
    assert content(names[1]) == b"new"


def test_renames_in_both_directions_do_not_wait_for_each_other(names: list[str]) -> None:
    make(names[0], b"a")
    make(names[1], b"b")
    script = "\n".join(f"mv --exchange {names[0]} {names[1]}" for _ in range(race_rounds(60)))
    back = "\n".join(f"mv --exchange {names[1]} {names[0]}" for _ in range(race_rounds(60)))
    with (
        subprocess.Popen(shmctl_argv("batch"), stdin=subprocess.PIPE) as one,
        subprocess.Popen(shmctl_argv("batch"), stdin=subprocess.PIPE) as other,
    ):
        for process, lines in ((one, script), (other, back)):
            assert process.stdin
            process.stdin.write(lines.encode())
            process.stdin.close()
        assert one.wait(timeout=60) == other.wait(timeout=60) == 0
    assert sorted([content(names[0]) or b"", content(names[1]) or b""]) == [b"a", b"b"]


def test_rename_from_python(names: list[str]) -> None:
    make(names[0], b"a")
    make(names[1], b"b")
    with pytest.raises(FileExistsError):
        shmctl.rename(names[0], names[1])
    shmctl.rename(names[0], names[1].encode(), exchange=True)
    assert (content(names[0]), content(names[1])) == (b"b", b"a")
    shmctl.rename(names[0], names[1], replace=True)
    assert (content(names[0]), content(names[1])) == (None, b"b")
    with pytest.raises(FileNotFoundError):
        shmctl.rename(names[0], names[1])
    with pytest.raises(ValueError, match="replace and exchange"):
        shmctl.rename(names[0], names[1], replace=True, exchange=True)
    with pytest.raises(ValueError, match="slash"):
        shmctl.rename("/a/b", names[1])
