"""shmctl chmod and shmctl chown."""

import os
import stat

import pytest

from tests.support import NOBODY, done, path_of, run, run_command, shmctl_argv


def mode_of(name: str) -> int:
    return stat.S_IMODE(path_of(name).stat().st_mode)


@pytest.mark.parametrize("mode", ["0", "600", "0644", "0o666", "777", "4755", "07777"])
def test_modes(name: str, mode: str) -> None:
    path_of(name).touch()
    assert done("chmod", mode, name) == ""
    assert mode_of(name) == int(mode.removeprefix("0o"), 8)


def test_the_umask_has_no_say(name: str) -> None:
    path_of(name).touch()
    argv = ["sh", "-c", 'umask 077; exec "$@"', "sh", *shmctl_argv("chmod", "666", name)]
    assert run_command(argv).status == 0
    assert mode_of(name) == 0o666


@pytest.mark.parametrize("mode", ["888", "u+x", "", "10000", "-600", "0x1ff", "six"])
def test_bad_modes(name: str, mode: str) -> None:
    path_of(name).touch()
    path_of(name).chmod(0o640)
    assert run("chmod", "--", mode, name).status == 2
    assert mode_of(name) == 0o640


@pytest.mark.parametrize(
    "command", [["chmod", "640"], ["chown", str(os.geteuid())]], ids=lambda command: command[0]
)
def test_many_operands(names: list[str], command: list[str]) -> None:
    path_of(names[0]).touch()
    path_of(names[2]).touch()
    result = run(*command, "-v", *names)
    assert result.status == 1
    assert result.errors == f"shmctl: {command[0]}: {names[1]}: No such file or directory (ENOENT)\n"
    assert names[0] in result.text and names[2] in result.text
    if command[0] == "chmod":
        assert mode_of(names[0]) == mode_of(names[2]) == 0o640


@pytest.mark.parametrize("command", [["chmod"], ["chmod", "600"], ["chown"], ["chown", "root"]], ids=" ".join)
def test_missing_arguments(command: list[str]) -> None:
    assert run(*command).status == 2


@pytest.mark.needs_root
@pytest.mark.parametrize(
    ("ownership", "uid", "gid"),
    [
        ("nobody", NOBODY, 0),
        ("nobody:nogroup", NOBODY, NOBODY),
        ("nobody:", NOBODY, NOBODY),
        (":nogroup", 0, NOBODY),
        ("1234", 1234, 0),
        ("1234:5678", 1234, 5678),
        (f"{2**32 - 2}", 2**32 - 2, 0),
        ("root:root", 0, 0),
    ],
)
def test_owners(name: str, ownership: str, uid: int, gid: int) -> None:
    path_of(name).touch()
    assert done("chown", ownership, name) == ""
    assert (path_of(name).stat().st_uid, path_of(name).stat().st_gid) == (uid, gid)


@pytest.mark.parametrize(
    "ownership",
    [
        "",
        ":",
        "no-such-user-here",
        "root:no-such-group",
        str(2**32 - 1),
        str(2**32),
        "-1",
        "1234567:",
        "a:b:c",
        "0x0",
    ],
)
def test_bad_owners(name: str, ownership: str) -> None:
    path_of(name).touch()
    before = path_of(name).stat()
    result = run("chown", "--", ownership, name)
    assert result.status == 2, result
    assert result.errors.startswith("shmctl: chown: ")
    assert (before.st_uid, before.st_gid) == (path_of(name).stat().st_uid, path_of(name).stat().st_gid)
