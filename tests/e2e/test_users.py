"""Other users: what the permissions and the sticky bit of /dev/shm forbid, and what they allow."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support import NOBODY, done, path_of, run, run_as_nobody

pytestmark = pytest.mark.needs_root

PROTECTED_REGULAR = Path("/proc/sys/fs/protected_regular")


def make(name: str, mode: int = 0o600, owner: int = 0) -> None:
    path_of(name).write_bytes(b"content")
    os.chown(path_of(name), owner, owner)
    path_of(name).chmod(mode)


def mode_of(name: str) -> int:
    return stat.S_IMODE(path_of(name).stat().st_mode)


@pytest.mark.parametrize(
    "args",
    [
        ["read", "NAME"],
        ["read", "NAME", "--type", "int8"],
        ["write", "NAME", "x"],
        ["write", "NAME", "x", "--create", "--exact"],
        ["truncate", "NAME", "-s", "0"],
        ["create", "NAME", "--no-excl"],
        ["create", "NAME", "--no-excl", "--trunc"],
    ],
    ids=" ".join,
)
def test_no_permission_to_open(name: str, args: list[str]) -> None:
    make(name)
    result = run_as_nobody(*(name if part == "NAME" else part for part in args))
    assert (result.status, result.out) == (1, b""), result
    error, hint = result.errors.splitlines()
    assert error == f"shmctl: {args[0]}: {name}: Permission denied (EACCES)"
    assert hint.startswith("hint: ")
    assert "root" in hint and "-rw-------" in hint
    assert path_of(name).read_bytes() == b"content"


def test_read_only(name: str) -> None:
    make(name, 0o644)
    result = run_as_nobody("read", name)
    assert (result.status, result.out) == (0, b"content")
    for args in (["write", name, "x"], ["truncate", name, "-s", "1"]):
        result = run_as_nobody(*args)
        assert result.status == 1
        assert "EACCES" in result.errors
        assert "root" in result.errors
    assert run_as_nobody("read", name, "--lock").status == 0
    assert path_of(name).read_bytes() == b"content"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666, 0o000])
def test_only_the_owner_may_change(name: str, mode: int) -> None:
    make(name, mode)
    for args in (["chmod", "777", name], ["chown", "nobody", name], ["chown", ":nogroup", name]):
        result = run_as_nobody(*args)
        assert result.status == 1, (args, result)
        first, *rest = result.errors.splitlines()
        assert first.startswith(f"shmctl: {args[0]}: {name}: "), result
        assert "EPERM" in first or "EACCES" in first
        assert "root" in "".join(rest), f"whose it is: {result}"
    assert mode_of(name) == mode
    assert path_of(name).stat().st_uid == 0


@pytest.mark.parametrize("args", [["rm"], ["rm", "-f"], ["unlink"]], ids=" ".join)
def test_the_sticky_bit(name: str, args: list[str]) -> None:
    """Also an object that everybody may write is removed by nobody but its owner."""
    assert os.stat("/dev/shm").st_mode & stat.S_ISVTX
    make(name, 0o666)
    result = run_as_nobody(*args, name)
    assert result.status == 1
    first, *rest = result.errors.splitlines()
    assert first.startswith(f"shmctl: {args[0]}: {name}: ")
    assert "EPERM" in first or "EACCES" in first
    assert "root" in "".join(rest), f"whose it is: {result}"
    assert path_of(name).exists()


def test_many_operands_of_different_owners(names: list[str]) -> None:
    """What may be removed is removed, though what stands before it may not."""
    for name, owner in zip(names, (NOBODY, 0, NOBODY), strict=True):
        make(name, 0o600, owner)
    result = run_as_nobody("rm", *names)
    assert result.status == 1
    assert result.errors.count("shmctl: rm: ") == 1
    assert [path_of(name).exists() for name in names] == [False, True, False]


@pytest.mark.parametrize("mode", ["0", "600"])
def test_stat_needs_no_permission(name: str, mode: str) -> None:
    make(name, int(mode, 8))
    result = run_as_nobody("stat", name, "-f", "%s %a %U")
    assert (result.status, result.text, result.errors) == (0, f"7 {mode} root\n", "")
    assert run_as_nobody("stat", name).text == done("stat", name)
    assert run_as_nobody("stat", "--json", name).text == done("stat", "--json", name)
    assert run_as_nobody("ls", name).text == done("ls", name)


def test_own_object_without_any_permission(name: str) -> None:
    """Its owner cannot open it, and can give the permission back."""
    assert run_as_nobody("create", name, "-s", "5", "-m", "0").status == 0
    assert mode_of(name) == 0
    result = run_as_nobody("read", name)
    assert result.status == 1
    assert "EACCES" in result.errors
    assert "nobody" in result.errors
    assert run_as_nobody("stat", name, "-f", "%a").text == "0\n"
    assert run_as_nobody("chown", "nobody:nogroup", name).status == 0
    assert run_as_nobody("chmod", "600", name).status == 0
    assert run_as_nobody("write", name, "hello").status == 0
    assert run_as_nobody("read", name).text == "hello"
    assert run_as_nobody("rm", name).status == 0


def test_giving_away(name: str) -> None:
    done("create", name, "-s", "5")
    done("chown", "nobody", name)
    assert (path_of(name).stat().st_uid, path_of(name).stat().st_gid) == (NOBODY, 0)
    done("chown", "nobody:", name)
    assert path_of(name).stat().st_gid == NOBODY
    done("chown", "0", name)
    assert (path_of(name).stat().st_uid, path_of(name).stat().st_gid) == (0, NOBODY)
    done("chown", ":0", name)
    assert path_of(name).stat().st_gid == 0
    done("chown", f"{NOBODY}:{NOBODY}", name)
    assert run_as_nobody("write", name, "mine!").status == 0
    assert run_as_nobody("rm", name).status == 0


def test_owner_in_listings(names: list[str]) -> None:
    make(names[0])
    make(names[1], 0o640, NOBODY)
    make(names[2], 0o640, 54321)
    mine = ["--no-headings", "-o", "name", *names]
    assert done("ls", "--owner", "nobody", *mine) == names[1] + "\n"
    assert done("ls", "--owner", str(NOBODY), *mine) == names[1] + "\n"
    assert done("ls", "--owner", "54321", *mine) == names[2] + "\n"
    assert done("ls", "-o", "owner,group,uid,gid", "--no-headings", names[2]).split() == ["54321"] * 4
    assert done("ls", "-o", "owner,group", "--no-headings", names[1]).split() == ["nobody", "nogroup"]
    assert done("stat", "-f", "%U:%G %u:%g", names[2]) == "UNKNOWN:UNKNOWN 54321:54321\n"


@contextmanager
def protection(level: int) -> Iterator[None]:
    """fs.protected_regular at ``level`` meanwhile, where it may be set; otherwise as it is."""
    before = PROTECTED_REGULAR.read_text()
    try:
        # A container may not set it: then what is tested is the level that the host has.
        with suppress(OSError):
            PROTECTED_REGULAR.write_text(f"{level}\n")
        yield
    finally:
        if PROTECTED_REGULAR.read_text() != before:
            PROTECTED_REGULAR.write_text(before)


def test_protected_regular(name: str) -> None:
    """The kernel refuses O_CREAT on another's file in a sticky directory, even to root: so none is used."""
    make(name, 0o666, NOBODY)
    with protection(2):
        if PROTECTED_REGULAR.read_text().strip() != "0":
            with pytest.raises(PermissionError):
                os.open(path_of(name), os.O_RDWR | os.O_CREAT)
        done("write", name, "CONTENT", "--create")
        done("create", name, "--no-excl", "-s", "10")
        assert path_of(name).read_bytes() == b"CONTENT\0\0\0"
        done("create", name, "--no-excl", "--trunc", "-s", "3")
        done("write", name, "ab", "--exact")
        assert run_as_nobody("read", name).out == b"ab"
        assert path_of(name).stat().st_uid == NOBODY
        os.chown(path_of(name), 0, 0)
        assert run_as_nobody("write", name, "nobody's", "--create", "--grow").status == 0
        assert path_of(name).read_bytes() == b"nobody's"


def test_no_excl_leaves_the_mode_alone(name: str) -> None:
    make(name, 0o640)
    for line in (
        ["create", name, "--no-excl", "-m", "600", "-s", "9"],
        ["write", name, "x", "--create", "-m", "644"],
    ):
        result = run(*line)
        assert result.status == 0
        assert "it exists and keeps its mode, 0640" in result.errors
    assert mode_of(name) == 0o640


def test_group_permission(name: str) -> None:
    make(name, 0o660)
    os.chown(path_of(name), 0, NOBODY)
    assert run_as_nobody("write", name, "CON").status == 0
    assert run_as_nobody("read", name).out == b"CONtent"
    assert run_as_nobody("chmod", "666", name).status == 1
    assert run("read", name).out == b"CONtent"


def test_set_uid_bits_are_shown(name: str) -> None:
    make(name)
    done("chmod", "7777", name)
    assert mode_of(name) == 0o7777
    assert done("ls", "-o", "mode", "--no-headings", name) == "-rwsrwsrwt\n"
    assert done("stat", "-f", "%a %A", name) == "7777 -rwsrwsrwt\n"
