"""shmctl create."""

import os
import stat

import pytest

from tests.support import done, path_of, run, run_command, shmctl_argv


def mode_of(name: str) -> int:
    return stat.S_IMODE(path_of(name).stat().st_mode)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("0", 0),
        ("1", 1),
        ("100", 100),
        ("4K", 4096),
        ("4k", 4096),
        ("4KiB", 4096),
        ("4KB", 4000),
        ("2M", 2 << 20),
        ("3GB", 3 * 10**9),
        ("1T", 1 << 40),
        ("7E", 7 << 60),
        ("0x1000", 4096),
        ("0XfF", 255),
        ("007", 7),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_sizes(name: str, size: str, expected: int) -> None:
    assert done("create", name, "-s", size) == ""
    assert path_of(name).stat().st_size == expected
    assert path_of(name).stat().st_blocks == 0


BAD_SIZES = [
    str(2**63), str(2**64), str(2**64 + 5), "8E", "9EB9", "99999999999999999999999", "1" * 5000, "-1", "-0",
    "+1",
    "12Q", "", " ", "1 K", "K", "4KK", "4Ki", "1.5K", "0x", "0xg", "0x10K", "1e3", "1_000",
    "\uff11\uff12", "12\n", "NaN",
]  # fmt: skip


@pytest.mark.parametrize("size", BAD_SIZES, ids=lambda size: repr(size[:20]))
def test_bad_sizes(name: str, size: str) -> None:
    result = run("create", name, f"--size={size}")
    assert (result.status, result.out) == (2, b""), result
    assert result.errors.startswith("shmctl: create: ")
    assert not path_of(name).exists()
    assert run("create", name, "-s", size).status == 2


@pytest.mark.parametrize("mode", ["600", "0600", "0o600", "0O600"])
def test_mode_is_octal(name: str, mode: str) -> None:
    done("create", name, "-m", mode)
    assert mode_of(name) == 0o600


def test_mode_of_644_is_not_decimal(name: str) -> None:
    done("create", name, "--mode", "644")
    assert mode_of(name) == 0o644


@pytest.mark.parametrize("mode", ["888", "0x180", "u+rw", "", "-600", "10000", "77777", "6 0 0", "0b110"])
def test_bad_modes(name: str, mode: str) -> None:
    result = run("create", name, f"--mode={mode}")
    assert result.status == 2, result
    assert "mode" in result.errors
    assert not path_of(name).exists()


def test_default_mode_is_private(name: str) -> None:
    result = run_command(["sh", "-c", 'umask 0; exec "$@"', "sh", *shmctl_argv("create", name)])
    assert (result.status, result.err) == (0, b"")
    assert mode_of(name) == 0o600


def test_umask_is_told_once(names: list[str]) -> None:
    argv = ["sh", "-c", 'umask 027; exec "$@"', "sh"]
    result = run_command([*argv, *shmctl_argv("create", "-m", "666", *names)])
    assert (result.status, result.out) == (0, b"")
    told = [line for line in result.errors.splitlines() if not line.startswith("hint: ")]
    assert len(told) == 1
    assert "umask" in told[0] and "026" in told[0] and "0640" in told[0]
    assert [mode_of(name) for name in names] == [0o640] * 3
    # Nothing to tell where nothing was taken away; where no object was made, it is not the umask.
    os.unlink(path_of(names[0]))
    assert run_command([*argv, *shmctl_argv("create", "-m", "640", names[0])]).err == b""
    result = run_command([*argv, *shmctl_argv("create", "-m", "666", "--no-excl", names[0])])
    assert "keeps its mode, 0640" in result.errors and "umask" not in result.errors


def test_existing_name(name: str) -> None:
    path_of(name).write_bytes(b"content")
    result = run("create", name, "-s", "100", "--trunc", "--reserve")
    assert (result.status, result.out) == (1, b"")
    error, hint = result.errors.splitlines()
    assert error == f"shmctl: create: {name}: File exists (EEXIST)"
    assert "--no-excl" in hint
    assert path_of(name).read_bytes() == b"content"


def test_no_excl(name: str) -> None:
    path_of(name).write_bytes(b"content")
    done("create", name, "--no-excl")
    assert path_of(name).read_bytes() == b"content"
    done("create", name, "--no-excl", "--size", "9")
    assert path_of(name).read_bytes() == b"content\0\0"
    done("create", name, "--no-excl", "--size", "3")
    assert path_of(name).read_bytes() == b"con"
    done("create", name, "--no-excl", "--size", "0")
    assert path_of(name).read_bytes() == b""


def test_trunc(name: str) -> None:
    """O_TRUNC: what it held is gone, also where the size stays."""
    path_of(name).write_bytes(b"content")
    done("create", name, "--no-excl", "--trunc", "-s", "7")
    assert path_of(name).read_bytes() == bytes(7)
    path_of(name).write_bytes(b"content")
    done("create", name, "--no-excl", "--trunc")
    assert path_of(name).read_bytes() == b""
    os.unlink(path_of(name))
    done("create", name, "--trunc", "-s", "7")
    assert path_of(name).stat().st_size == 7


def test_last_of_excl_and_no_excl_wins(name: str) -> None:
    done("create", name)
    done("create", name, "--excl", "--no-excl")
    assert run("create", name, "--no-excl", "--excl").status == 1


def test_reserve(name: str) -> None:
    done("create", name, "-s", "10000", "--reserve")
    assert path_of(name).stat().st_blocks * 512 == 12288
    assert path_of(name).read_bytes() == bytes(10000)


def test_reserve_keeps_content(name: str) -> None:
    path_of(name).write_bytes(b"content")
    done("create", name, "--no-excl", "-s", "10000", "--reserve")
    assert path_of(name).read_bytes() == b"content" + bytes(9993)
    assert path_of(name).stat().st_blocks * 512 == 12288


def test_reserve_nothing(name: str) -> None:
    done("create", name, "--reserve")
    assert path_of(name).stat().st_size == 0


def test_many_operands(names: list[str]) -> None:
    """What fails is reported, and the others are made."""
    path_of(names[1]).touch()
    result = run("create", *names, "-s", "5")
    assert result.status == 1
    assert result.errors.count("shmctl: create: ") == 1
    assert names[1] in result.errors
    assert [path_of(name).stat().st_size for name in names] == [5, 0, 5]


def test_the_same_name_twice(name: str) -> None:
    result = run("create", name, f"/dev/shm{name}")
    assert result.status == 1
    assert result.errors.count("EEXIST") == 1


def test_verbose(names: list[str]) -> None:
    path_of(names[0]).touch()
    shown = done("create", "-v", "--no-excl", *names[:2])
    assert len(shown.splitlines()) == 2
    assert names[0] in shown.splitlines()[0]
    assert shown.splitlines()[0].split()[0] != shown.splitlines()[1].split()[0], "opened one, made the other"


@pytest.mark.parametrize("spelling", ["{bare}", "/{bare}", "/dev/shm/{bare}"])
def test_spellings(name: str, spelling: str) -> None:
    given = spelling.format(bare=name[1:])
    assert name in done("create", "-v", given)
    assert path_of(name).exists()
    assert name in run("create", given).errors


def test_no_operand() -> None:
    result = run("create", "-s", "5")
    assert result.status == 2
    assert "NAME" in result.errors
    assert "hint: " in result.errors


def test_unknown_option(name: str) -> None:
    result = run("create", name, "--sise", "5")
    assert result.status == 2
    assert "--sise" in result.errors
    assert not path_of(name).exists()


def test_help_shows_both_spellings() -> None:
    shown = done("create", "--help")
    assert shown == done("create", "-h")
    for pair in ("-s, --size", "-m, --mode", "--excl / --no-excl", "--trunc", "--reserve", "-v, --verbose"):
        assert pair in shown
