"""Messages that say exactly what stands in the way, and answers that stay answers where there is nothing."""

import errno
import json

import pytest

from shmctl.cli.messages import failure
from shmctl.core.errors import ShmError
from shmctl.core.names import escape, printable
from tests.support import done, in_tiny_shm, path_of, run


@pytest.mark.parametrize(
    "command",
    [
        ["read"],
        ["read", "--type", "int"],
        ["read", "--struct", "int a;"],
        ["stat"],
        ["holders"],
        ["ls"],
        ["leaks"],
        ["gc"],
    ],
    ids=" ".join,
)
def test_an_empty_answer_is_an_empty_array(name: str, command: list[str]) -> None:
    result = run(*command, "--json", name)
    assert result.status == 1
    assert json.loads(result.text) == []
    assert result.errors == f"shmctl: {command[0]}: {name}: No such file or directory (ENOENT)\n"


@pytest.mark.parametrize(
    "command",
    [["create", "--no-excl"], ["write", "--create", "--grow"], ["sem", "create", "--no-excl"]],
    ids=" ".join,
)
def test_a_mode_that_is_left_alone_is_told(name: str, command: list[str]) -> None:
    value = ["x"] if command[0] == "write" else []
    file = path_of("/sem." + name[1:] if command[0] == "sem" else name)
    done(*command, name, *value)
    assert done(*command, "-m", "600", name, *value) == ""
    result = run(*command, "-m", "644", name, *value)
    told = " ".join(command[:2]) if command[0] == "sem" else command[0]
    shown = f"/{file.name}"
    assert (result.status, result.errors.splitlines()) == (
        0,
        [f"shmctl: {told}: {shown}: it exists and keeps its mode, 0600", f"hint: shmctl chmod 0644 {shown}"],
    )
    assert done(*command, name, *value) == ""


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "command",
    [
        "rm /x",
        "unlink /x",
        "write /x a",
        "truncate -s 1 /x",
        "chmod 644 /x",
        "chown 1 /x",
        "mv /x /y",
        "rm -f /x",
    ],
)
def test_an_immutable_object_is_said_to_be(command: str) -> None:
    result = in_tiny_shm(f"shmctl create /x -s 4; chattr +i /dev/shm/x && shmctl {command}")
    message, hint = result.errors.splitlines()
    verb = command.partition(" ")[0]
    symbol = "EACCES" if verb == "unlink" else "EPERM"
    assert (result.status, message) == (1, f"shmctl: {verb}: /x: it is immutable, or append-only ({symbol})")
    assert hint == "hint: chattr -i -a /dev/shm/x"


def test_a_quota_is_that_of_dev_shm(capsys: pytest.CaptureFixture[str]) -> None:
    failure("write", ShmError("pwrite", b"/x", errno.EDQUOT))
    assert capsys.readouterr().err == "shmctl: write: /x: pwrite: Quota on /dev/shm exceeded (EDQUOT)\n"


def test_letters_that_show_as_nothing_are_escaped() -> None:
    for blank in "\u115f\u3164\u2800\uffa0\ufe0f\U000e0100":
        spelled = "".join(f"\\x{byte:02x}" for byte in blank.encode())
        assert escape(f"a{blank}b") == f"a{spelled}b"
        assert printable(f"no such {blank} file") == f"no such {spelled} file"
    assert escape("aé한글⠿") == printable("aé한글⠿") == "aé한글⠿"
