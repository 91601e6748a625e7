"""shmctl ls."""

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.commands.test_stat import by_stat
from tests.e2e.terminal import on_terminal, without_styles
from tests.support import PREFIX, done, in_tiny_shm, path_of, run, run_command, shmctl_argv

DEFAULT = ["NAME", "SIZE", "ALLOCATED", "MODE", "OWNER", "GROUP", "MODIFIED", "KIND"]


@pytest.fixture
def three(names: list[str]) -> list[str]:
    """Objects of 5, 5000 and 2,000,000 bytes, modified 1000, 10 and 100,000 seconds ago."""
    for name, size, age in zip(names, (5, 5000, 2_000_000), (1000, 10, 100_000), strict=True):
        path_of(name).write_bytes(b"x" * size)
        path_of(name).chmod(0o600)
        moment = time.time() - age
        os.utime(path_of(name), (moment, moment))
    return names


def listed(*args: str) -> list[str]:
    """The names that are shown of this run's objects, in order."""
    shown = done("ls", *args, "-o", "name", "--no-headings")
    return [line for line in shown.splitlines() if PREFIX in line]


def test_default_columns(three: list[str]) -> None:
    heading, *rows = done("ls", *three).splitlines()
    assert heading.split() == DEFAULT
    assert [row.split()[0] for row in rows] == three
    first = rows[0].split()
    assert first[1:4] == ["5", "4096", "-rw-------"]
    assert first[7] == "shm"
    assert len({len(row.split()) for row in rows}) == 1
    # Columns are aligned: each heading of a text stands where its values do.
    assert all(row[heading.index("MODE") :].startswith("-rw") for row in rows)
    assert not any(line.endswith(" ") for line in (heading, *rows))


def test_nothing_to_list(name: str) -> None:
    assert done("ls", name + "*").split() == DEFAULT
    assert done("ls", "--no-headings", name + "*") == ""
    assert done("ls", "-0", name + "*") == ""
    assert json.loads(done("ls", "--json", name + "*")) == []


@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        ("name", ["NAME"]),
        ("size,name", ["SIZE", "NAME"]),
        ("+inode", [*DEFAULT, "INODE"]),
        ("+inode,nlink", [*DEFAULT, "INODE", "NLINK"]),
        ("NAME,Path", ["NAME", "PATH"]),
        ("uid,gid,device,atime,mtime,ctime", ["UID", "GID", "DEVICE", "ATIME", "MTIME", "CTIME"]),
    ],
)
def test_columns(three: list[str], columns: str, headings: list[str]) -> None:
    heading, *rows = done("ls", "-o", columns, *three).splitlines()
    assert heading.split() == headings
    assert all(len(row.split()) == len(headings) for row in rows)


def test_help_for_columns_explains_each_that_there_is(three: list[str]) -> None:
    """And fits the screen that it is read on."""
    heading, *rows = done("ls", "--columns", "help").splitlines()
    assert heading.split() == ["COLUMN", "MEANING"]
    columns = [row.split()[0] for row in rows]
    assert done("ls", "-o", ",".join(columns), three[0]).splitlines()[0].split() == [
        column.upper() for column in columns
    ]
    assert set(DEFAULT) <= {column.upper() for column in columns}
    shown = without_styles(on_terminal("ls", "--columns", "help").out).decode().splitlines()
    assert len(shown) == len(rows) + 2 <= 24
    assert all(len(row.split(maxsplit=1)[1]) > 10 for row in rows)


def test_values_of_columns(three: list[str]) -> None:
    st = path_of(three[1]).stat()
    columns = "path,uid,gid,nlink,inode,device,size,allocated"
    expected = [str(path_of(three[1])), st.st_uid, st.st_gid, 1, st.st_ino, st.st_dev, 5000, 8192]
    assert done("ls", "--no-headings", "--columns", columns, three[1]).split() == list(map(str, expected))


@pytest.mark.parametrize("columns", ["", "nope", "name,,size", "name,nope", "+", "+nope", "name;size"])
def test_bad_columns(columns: str) -> None:
    result = run("ls", "-o", columns)
    assert (result.status, result.out) == (2, b""), result
    assert "size" in result.errors, "the hint names the columns"


def test_sort(three: list[str]) -> None:
    small, middle, large = three
    assert listed(*three) == three
    assert listed(*three, "-r") == three[::-1]
    assert listed(*three, "--sort", "size", "-r") == [large, middle, small]
    assert listed(*three, "--sort", "modified") == [large, small, middle]
    assert listed(*three, "--sort", "allocated", "--reverse")[0] == large
    assert run("ls", "--sort", "nope").status == 2


def test_sizes(three: list[str]) -> None:
    sizes = ["-o", "size", "--no-headings", "--sort", "size", *three]
    assert done("ls", *sizes).split() == ["5", "5000", "2000000"]
    assert done("ls", "-b", *sizes).split() == ["5", "5000", "2000000"]
    assert done("ls", "--human", *sizes).split() == ["5", "4.9K", "2.0M"]
    assert done("ls", "--human", "--bytes", *sizes).split() == ["5", "5000", "2000000"]


def test_filters(three: list[str]) -> None:
    small, middle, large = three
    assert listed(*three, "--larger", "5") == [middle, large]
    assert listed(*three, "--larger", "4999") == [middle, large]
    assert listed(*three, "--larger", "1M") == [large]
    assert listed(*three, "--older", "500") == [small, large]
    assert listed(*three, "--older", "1d") == [large]
    assert listed(*three, "--older", "5m", "--larger", "1K") == [large]
    assert listed(*three, "--owner", str(os.geteuid())) == three
    assert listed(*three, "--owner", "12345") == []
    assert listed(*three, "--kind", "shm") == three
    assert listed(*three, "--kind", "semaphore") == []
    assert listed(*three, "--kind", "semaphore", "--kind", "shm") == three


@pytest.mark.parametrize(
    "args",
    [["--owner", "nobody-of-that-name"], ["--owner", "-1"], ["--owner", str(2**32 - 1)], ["--kind", "nope"],
     ["--older", "x"], ["--older", "-5"], ["--older", "5w"], ["--larger", "12Q"], ["--larger", "-1"]],
    ids=" ".join,
)  # fmt: skip
def test_bad_filters(args: list[str]) -> None:
    result = run("ls", *args)
    assert (result.status, result.out) == (2, b""), result


def test_patterns(three: list[str]) -> None:
    stem = three[0].rstrip("0123456789")
    assert set(listed(stem + "*")) >= set(three)
    assert listed(three[0][1:]) == [three[0]]
    assert listed("/dev/shm" + three[0]) == [three[0]]
    siblings = [name for name in three if name[:-1] == three[0][:-1]]
    assert listed("/dev/shm" + three[0][:-1] + "?", three[2], three[2]) == sorted({*siblings, three[2]})
    assert listed(three[0][:-1] + f"[{three[0][-1]}]") == [three[0]]
    assert three[0] not in listed(three[0][:-1] + f"[!{three[0][-1]}]")
    assert listed(three[0] + "nothing*") == []


def test_a_missing_name_is_an_error(three: list[str]) -> None:
    """As it is to ls(1): the others are listed; a pattern without a match is none."""
    result = run("ls", "--no-headings", "-o", "name", three[0], "/" + PREFIX + "missing", three[1])
    assert result.status == 1
    assert result.text.split() == three[:2]
    assert result.errors == f"shmctl: ls: /{PREFIX}missing: No such file or directory (ENOENT)\n"


def test_leading_dots_are_listed(name: str) -> None:
    hidden = f"/.{name[1:]}"
    path_of(hidden).touch()
    assert hidden in listed()
    assert hidden in listed(f"*{name[1:]}")


def test_null(three: list[str]) -> None:
    assert run("ls", "-0", *three).out == b"".join(name.encode() + b"\0" for name in three)
    assert run("ls", "--null", "-r", *three).out.split(b"\0")[0] == three[2].encode()
    assert run("ls", "-0", "--json").status == 2


def test_json(three: list[str]) -> None:
    shown = done("ls", "--json", *three)
    assert len(shown.splitlines()) == 5, "one line an object"
    records = json.loads(shown)
    assert [record["name"] for record in records] == three
    numbers = ["size", "allocated", "uid", "gid", "nlink", "inode", "device"]
    texts = ["name", "path", "kind", "mode", "owner", "group", "atime", "mtime", "ctime"]
    assert sorted(records[0]) == sorted(numbers + texts)
    assert [record["size"] for record in records] == [5, 5000, 2_000_000]
    assert all(isinstance(records[0][key], int) for key in numbers)
    assert all(isinstance(records[0][key], str) for key in texts)
    assert records[0]["mode"] == "0600"


def test_birth_time(three: list[str]) -> None:
    """When each was created, whatever its other times say."""
    expected = [by_stat("%w", name).decode().strip() for name in three]
    records = json.loads(done("ls", "--json", "-o", "+btime", *three))
    assert [datetime.fromisoformat(record["btime"]) for record in records] == list(
        map(datetime.fromisoformat, expected)
    )
    assert listed(*three, "--sort", "btime") == sorted(three, key=lambda name: by_stat("%.9W", name))
    for shown, birth in zip(done("ls", "-o", "btime", *three).splitlines()[1:], expected, strict=True):
        assert shown.split("+")[0].replace("T", " ") == birth.split(".")[0]


def test_no_birth_time(three: list[str], tmp_path: Path) -> None:
    strace = ["strace", "-f", "-qq", "-o", str(tmp_path / "log"), "-e", "inject=statx:error=ENOSYS"]
    result = run_command([*strace, *shmctl_argv("ls", "-o", "size,btime", "--no-headings", *three)])
    assert [line.split() for line in result.text.splitlines()] == [
        ["5", "-"],
        ["5000", "-"],
        ["2000000", "-"],
    ]


def test_semaphores(name: str) -> None:
    semaphore = f"/sem.{name[1:]}"
    path_of(semaphore).write_bytes(bytes(32))
    path_of(name).touch()
    shown = done("ls", "-o", "name,kind", "--no-headings", semaphore, name).splitlines()
    assert sorted(line.split() for line in shown) == sorted([[semaphore, "semaphore"], [name, "shm"]])
    assert listed("--kind", "semaphore") == [semaphore]


def test_unknown_option() -> None:
    assert run("ls", "--nonsense").status == 2


@pytest.mark.parametrize("seconds", [10**12, -(10**14), 9 * 10**18])
def test_times_far_away(name: str, seconds: int) -> None:
    """Anybody may give an object such a time: it must not hide the others."""
    path_of(name).touch()
    run_command(["touch", "-d", f"@{seconds}", str(path_of(name))])
    assert int(path_of(name).stat().st_mtime_ns) // 10**9 == seconds
    (record,) = json.loads(done("ls", "--json", name))
    assert record["mtime"].startswith({10**12: "33658-", -(10**14): "-316", 9 * 10**18: "@9"}[seconds])
    assert record["mtime"][:5] in done("ls", name)
    theirs = run_command(["stat", "-c", "%y", str(path_of(name))]).text
    assert done("stat", "-f", "%y", name) == theirs


def test_equals_are_sorted_by_name(three: list[str]) -> None:
    for name in three:
        path_of(name).write_bytes(b"x")
    assert listed(*three, "--sort", "size") == three
    assert listed(*three, "--sort", "size", "-r") == three[::-1]


MANY = """
import os
for number in range(100_000):
    os.close(os.open(f"/dev/shm/object-{number}", os.O_CREAT | os.O_WRONLY))
    if number % 100 == 0:
        os.truncate(f"/dev/shm/object-{number}", number)
"""


@pytest.mark.needs_root
@pytest.mark.long
def test_very_many_objects(tmp_path: Path) -> None:
    names = sorted(f"/object-{number}" for number in range(100_000))
    (tmp_path / "make.py").write_text(MANY)
    script = f"""
    mount -o remount,nr_inodes=0 /dev/shm
    cd {tmp_path} && {sys.executable} make.py
    shmctl ls > plain; shmctl ls --sort size -r -o size,name --no-headings 'object-*' > sorted
    shmctl ls --json | wc -l
    """
    result = in_tiny_shm(script, size="300m", env={"PATH": os.environ["PATH"]})
    assert (result.status, result.text, result.errors) == (0, "100002\n", "")
    plain = (tmp_path / "plain").read_text().splitlines()
    assert [line.split()[0] for line in plain] == ["NAME", *names]
    assert len({len(line) for line in plain[1:]}) == 1, "aligned"
    by_size = sorted(((0 if int(name[8:]) % 100 else int(name[8:])), name) for name in names)
    shown = [tuple(line.split()) for line in (tmp_path / "sorted").read_text().splitlines()]
    assert [(int(size), name) for size, name in shown] == by_size[::-1]
