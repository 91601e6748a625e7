"""shmctl stat."""

import json
import os
import subprocess
from datetime import datetime

import pytest

from tests.support import done, path_of, run

# What stat(1) calls by its path is the object's name here.
LETTERS = "aAbBdDfFgGhimosrRtTuUWwxXyYzZ"


@pytest.fixture
def target(name: str) -> str:
    path_of(name).write_bytes(b"content" * 1000)
    path_of(name).chmod(0o640)
    os.utime(path_of(name), ns=(1_700_000_000_012_345_678, 1_600_000_000_000_000_009))
    return name


def as_stat(format_text: str, name: str) -> str:
    argv = ["stat", f"--format={format_text}", str(path_of(name))]
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout


@pytest.mark.parametrize("letter", [*LETTERS, "Hd", "Ld", "Hr", "Lr"])
def test_letters(target: str, letter: str) -> None:
    """Each as stat(1) prints it, alone and with flags, widths and precisions."""
    shapes = ["%{}", "%20{}", "%-20{}|", "%020{}", "%.3{}", "%20.3{}|", "%-30.12{}|", "%#{}", "%+{}", "% {}"]
    if letter in "XYZ":
        # As far as the nanoseconds; elsewhere an empty precision is printf(3)'s 0, which hides a zero.
        shapes += ["%.{}", "%.9{}", "%.12{}", "%+.3{}", "%030.3{}"]
    if letter in "wW":
        # The birth time, which struct stat does not have: unknown, whatever the system could tell otherwise.
        assert done("stat", "-f", f"%{letter}", target) in ("-\n", "0\n")
        return
    texts = [shape.format(letter) for shape in shapes]
    ours = done("stat", "-f", "~".join(texts), target).rstrip("\n").split("~")
    theirs = as_stat("~".join(texts), target).rstrip("\n").split("~")
    assert dict(zip(texts, ours, strict=True)) == dict(zip(texts, theirs, strict=True))


def test_name_letters(target: str) -> None:
    assert done("stat", "-f", "%n", target[1:]) == target + "\n"
    assert target in done("stat", "-f", "%N", target)
    assert done("stat", "-f", f"%-{len(target) + 3}n|", target) == target + "   |\n"


@pytest.mark.parametrize("text", ["plain", "%%", "100%%s", "%n%n", "a\\nb", "", "é", "%%%s%%"])
def test_other_text(target: str, text: str) -> None:
    expected = as_stat(text, target).replace(str(path_of(target)), target)
    assert done("stat", "-f", text, target) == expected


@pytest.mark.parametrize("text", ["%", "%q", "%5", "%-", "%.", "%s%", "%Ls", "%é", "%99999999999s"])
def test_bad_formats(target: str, text: str) -> None:
    result = run("stat", "-f", text, target)
    assert (result.status, result.out) == (2, b""), result
    assert "internal" not in result.errors


def test_every_field(target: str) -> None:
    st = path_of(target).stat()
    shown = dict(line.split(maxsplit=1) for line in done("stat", target).splitlines())
    for field in (
        "st_dev",
        "st_ino",
        "st_nlink",
        "st_uid",
        "st_gid",
        "st_rdev",
        "st_size",
        "st_blksize",
        "st_blocks",
    ):
        assert int(shown[field].split()[0]) == getattr(st, field), field
    assert int(shown["st_mode"].split()[0], 8) == st.st_mode
    assert "-rw-r-----" in shown["st_mode"]
    for field in ("st_atime", "st_mtime", "st_ctime"):
        assert int(shown[field].split()[0]) == getattr(st, field + "_ns") // 10**9, field
    assert f"({st.st_blocks * 512} bytes" in shown["st_blocks"]
    assert ".012345678" in shown["st_atime"]


def test_json(target: str) -> None:
    st = path_of(target).stat()
    shown = done("stat", "--json", target)
    assert len(shown.splitlines()) == 3
    (record,) = json.loads(shown)
    assert record["name"] == target
    assert record["path"] == str(path_of(target))
    assert (record["kind"], record["size"], record["mode"]) == ("shm", 7000, "0640")
    assert record["allocated"] == st.st_blocks * 512
    assert (record["uid"], record["gid"], record["nlink"]) == (st.st_uid, st.st_gid, 1)
    assert (record["inode"], record["device"]) == (st.st_ino, st.st_dev)
    for key in (
        "st_dev",
        "st_ino",
        "st_mode",
        "st_nlink",
        "st_uid",
        "st_gid",
        "st_rdev",
        "st_size",
        "st_blksize",
        "st_blocks",
    ):
        assert record[key] == getattr(st, key), key
    for key in ("atime", "mtime", "ctime"):
        moment = datetime.fromisoformat(record[key])
        assert moment.tzinfo is not None
        assert int(moment.timestamp()) == getattr(st, f"st_{key}_ns") // 10**9
        assert isinstance(record[f"st_{key}"], int | float)


def test_many_operands(names: list[str]) -> None:
    path_of(names[0]).write_bytes(b"x")
    path_of(names[2]).write_bytes(b"xyz")
    result = run("stat", "-f", "%s", *names)
    assert (result.status, result.out) == (1, b"1\n3\n"), result
    assert result.errors == f"shmctl: stat: {names[1]}: No such file or directory (ENOENT)\n"
    result = run("stat", "--json", *names)
    assert result.status == 1
    assert [record["size"] for record in json.loads(result.out)] == [1, 3]
    result = run("stat", "--json", names[1])
    assert (result.status, json.loads(result.out)) == (1, [])


def test_format_and_json(target: str) -> None:
    assert run("stat", "--json", "-f", "%s", target).status == 2
    assert run("stat").status == 2
