"""shmctl mv and cp."""

import os
import stat
import threading
from pathlib import Path

import pytest

import shmctl
from tests.support import (
    NOBODY,
    as_nobody,
    done,
    in_tiny_shm,
    path_of,
    python_for_all,
    race_rounds,
    run,
    run_command,
)

needs_root = pytest.mark.needs_root


def inode(name: str) -> int:
    return path_of(name).stat().st_ino


def make(name: str, text: bytes = b"content", mode: int = 0o640) -> int:
    path_of(name).write_bytes(text)
    path_of(name).chmod(mode)
    return inode(name)


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


def test_two_that_exchange_at_once(names: list[str]) -> None:
    """Neither waits for the other for ever, and nothing gets lost."""
    first, second, _ = names
    both = {make(first), make(second)}

    def swap(*pair: str) -> None:
        for _ in range(race_rounds(100)):
            shmctl.rename(*pair, exchange=True)

    threads = [threading.Thread(target=swap, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert {inode(first), inode(second)} == both


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
