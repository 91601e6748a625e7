"""Directories in /dev/shm: named with their memory, software and creator; gc removes none."""

import os
import shutil
from typing import NamedTuple

import pytest

from tests.e2e.inspect.holding import SIZE, Holder, PrivatePlace, dead_pid

pytestmark = pytest.mark.needs_root

NOW = ("--min-age", "0")


class Made(NamedTuple):
    """A directory of each kind: its creator dead, its creator this process, kept by design, nobody's."""

    dead: str
    alive: str
    kept: str
    plain: str


@pytest.fixture
def made(private: PrivatePlace) -> Made:
    names = Made(
        f"/joblib_memmapping_folder_{dead_pid()}_1_2",
        f"/qb-{os.getpid()}-1-10-abcDEF",
        "/jack_db-0",
        "/plain",
    )
    for name in names:
        private.path(f"{name}/deep").mkdir(parents=True)
        private.make(f"{name}/deep/file")
        private.make(f"{name}/data")
    return names


def test_df_has_a_row_for_each(private: PrivatePlace, made: Made) -> None:
    private.path("/twice").hardlink_to(private.path(f"{made.plain}/data"))
    (found,) = private.records("df")
    by_name = {each["name"]: each for each in found["directories"]}
    assert by_name.keys() == set(made)
    assert {each["files"] for each in by_name.values()} == {2}
    # What has a name outside a directory counts there.
    assert [by_name[name]["allocated"] for name in made] == [2 * SIZE] * 3 + [SIZE]
    assert found["by_kind"]["in directories"] == sum(each["allocated"] for each in by_name.values())
    facts = {name: (each["software"], each["creator_alive"]) for name, each in by_name.items()}
    assert facts == {
        made.dead: ("joblib, loky", False),
        made.alive: ("libqb", True),
        made.kept: ("JACK", None),
        made.plain: (None, None),
    }
    lines = [line.split() for line in private.run("df").text.splitlines()]
    sizes = {line[1]: int(line[2]) for line in lines if line[0] == "used"}
    assert sum(sizes.values()) == found["used"]
    assert sizes[f"directory:{made.dead}"] == 2 * SIZE


def test_ls_all_has_memory_software_and_creator(private: PrivatePlace, made: Made) -> None:
    by_name = {each["name"]: each for each in private.records("ls", "--all")}
    assert {each["allocated"] for each in by_name.values()} == {2 * SIZE}
    assert by_name[made.alive]["software"] == "libqb"
    assert by_name[made.alive]["creator"] == {"pid": os.getpid(), "alive": True}
    assert by_name[made.plain]["creator"] is None
    lines = {line.split()[0]: line.split()[-1] for line in private.run("ls", "-a").text.splitlines()}
    assert lines[made.dead].endswith("/dead")
    assert lines[made.plain] == "-"
    assert private.records("ls") == []


def test_leaks_judges_directories(private: PrivatePlace, made: Made, holder: Holder) -> None:
    verdicts = private.verdicts()
    assert verdicts == {
        made.dead: "orphan",
        made.alive: "kept",
        made.kept: "kept",
        made.plain: "unknown",
    }
    (found,) = private.records("leaks", *NOW, made.dead)
    assert f"gc removes no directory: 'rm -r /dev/shm{made.dead}' does" in found["reasons"]
    assert private.run("leaks", *NOW, "--exit-code", made.dead[1:]).status == 1
    # What is young may be about to be used.
    assert set(private.run("leaks", made.dead).text.split()) & {"kept", "orphan"} == {"kept", "orphan"}
    assert "younger" in private.run("leaks", made.dead).text
    with holder("mapping", f"/dev/shm{made.dead}/deep/file", private.enter) as holding:
        (found,) = private.records("leaks", *NOW, made.dead)
        assert (found["verdict"], found["holders"]) == ("held", [holding.pid])
        assert found["reasons"][0].startswith(f"{made.dead}/deep/file: ")
    with holder("in flight", f"/dev/shm{made.dead}/data", private.enter):
        assert private.verdicts(made.dead) == {made.dead: "held"}


def test_holders_knows_files_by_path(private: PrivatePlace, made: Made, holder: Holder) -> None:
    path = f"{made.kept}/deep/file"
    with holder("fd", f"/dev/shm{path}", private.enter) as holding:
        for args in ((), (made.kept,), (path,), (f"/dev/shm{path}",), (path[1:],)):
            assert [(each["name"], each["pid"]) for each in private.records("holders", *args)] == [
                (path, holding.pid)
            ], args
        assert private.records("holders", f"{made.kept}/data") == []
        assert private.run("holders", "-q", path).status == 0
        assert private.run("holders", "-q", f"{made.kept}/data").status == 1
    missing = private.run("holders", f"{made.kept}/other")
    assert missing.errors == f"shmctl: holders: {made.kept}/other: No such file or directory (ENOENT)\n"
    for wrong in (f"{made.kept}/../plain", f"{made.kept}//data", f"{made.kept}/"):
        assert private.run("holders", wrong).status == 2


def test_a_link_in_the_way_is_not_followed(private: PrivatePlace, made: Made) -> None:
    private.path("/link").symlink_to("plain")
    assert private.run("holders", "/link/data").status == 1
    shutil.rmtree(private.path(f"{made.plain}/deep"))
    private.path(f"{made.plain}/deep").symlink_to(f"../{made.kept[1:]}/deep")
    assert private.run("holders", f"{made.plain}/deep/file").status == 1


def test_gc_removes_none(private: PrivatePlace, made: Made) -> None:
    assert private.records("gc", *NOW, "--yes") == []
    assert private.records("gc", *NOW, "--yes", *made) == []
    assert private.run("gc", *NOW).text == "0 of 0 objects are orphans to remove, 0 bytes\n"
    assert all(private.path(f"{name}/deep/file").exists() for name in made)


def test_doctor_names_them(private: PrivatePlace, made: Made) -> None:
    found = {each["check"]: each for each in private.records("doctor")}["directories"]
    assert found["status"] == "note"
    assert f"{made.dead} 16K, joblib, loky, creator {made.dead.split('_')[3]} is dead" in str(found)
    shutil.rmtree(private.path(made.dead))
    assert {each["check"]: each["status"] for each in private.records("doctor")}["directories"] == "ok"
