"""An object of several names is one object: it counts once, and goes with all its names or stays with all."""

import json
import os
import subprocess

import pytest

from tests.e2e.inspect.holding import SIZE, Holder, PrivatePlace
from tests.scraping import samples

pytestmark = pytest.mark.needs_root

NOW = ("--min-age", "0")
THREE = ("/a", "/b", "/c")


def make_three(place: PrivatePlace) -> None:
    path = place.make("/a")
    for name in THREE[1:]:
        place.path(name).hardlink_to(path)


def left_in(place: PrivatePlace) -> list[str]:
    return sorted(os.listdir(place.path("")))


def test_three_names_count_once(private: PrivatePlace) -> None:
    make_three(private)
    (found,) = private.records("leaks", *NOW)
    assert (found["name"], found["verdict"], found["allocated"]) == ("/a", "orphan", SIZE)
    assert found["reasons"][-1] == "also named /b, /c"
    totals = private.run("leaks", *NOW).text.splitlines()[-4:]
    assert totals[1].split() == ["orphan", "1", str(SIZE)]
    assert "1 of 1 object is an orphan to remove, 8192 bytes" in private.run("gc", *NOW).text
    metrics = samples(private.run("metrics", *NOW).text)
    assert metrics["objects{kind=shm,verdict=orphan}"] == 1
    assert private.records("df")[0]["by_kind"]["shm"] == SIZE
    (by_another,) = private.records("leaks", *NOW, "/b", "/c")
    assert (by_another["name"], by_another["reasons"][-1]) == ("/b", "also named /c, /a")


@pytest.mark.parametrize("patterns", [(), ("/b",)])
def test_gc_removes_all_names(private: PrivatePlace, patterns: tuple[str, ...]) -> None:
    """The memory is what is leaked, whichever name led to it; its own unlink is no change to it."""
    make_three(private)
    (found,) = private.records("gc", *NOW, "--yes", *patterns)
    assert (found["removed"], found["freed"], found["left"]) == (True, SIZE, None)
    assert left_in(private) == []


def test_gc_keeps_what_is_kept_by_any_name(private: PrivatePlace) -> None:
    make_three(private)
    assert private.records("gc", *NOW, "--yes", "--keep", "/b") == []
    assert private.records("gc", *NOW, "--yes", "--keep", "/b", "/a") == []
    assert left_in(private) == ["a", "b", "c"]


@pytest.mark.parametrize("patterns", [(), ("/a",)])
def test_a_name_that_keeps_it_keeps_it_by_every_name(
    private: PrivatePlace, patterns: tuple[str, ...]
) -> None:
    private.path("/sem.b").hardlink_to(private.make("/a"))
    found = private.records("leaks", *NOW, *patterns)
    assert [(each["name"], each["verdict"]) for each in found] == [("/a", "kept")]
    assert "as /sem.b it is kept" in found[0]["reasons"]
    assert private.records("gc", *NOW, "--yes", *patterns) == []
    assert left_in(private) == ["a", "sem.b"]


def test_held_by_one_name(private: PrivatePlace, holder: Holder) -> None:
    make_three(private)
    with holder("mapping", "/dev/shm/c", private.enter):
        assert private.verdicts("/a") == {"/a": "held"}
        assert private.records("gc", *NOW, "--yes") == []


def test_a_name_in_a_directory_is_one_that_gc_leaves(private: PrivatePlace) -> None:
    private.path("/folder").mkdir()
    private.path("/folder/second").hardlink_to(private.make("/a"))
    (found,) = private.records("gc", *NOW, "--yes")
    assert found["left"] == "it has another name, in a directory or outside this one"
    assert left_in(private) == ["a", "folder"]


def test_names_that_went_come_back_where_one_stays(private: PrivatePlace) -> None:
    """A name that something is mounted on is busy."""
    make_three(private)
    subprocess.run([*private.enter, "mount", "--bind", "/dev/shm/c", "/dev/shm/c"], check=True)
    result = private.run("gc", *NOW, "--yes", "--json")
    assert result.status == 1
    (found,) = json.loads(result.out)
    assert (found["removed"], found["left"]) == (False, "unlink failed (EBUSY)")
    assert left_in(private) == ["a", "b", "c"]
    assert {private.path(name).stat().st_nlink for name in THREE} == {3}
    subprocess.run([*private.enter, "umount", "/dev/shm/c"], check=True)
    private.records("gc", *NOW, "--yes")
    assert left_in(private) == []
