"""docs/stable.md keeps its word: the JSON of each command has the keys that it lists."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.documents import ROOT
from tests.e2e.inspect.holding import wait_for
from tests.support import done, environment, path_of, run, shmctl_argv

ROWS: list[tuple[str, str]] = re.findall(
    r"^\| `([a-z -]+)` \| (.+) \|$", (ROOT / "docs/stable.md").read_text(), re.M
)
TABLE = dict(ROWS)


def told(command: str) -> list[str]:
    """The keys that the page lists, in order."""
    text = TABLE[command].partition(";")[0].removesuffix(", then what the kind of lock has")
    base, comma, more = text.removeprefix("as ").partition(", then ")
    if not comma:
        return text.split()
    return [*told(base.strip("`")), *(word for word in more.split() if word != "and")]


def keys(*args: str, status: int = 0) -> list[str]:
    result = run(*args)
    assert result.status == status, result
    found: Any = json.loads(result.text)
    return list(found[0] if isinstance(found, list) else found)


@pytest.fixture
def held(name: str) -> Iterator[str]:
    done("create", name, "-s", "100", "--reserve")
    with path_of(name).open() as file, subprocess.Popen(["sleep", "60"], stdin=file) as holder:
        try:
            wait_for(lambda: run("holders", "-q", name).status == 0, "it is held")
            yield name
        finally:
            holder.kill()


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("ls", ["NAME"]),
        ("leaks", ["NAME"]),
        ("holders", ["NAME"]),
        ("df", []),
        ("doctor", []),
        ("read", ["NAME"]),
        ("read --text", ["NAME"]),
        ("read --type", ["int32", "NAME"]),
        ("read --struct", ["int x;", "NAME"]),
        ("layout", ["int x; char c[4];"]),
    ],
)
def test_keys(held: str, command: str, args: list[str]) -> None:
    found = keys(*command.split(), *(arg.replace("NAME", held) for arg in args), "--json")
    assert found == told(command)


def test_keys_of_fields() -> None:
    (field,) = json.loads(done("layout", "int x;", "--json"))["fields"]
    assert list(field) == TABLE["layout"].partition("each of fields has ")[2].split()


def test_keys_of_stat(held: str) -> None:
    assert sorted(keys("stat", held, "--json")) == sorted(told("stat"))
    more = {*keys("stat", held, "--json", "--holders", "--pages")} - {*told("stat")}
    assert more == {"holders", "pages"}


def test_keys_of_gc(name: str) -> None:
    done("create", name, "-s", "1")
    assert keys("gc", name, "--json", "--min-age", "0", "--yes") == told("gc")


def test_keys_of_unlinked(held: str) -> None:
    path_of(held).unlink()
    assert keys("holders", "--unlinked", "--json") == told("holders --unlinked")


def test_keys_of_semaphores_and_locks(name: str) -> None:
    done("sem", "create", name)
    assert keys("sem", "ls", name, "--json") == told("sem ls")
    assert keys("locks", f"/sem.{name[1:]}", "--json")[: len(told("locks"))] == told("locks")


def test_keys_of_events(name: str) -> None:
    argv = shmctl_argv("events", "--json", "--count", "1", name)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stderr
        while b"watching" not in process.stderr.readline():
            pass
        path_of(name).touch()
        out, _ = process.communicate(timeout=20)
    assert list(json.loads(out.splitlines()[0])) == told("events")


def test_every_row_is_tested() -> None:
    source = (ROOT / "tests/test_stable.py").read_text()
    assert len(TABLE) == 16
    assert not [command for command in TABLE if f'"{command}"' not in source]
