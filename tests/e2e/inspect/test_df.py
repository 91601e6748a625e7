"""df: what fills a /dev/shm, to the byte."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from tests.e2e.inspect.holding import (
    SIZE,
    UNINSPECTED,
    Holder,
    PrivatePlace,
    complaints,
    records,
    sleeper,
)
from tests.e2e.terminal import Terminal, without_styles
from tests.support import AS_NOBODY, shmctl_argv

pytestmark = pytest.mark.needs_root

PAGE = 4096
# What there is none of is 0, so that a script need not ask whether the key is there.
KINDS = ("shm", "semaphore", "directory", "symlink", "socket", "other", "in directories")
NOTHING = dict.fromkeys(KINDS, 0)


def measured(place: PrivatePlace) -> dict[str, Any]:
    """What df says; its parts add up to what the file system says."""
    (found,) = place.records("df")
    vfs = os.statvfs(place.path(""))
    assert found["capacity"] == vfs.f_blocks * vfs.f_frsize
    assert found["free"] == vfs.f_bfree * vfs.f_frsize
    assert found["used"] == found["capacity"] - found["free"]
    assert (found["inodes"], found["inodes_used"]) == (vfs.f_files, vfs.f_files - vfs.f_ffree)
    unlinked = sum(each["allocated"] for each in found["unlinked"])
    assert sum(found["by_kind"].values()) + unlinked + found["unexplained"] == found["used"]
    assert sum(found["by_owner"].values()) == sum(found["by_kind"].values())
    return found


def test_empty(private: PrivatePlace) -> None:
    found = measured(private)
    assert (found["capacity"], found["used"], found["unexplained"]) == (16 << 20, 0, 0)
    assert found["by_kind"] == NOTHING
    assert found["by_verdict"] == {"held": 0, "orphan": 0, "kept": 0, "unknown": 0}
    assert (found["by_owner"], found["unlinked"]) == ({}, [])
    assert (found["path"], found["pid"], found["container"]) == ("/dev/shm", None, None)


def test_named(private: PrivatePlace, holder: Holder) -> None:
    """By kind, by owner and by verdict; holes take nothing, and two names of one object count once."""
    private.make("/x", bytes(100_000))
    private.make("/used", bytes(3 * PAGE))
    private.make("/sem.x", bytes(32))
    os.chown(private.make("/theirs", bytes(PAGE)), 65534, 65534)
    private.path("/again").hardlink_to(private.path("/x"))
    with private.path("/sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(PAGE * 7)
        file.write(b"x")
    private.path("/link").symlink_to("t" * 1000)
    with holder("mapping", "/dev/shm/used", private.enter):
        found = measured(private)
    shm = 25 * PAGE + 3 * PAGE + PAGE + PAGE
    assert found["by_kind"] == NOTHING | {"shm": shm, "semaphore": PAGE, "symlink": PAGE}
    assert found["by_owner"] == {"root": shm + PAGE, "nobody": PAGE}
    # Young ones are kept.
    assert found["by_verdict"] == {"held": 3 * PAGE, "kept": shm - 2 * PAGE, "orphan": 0, "unknown": 0}
    assert found["unexplained"] == 0


def test_what_stands_in_directories(private: PrivatePlace) -> None:
    """Libraries make directories, too."""
    deep = private.path("/qb-1-2-3-abcdef/deeper")
    deep.mkdir(parents=True)
    (deep / "ring").write_bytes(bytes(5 * PAGE))
    os.chown(deep / "ring", 65534, 65534)
    (deep.parent / "data").write_bytes(bytes(2 * PAGE))
    private.make("/x", bytes(PAGE))
    found = measured(private)
    assert found["by_kind"] == NOTHING | {"in directories": 7 * PAGE, "shm": PAGE}
    assert found["by_owner"]["nobody"] == 5 * PAGE
    assert found["unexplained"] == 0


@pytest.mark.parametrize("where", ["sub", "sub/deeper"])
def test_another_file_system_below(private: PrivatePlace, where: str) -> None:
    """What is mounted in a directory there takes nothing of this one."""
    script = 'mkdir -p "$0" && mount -t tmpfs tmpfs "$0" && head -c 99999 /dev/zero >"$0/x"'
    subprocess.run([*private.enter, "sh", "-c", script, f"/dev/shm/{where}"], check=True)
    found = measured(private)
    assert (found["used"], found["unexplained"]) == (0, 0)
    (folder,) = json.loads(private.run("ls", "-a", "--json").text)
    assert folder["allocated"] == 0


WAYS = ["fd", "read-only fd", "mapping", "read-only mapping", "PROT_NONE mapping", "private mapping"]


@pytest.mark.parametrize("way", WAYS)
def test_unlinked_but_held(private: PrivatePlace, holder: Holder, way: str) -> None:
    path = private.make("/gone", bytes(SIZE))
    inode = path.stat().st_ino
    private.make("/here", bytes(PAGE))
    with holder(way, "/dev/shm/gone", private.enter) as holding:
        path.unlink()
        found = measured(private)
        assert found["unexplained"] == 0
        (gone,) = found["unlinked"]
        assert (gone["name"], gone["inode"], gone["allocated"], gone["size"]) == ("/gone", inode, SIZE, SIZE)
        assert [each["pid"] for each in gone["holders"]] == [holding.pid]
        assert private.records("df")[0]["by_kind"] == NOTHING | {"shm": PAGE}
        rows = rows_of(private)
        assert ["used", "unlinked:/gone", str(SIZE)] in [row[:3] for row in rows]
        assert any(str(holding.pid) in " ".join(row[3:]) for row in rows)
    assert measured(private)["used"] == PAGE


def test_all_at_once(private: PrivatePlace, holder: Holder) -> None:
    """Named, in directories, unlinked and held by descriptor, mapping or both, and never named."""
    private.make("/x", bytes(11 * PAGE))
    private.path("/d").mkdir()
    private.path("/d/file").write_bytes(bytes(3 * PAGE))
    for name, pages in (("/fd", 5), ("/map", 7), ("/both", 2), ("/d/inner", 4)):
        private.make(name, bytes(pages * PAGE))
    unnamed = "fd = os.open('/dev/shm', os.O_RDWR | os.O_TMPFILE); os.write(fd, bytes(4096 * 6))"
    enter = private.enter
    with (
        holder("fd", "/dev/shm/fd", enter),
        holder("mapping", "/dev/shm/map", enter),
        holder("mapping", "/dev/shm/both", enter) as one,
        holder("fd", "/dev/shm/both", enter) as two,
        holder("fd", "/dev/shm/d/inner", enter),
        sleeper(unnamed, enter=enter),
    ):
        for name in ("/fd", "/map", "/both", "/d/inner"):
            private.path(name).unlink()
        found = measured(private)
    assert found["by_kind"] == NOTHING | {"shm": 11 * PAGE, "in directories": 3 * PAGE}
    assert [each["allocated"] // PAGE for each in found["unlinked"]] == [7, 6, 5, 4, 2], "largest first"
    by_name = {each["name"]: each for each in found["unlinked"]}
    assert {"/fd", "/map", "/both", "/d/inner"} < set(by_name)
    assert sorted(each["pid"] for each in by_name["/both"]["holders"]) == sorted([one.pid, two.pid])
    assert (found["used"], found["unexplained"]) == (38 * PAGE, 0)


def test_in_flight_is_unexplained(private: PrivatePlace, holder: Holder) -> None:
    """Nothing shows it, and the last row says so."""
    path = private.make("/x", bytes(SIZE))
    private.make("/y", bytes(PAGE))
    with holder("in flight", "/dev/shm/x", private.enter):
        path.unlink()
        found = measured(private)
        assert (found["unlinked"], found["unexplained"], found["used"]) == ([], SIZE, SIZE + PAGE)
        (row,) = [row for row in rows_of(private) if row[:2] == ["used", "unexplained"]]
        assert row[2] == str(SIZE)
        assert "in flight" in row[3]
    assert measured(private)["unexplained"] == 0


@pytest.mark.parametrize("way", ["fd, leader dead", "mapping, leader dead", "fd of a thread alone"])
def test_unlinked_and_held_by_a_thread(private: PrivatePlace, holder: Holder, way: str) -> None:
    """It is no part of what is unexplained."""
    path = private.make("/x", bytes(SIZE))
    with holder(way, "/dev/shm/x", private.enter) as holding:
        path.unlink()
        found = measured(private)
        ((gone,), rest) = found["unlinked"], found["unexplained"]
        assert (gone["name"], gone["allocated"], rest) == ("/x", SIZE, 0)
        assert [each["pid"] for each in gone["holders"]] == [holding.pid]


def rows_of(place: PrivatePlace) -> list[list[str]]:
    result = place.run("df")
    assert (result.status, complaints(result)) == (0, []), result
    heading, *rows = result.text.splitlines()
    assert heading.split() == ["GROUP", "OF", "BYTES", "NOTE"]
    found = [re.fullmatch(r"(\S+)\s+(.+?)\s+(-?[0-9]+)\s+(.*)", row) for row in rows]
    assert all(found), rows
    return [list(match.groups()) for match in found if match]


def test_rows_add_up(private: PrivatePlace, holder: Holder) -> None:
    private.make("/x", bytes(9 * PAGE))
    private.make("/sem.x", bytes(32))
    gone = private.make("/gone", bytes(SIZE))
    flying = private.make("/flying", bytes(3 * SIZE))
    with (
        holder("mapping", "/dev/shm/gone", private.enter),
        holder("in flight", "/dev/shm/flying", private.enter),
    ):
        gone.unlink()
        flying.unlink()
        rows = rows_of(private)
    totals = {of: int(size) for group, of, size, _ in rows if group == "total"}
    assert totals["capacity"] == totals["used"] + totals["free"] == 16 << 20
    parts = [int(size) for group, _, size, _ in rows if group == "used"]
    assert sum(parts) == totals["used"] == 10 * PAGE + 4 * SIZE
    assert [row[1] for row in rows if row[0] == "used"][-1] == "unexplained"
    named = sum(int(size) for group, _, size, _ in rows if group == "by-owner")
    assert named == 10 * PAGE
    verdicts = {of: int(size) for group, of, size, _ in rows if group == "by-verdict"}
    assert verdicts == {"kept": 10 * PAGE, "held": 0, "orphan": 0, "unknown": 0}


def test_as_an_ordinary_user(private: PrivatePlace, holder: Holder) -> None:
    """What others hold without a name cannot be told; it adds up all the same, and says why."""
    path = private.make("/x", bytes(SIZE))
    with holder("fd", "/dev/shm/x", private.enter):
        path.unlink()
        (found,) = records(private.run_as_nobody("df", "--json"))
        assert (found["used"], found["unexplained"], found["unlinked"]) == (SIZE, SIZE, [])
        result = private.run_as_nobody("df")
        assert "could not be inspected" in result.text
        assert len([line for line in result.errors.splitlines() if UNINSPECTED.fullmatch(line)]) == 1


def test_a_directory_that_is_shut(private: PrivatePlace) -> None:
    """What stands in it is not to be seen, and still adds up."""
    private.path("/shut").mkdir(0o700)
    private.make("/shut/x", bytes(SIZE))
    (found,) = records(private.run_as_nobody("df", "--json"))
    assert (found["used"], found["unexplained"]) == (SIZE, SIZE), found


def test_own_mapping_as_an_ordinary_user(private: PrivatePlace, holder: Holder) -> None:
    """Of a mapping alone an ordinary user is not told the size: the row says so, and the sum holds."""
    path = private.make("/x", bytes(SIZE))
    os.chown(path, 65534, 65534)
    with holder("mapping", "/dev/shm/x", (*private.enter, *AS_NOBODY)) as holding:
        path.unlink()
        (found,) = records(private.run_as_nobody("df", "--json"))
        (gone,) = found["unlinked"]
        assert gone["name"] == "/x"
        assert [each["pid"] for each in gone["holders"]] == [holding.pid]
        assert (gone["allocated"] or 0) + found["unexplained"] == found["used"] == SIZE


def test_full(private: PrivatePlace) -> None:
    """Of all times it is needed when nothing is left."""
    with private.path("/filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(1 << 20))
    found = measured(private)
    assert (found["free"], found["used"], found["unexplained"]) == (0, 16 << 20, 0)


def test_a_bar_on_a_terminal(private: PrivatePlace) -> None:
    private.make("/x", bytes(8 << 20))
    for columns in (100, 80, 60):
        with Terminal([*private.enter, *shmctl_argv("df")], columns=columns) as terminal:
            result = terminal.end()
        lines = without_styles(result.out).decode().splitlines()
        assert result.status == 0
        assert max(map(len, lines)) <= columns
        bar = lines[0].strip()
        assert set(bar) == {"█", "░"}
        assert abs(bar.count("█") - bar.count("░")) <= 2, "half of it is taken"
    assert "8.0M" in "".join(lines).replace(" ", "") or columns < 40
