"""shmctl chmod and shmctl chown."""

import os
import random
import shlex
import stat
from pathlib import Path

import pytest

from shmctl.core.symbolic import parse_symbolic
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


@pytest.mark.parametrize("mode", ["888", "u", "", "10000", "u+x,", "0x1ff", "u+7", "u=go", "six"])
def test_bad_modes(name: str, mode: str) -> None:
    path_of(name).touch()
    path_of(name).chmod(0o640)
    assert run("chmod", "--", mode, name).status == 2
    assert mode_of(name) == 0o640


def random_modes(seed: int) -> list[tuple[int, int, str]]:
    """Umasks, modes before, and symbolic modes: nearly all of them are valid."""
    chance = random.Random(seed)

    def action() -> str:
        value = chance.choice(["", *"ugo", *("".join(chance.sample("rwxXst", n)) for n in (1, 2, 3))])
        return f"{chance.choice('+-=')}{value}"

    def clause() -> str:
        who = "".join(chance.choices("ugoa", k=chance.choice([0, 1, 1, 2])))
        return who + "".join(action() for _ in range(chance.choice([1, 1, 2])))

    def mode() -> str:
        octal = chance.choice("+-=") + oct(chance.randrange(0o10000))[2:]
        return ",".join(
            octal if chance.random() < 0.05 else clause() for _ in range(chance.choice([1, 1, 2, 3]))
        )

    return [(chance.choice([0, 0o22, 0o77, 0o27]), chance.randrange(0o10000), mode()) for _ in range(400)]


@pytest.mark.parametrize("seed", range(int(os.environ.get("SHMCTL_MODES", "1"))))
def test_symbolic_modes_are_those_of_chmod(seed: int, tmp_path: Path) -> None:
    """The file's mode after chmod(1), whatever it says of a mode that its umask did not let it set."""
    cases = random_modes(seed)
    file = shlex.quote(str(tmp_path / "file"))
    lines = [
        f"chmod {before:04o} {file}; umask {umask:o}; chmod -- {mode} {file} 2>/dev/null; stat -c %a {file}"
        for umask, before, mode in cases
    ]
    shell = run_command(["sh", "-c", "\n".join([f"touch {file}", *lines])])
    found = [f"{parse_symbolic(mode, umask).apply(before):o}" for umask, before, mode in cases]
    assert list(zip(cases, found, strict=True)) == list(zip(cases, shell.text.split(), strict=True))


@pytest.mark.parametrize(
    ("mode", "after"), [("u+x", 0o740), ("go=", 0o600), ("-r", 0o200), ("a=rX", 0o444), ("o=g-w,g+s", 0o2644)]
)
def test_symbolic_modes(name: str, mode: str, after: int) -> None:
    path_of(name).touch()
    path_of(name).chmod(0o640)
    assert done("chmod", mode, name) == ""
    assert mode_of(name) == after


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
        ("+1234:+5678", 1234, 5678),
        (":", 0, 0),
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
