"""shmctl truncate."""

import os
import subprocess

import pytest

from tests.support import done, path_of, run


@pytest.mark.parametrize("old", [0, 5, 100, 4096])
def test_as_truncate_does(name: str, old: int) -> None:
    """Each prefix, against truncate(1)."""
    for change in (
        "0",
        "7",
        "4K",
        "+0",
        "+5",
        "-3",
        "-100",
        "<50",
        "<0",
        ">50",
        ">0",
        "/10",
        "/4K",
        "%10",
        "%4K",
        "/1",
    ):
        path_of(name).write_bytes(b"x" * old)
        subprocess.run(["truncate", f"--size={change}", str(path_of(name))], check=True)
        expected = path_of(name).read_bytes()
        path_of(name).write_bytes(b"x" * old)
        assert done("truncate", name, f"--size={change}") == ""
        assert path_of(name).read_bytes() == expected, change


def test_separate_argument(name: str) -> None:
    """-s -3 and -s '<5' need no equals sign."""
    path_of(name).write_bytes(b"0123456789")
    done("truncate", name, "-s", "-3")
    assert path_of(name).read_bytes() == b"0123456"
    done("truncate", "-s", "<5", name)
    done("truncate", "-s+1", name)
    assert path_of(name).read_bytes() == b"01234\0"


@pytest.mark.parametrize(
    "size", ["", "+", "-", "++5", "+-5", "/0", "%0", "=5", "*2", "5Q", str(2**63), "+8E"]
)
def test_bad_sizes(name: str, size: str) -> None:
    path_of(name).write_bytes(b"content")
    result = run("truncate", name, f"--size={size}")
    assert (result.status, result.out) == (2, b""), result
    assert result.errors.startswith("shmctl: truncate: ")
    assert path_of(name).read_bytes() == b"content"


@pytest.mark.parametrize("size", ["+1", "%4K", f"+{2**63 - 1}"])
def test_past_the_greatest_size(name: str, size: str) -> None:
    path_of(name).touch()
    os.truncate(path_of(name), 2**63 - 1)
    result = run("truncate", name, "-s", size)
    assert result.status in (1, 2)
    assert result.errors.startswith("shmctl: truncate: ")
    assert "internal" not in result.errors
    assert path_of(name).stat().st_size == 2**63 - 1


def test_size_is_required(name: str) -> None:
    path_of(name).write_bytes(b"content")
    result = run("truncate", name)
    assert result.status == 2
    assert "--size" in result.errors
    assert path_of(name).read_bytes() == b"content"


def test_missing_object_is_not_made(names: list[str]) -> None:
    path_of(names[2]).touch()
    result = run("truncate", names[0], names[2], "-s", "5")
    assert result.status == 1
    assert result.errors == f"shmctl: truncate: {names[0]}: No such file or directory (ENOENT)\n"
    assert not path_of(names[0]).exists()
    assert path_of(names[2]).stat().st_size == 5, "it goes on"


def test_verbose(name: str) -> None:
    path_of(name).write_bytes(b"content")
    shown = done("truncate", "-v", name, "-s", "+3")
    assert name in shown and "7" in shown and "10" in shown
