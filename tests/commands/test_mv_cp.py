"""shmctl mv and cp."""

import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import shmctl
from tests.support import (
    NOBODY,
    TIMEOUT,
    as_nobody,
    compile_c,
    done,
    in_tiny_shm,
    path_of,
    python_for_all,
    race_rounds,
    run,
    run_as_nobody,
    run_command,
    shmctl_argv,
)

needs_root = pytest.mark.needs_root


def inode(name: str) -> int:
    return path_of(name).stat().st_ino


def make(name: str, text: bytes = b"content", mode: int = 0o640) -> int:
    path_of(name).write_bytes(text)
    path_of(name).chmod(mode)
    return inode(name)


def content(name: str) -> bytes | None:
    return path_of(name).read_bytes() if path_of(name).exists() else None


# mv


def test_another_name(names: list[str]) -> None:
    old, new, _ = names
    was = make(old)
    assert done("mv", old, new) == ""
    assert (inode(new), path_of(old).exists()) == (was, False)
    assert done("mv", "-v", new, old) == f"renamed {new} to {old}\n"


@pytest.mark.parametrize("how", [[], ["--no-replace"]])
def test_what_exists_is_left(names: list[str], how: list[str]) -> None:
    old, new, _ = names
    was, other = make(old), make(new)
    result = run("mv", *how, old, new)
    assert (result.status, result.errors) == (
        1,
        f"shmctl: mv: {new}: File exists (EEXIST)\n"
        "hint: --replace takes the name from the object that exists, --exchange swaps\n",
    )
    assert (inode(old), inode(new)) == (was, other)


def test_replace_and_exchange(names: list[str]) -> None:
    old, new, third = names
    was, other = make(old), make(new)
    done("mv", "--exchange", old, new)
    assert (inode(old), inode(new)) == (other, was)
    done("mv", "--replace", old, new)
    assert (inode(new), path_of(old).exists()) == (other, False)
    done("mv", "--replace", new, third)
    result = run("mv", "--exchange", third, old)
    assert (result.status, "ENOENT" in result.errors) == (1, True)
    assert inode(third) == other


def test_itself_is_left(name: str) -> None:
    was = make(name)
    assert run("mv", name, name).status == 1
    for how in ("--replace", "--exchange"):
        assert run("mv", how, name, name).status == 0
    assert inode(name) == was


def test_what_is_not_there(names: list[str]) -> None:
    result = run("mv", names[0], names[1])
    assert (result.status, result.errors) == (
        1,
        f"shmctl: mv: {names[0]}: No such file or directory (ENOENT)\n",
    )


@pytest.mark.parametrize("how", ["--replace", "--exchange"])
def test_only_objects_are_touched(names: list[str], how: str) -> None:
    old, new, _ = names
    make(old)
    path_of(new).mkdir()
    try:
        for first, second in ((old, new), (new, old)):
            result = run("mv", how, first, second)
            assert (result.status, "directory" in result.errors) == (1, True), result
        assert path_of(new).is_dir()
    finally:
        path_of(new).rmdir()
    path_of(new).symlink_to("/nonexistent")
    assert run("mv", how, new, old).status == 1
    assert path_of(new).is_symlink()


def test_names_of_any_bytes(name: str) -> None:
    odd = f"{name} \n\x1b-ä"
    make(name)
    done("mv", name, odd)
    assert run("mv", odd.encode() + b"\xff", name).status == 1
    done("mv", odd, name)
    assert path_of(name).exists()


@pytest.mark.parametrize("how", ["--replace", "--exchange"])
def test_it_waits_for_the_locks(names: list[str], how: str) -> None:
    """A process that has the lock of a name never finds another object under it."""
    old, new, _ = names
    make(old)
    there = make(new)
    seen = []
    with shmctl.lock(new):
        mover = threading.Thread(target=lambda: seen.append(run("mv", how, old, new).status))
        mover.start()
        mover.join(0.5)
        assert mover.is_alive()
        assert inode(new) == there
    mover.join(20)
    assert seen == [0]


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
def test_two_that_exchange_at_once(names: list[str], processes: bool) -> None:
    """Neither waits for the other for ever, and nothing gets lost."""
    first, second, _ = names
    both = {make(first), make(second)}
    rounds = race_rounds(100)
    code = f"import sys, shmctl\nfor _ in range({rounds}): shmctl.rename(*sys.argv[1:], exchange=True)"

    def swap(*pair: str) -> None:
        if processes:
            assert run_command([sys.executable, "-c", code, *pair]).status == 0
        else:
            for _ in range(rounds):
                shmctl.rename(*pair, exchange=True)

    with ThreadPoolExecutor(2) as pool:
        swapping = [pool.submit(swap, first, second), pool.submit(swap, second, first)]
        for each in swapping:
            each.result(50)
    assert {inode(first), inode(second)} == both


def test_two_names_of_one_object(names: list[str]) -> None:
    """Its lock is taken once; rename(2) leaves both names as they are."""
    first, second, _ = names
    was = make(first)
    path_of(second).hardlink_to(path_of(first))
    assert run("mv", "--exchange", first, second) == run("mv", "--replace", first, second)
    assert inode(first) == inode(second) == was


def test_the_library_renames(names: list[str]) -> None:
    old, new, _ = names
    was = make(old)
    shmctl.rename(old, new)
    assert inode(new) == was
    make(old)
    with pytest.raises(FileExistsError):
        shmctl.rename(old, new)
    shmctl.rename(old, new, replace=True)
    with pytest.raises(ValueError, match="exclude each other"):
        shmctl.rename(old, new, replace=True, exchange=True)
    with pytest.raises(FileNotFoundError):
        shmctl.rename(old, new)


@needs_root
def test_other_users_objects_stay(names: list[str]) -> None:
    """/dev/shm is sticky."""
    old, new, _ = names
    make(old)
    shmctl_argv = [python_for_all(), "-P", "-m", "shmctl"]
    result = run_command(as_nobody([*shmctl_argv, "mv", old, new]))
    assert (result.status, "EPERM" in result.errors or "EACCES" in result.errors) == (1, True), result
    assert path_of(old).exists()


# cp


def test_a_copy_is_whole(names: list[str]) -> None:
    old, new, _ = names
    done("create", old, "-s", "4M", "-m", "640")
    done("write", old, "beginning")
    done("write", old, "end", "-o", "3M")
    assert done("cp", "-v", old, new) == f"copied 4194304 bytes from {old} to {new}\n"
    first, second = path_of(old).stat(), path_of(new).stat()
    assert path_of(old).read_bytes() == path_of(new).read_bytes()
    assert (stat.S_IMODE(second.st_mode), second.st_blocks) == (0o640, first.st_blocks)
    assert first.st_ino != second.st_ino


def test_an_empty_object_and_one_of_holes(names: list[str]) -> None:
    empty, sparse, copy = names
    done("create", empty)
    done("cp", empty, copy)
    assert path_of(copy).stat().st_size == 0
    done("create", sparse, "-s", "1P")
    done("cp", "--replace", sparse, copy)
    assert (path_of(copy).stat().st_size, path_of(copy).stat().st_blocks) == (1 << 50, 0)


def test_what_exists_is_replaced_only_if_wanted(names: list[str]) -> None:
    old, new, _ = names
    make(old, b"new")
    other = make(new, b"old")
    result = run("cp", old, new)
    assert (result.status, "hint: --replace swaps" in result.errors) == (1, True)
    assert inode(new) == other
    done("cp", "--replace", old, new)
    assert path_of(new).read_bytes() == b"new"
    assert inode(new) != other


@needs_root
def test_root_keeps_the_owner(names: list[str]) -> None:
    old, new, _ = names
    make(old, mode=0o604)
    os.chown(path_of(old), NOBODY, NOBODY)
    done("cp", old, new)
    st = path_of(new).stat()
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (NOBODY, NOBODY, 0o604)


def test_no_room_leaves_nothing() -> None:
    script = "shmctl create /a -s 700K; shmctl write /a --fill 7; shmctl cp /a /b; echo $?; ls -A /dev/shm"
    result = in_tiny_shm(script)
    assert result.text == "1\na\n"
    assert "No space left on /dev/shm (ENOSPC)" in result.errors


def test_a_missing_one(names: list[str]) -> None:
    result = run("cp", names[0], names[1])
    assert (result.status, result.errors) == (
        1,
        f"shmctl: cp: {names[0]}: No such file or directory (ENOENT)\n",
    )


def test_readers_find_all_or_nothing(names: list[str], tmp_path: Path) -> None:
    """While copies replace each other, a reader sees one of them whole."""
    first, second, copy = names
    make(first, b"a" * 300_000)
    make(second, b"b" * 300_000)
    done("cp", first, copy)
    torn: list[int] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            torn.append(len(set(path_of(copy).read_bytes())) + (path_of(copy).stat().st_size != 300_000))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        done("cp", "--replace", second, copy)
        done("cp", "--replace", first, copy)
    ended.set()
    reader.join()
    assert set(torn) == {1}


# both, as C programs and the kernel see them

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
    while (!seen[0] || !seen[1] || seen[0] + seen[1] < 2000) {
        char data[2000] = "";
        int fd = shm_open(arg[1], O_RDONLY, 0);
        if (fd < 0) { perror("shm_open"); return 1; }
        if (read(fd, data, sizeof data) != 1000) { fprintf(stderr, "not whole\\n"); return 1; }
        for (int i = 1; i < 1000; i++) if (data[i] != data[0]) { fprintf(stderr, "mixed\\n"); return 1; }
        seen[data[0] == 'b']++;
        close(fd);
    }
    return 0;
}
"""


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


@pytest.mark.needs_root
def test_no_copy_runs_as_its_maker(names: list[str]) -> None:
    """The set-user-ID bit is for its owner to set."""
    make(names[0], b"#!/bin/sh", mode=0o6755)
    assert run_as_nobody("cp", *names[:2]).status == 0
    assert path_of(names[1]).stat().st_mode & 0o7777 == 0o755
    done("cp", names[0], names[2])
    assert path_of(names[2]).stat().st_mode & 0o7777 == 0o6755


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


@pytest.mark.parametrize("way", ["mv --replace", "mv --exchange", "cp --replace"])
def test_a_reader_finds_the_old_or_the_new(names: list[str], tmp_path: Path, way: str) -> None:
    """A C program that opens the name all the time."""
    command, option = way.split()
    make(names[1], b"a" * 1000)
    argv = [compile_c(WATCHER, tmp_path), names[1]]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout and watcher.stdout.readline() == "ready\n"
        lines = []
        for round_ in range(race_rounds(40)):
            letter = "ba"[round_ % 2]
            lines.append(f"write {names[0]} --create --exact {letter * 1000}")
            lines.append(f"{command} {option} {names[0]} {names[1]}")
        deadline = time.monotonic() + TIMEOUT
        while watcher.poll() is None:
            assert time.monotonic() < deadline
            assert run("batch", stdin="\n".join(lines).encode()).status == 0
        assert (watcher.returncode, watcher.communicate()) == (0, ("", ""))


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
