"""ls and stat: holders, verdicts and software beside what the file system tells, when asked for."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from shmctl.cli import main
from shmctl.core.inspect import verdicts
from shmctl.core.inspect.verdicts import Rules
from tests.e2e.inspect.holding import SIZE, Holder, Place, PrivatePlace, complaints, sleeper
from tests.e2e.terminal import Terminal, without_styles
from tests.support import run_command, shmctl_argv


def listed(place: Place, *args: str) -> list[list[str]]:
    result = place.run("ls", "--no-headings", *args)
    assert (result.status, complaints(result)) == (0, []), result
    return [line.split() for line in result.text.splitlines()]


def test_columns(names: list[str], shared: Place, holder: Holder) -> None:
    for name in names:
        shared.make(name)
    with holder("fd", shared.path(names[0])) as one, holder("mapping", shared.path(names[0])) as two:
        result = shared.run("ls", "-o", "+holders,verdict,software", *names[:2])
        heading, *rows = result.text.splitlines()
        assert heading.split()[-3:] == ["HOLDERS", "VERDICT", "SOFTWARE"]
        pids = ",".join(map(str, sorted([one.pid, two.pid])))
        assert [row.split()[-3:] for row in rows] == [[pids, "held", "-"], ["-", "kept", "-"]]
        assert listed(shared, "-o", "verdict,name", names[0]) == [["held", names[0]]]
        (found,) = shared.records("ls", "-o", "+holders,verdict", names[0])
        assert (found["holders"], found["verdict"]) == (sorted([one.pid, two.pid]), "held")
        # Nobody who has not asked pays for it.
        (found,) = shared.records("ls", names[0])
        assert {"holders", "verdict", "software"}.isdisjoint(found)


@pytest.mark.needs_root
def test_software(private: PrivatePlace) -> None:
    for name in ("/psm_01234567", "/torch_1_2_3", "/x"):
        private.make(name)
    rows = listed(private, "-o", "name,software")
    assert rows[1:] == [["/torch_1_2_3", "PyTorch"], ["/x", "-"]]
    with Terminal([*private.enter, *shmctl_argv("ls", "-o", "name,software")]) as terminal:
        assert b"CPython multiprocessing" in without_styles(terminal.end().out)
    found = private.records("ls", "-o", "name,software")
    assert [each["software"] for each in found] == ["CPython multiprocessing", "PyTorch", None]


@pytest.mark.needs_root
def test_what_is_no_object_has_no_verdict(private: PrivatePlace) -> None:
    private.path("/directory").mkdir()
    private.path("/link").symlink_to("x")
    private.make("/x")
    rows = listed(private, "-a", "-o", "name,holders,verdict,software")
    assert rows == [["/directory", "-", "kept", "-"], ["/link", "-", "-", "-"], ["/x", "-", "kept", "-"]]
    found = private.records("ls", "-a", "-o", "name,holders,verdict,software")
    assert [(each["verdict"], each["holders"]) for each in found] == [("kept", []), (None, []), ("kept", [])]
    assert listed(private, "-a", "-o", "name", "--verdict", "kept") == [["/directory"], ["/x"]]


def test_filter(names: list[str], shared: Place, holder: Holder) -> None:
    for name in names:
        shared.make(name)
    with holder("PROT_NONE mapping", shared.path(names[1])):
        assert listed(shared, "-o", "name", "--verdict", "held", *names) == [[names[1]]]
        assert listed(shared, "-o", "name", "--verdict", "kept", *names) == [[names[0]], [names[2]]]
        assert listed(shared, "-o", "name", "--verdict", "kept", "--verdict", "held", *names) == [
            [n] for n in names
        ]
        assert listed(shared, "-o", "name", "--verdict", "orphan", *names) == []
        result = shared.run("ls", "-0", "--verdict", "held", *names)
        assert result.out == names[1].encode() + b"\0"
        found = shared.records("ls", "--verdict", "held", *names)
        assert [each["name"] for each in found] == [names[1]]
    assert shared.run("ls", "--verdict", "leaked").status == 2


def test_filter_orphans(
    names: list[str],
    shared: Place,
    holder: Holder,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As if the objects were ten minutes old, which nothing but time can make them."""
    monkeypatch.setattr(verdicts, "Rules", lambda: Rules(min_age=0))
    for name in names:
        shared.make(name)
    with holder("read-only fd", shared.path(names[0])):
        capfd.readouterr()
        assert main.run(["ls", "--json", "-o", "name,verdict", "--verdict", "orphan", *names]) == 0
        found = json.loads(capfd.readouterr().out)
    assert [(each["name"], each["verdict"]) for each in found] == [(name, "orphan") for name in names[1:]]


def test_sorted_by_what_was_gathered(names: list[str], shared: Place, holder: Holder) -> None:
    for name in names:
        shared.make(name)
    with holder("fd", shared.path(names[1])), holder("fd", shared.path(names[0])) as last:
        rows = listed(shared, "-o", "name,holders", "--sort", "holders", *names)
        assert rows[0][0] == names[2]
        rows = listed(shared, "-o", "name", "--sort", "verdict", *names)
        assert [row[0] for row in rows] == names
        rows = listed(shared, "-o", "name", "--sort", "verdict", "-r", *names)
        assert rows[0][0] == names[2]
        assert last.pid


def test_other_filters_hold_beside_it(names: list[str], shared: Place) -> None:
    shared.make(names[0], b"x" * 10)
    shared.make(names[1], b"x" * 20)
    assert listed(shared, "-o", "name", "--verdict", "kept", "--larger", "15", *names[:2]) == [[names[1]]]
    assert listed(shared, "-o", "name", "--verdict", "kept", "--older", "1h", *names[:2]) == []


def test_a_family_member_is_kept_in_the_listing_too(names: list[str], shared: Place, tmp_path: Path) -> None:
    """A look at one name alone judges it with the set that it belongs to."""
    folder = tmp_path / "shmctl"
    folder.mkdir()
    pattern = re.escape(names[0][1:]) + "-(?P<set>a)[0-9]"
    (folder / "families.toml").write_text(
        f"[[family]]\nsoftware = 'Ours'\nmatch = ['{pattern}']\nlifetime = 'users'\n"
    )
    for number in "12":
        shared.make(f"{names[0]}-a{number}")
    with subprocess.Popen(["flock", shared.path(f"{names[0]}-a2"), "cat"], stdin=subprocess.PIPE) as locking:
        result = None
        while result is None or b"held" not in result.out:
            result = shared.run(
                "ls", "-o", "verdict", f"{names[0]}-a2", env={"XDG_CONFIG_HOME": str(tmp_path)}
            )
        result = shared.run(
            "leaks", "--min-age", "0", "--json", f"{names[0]}-a1", env={"XDG_CONFIG_HOME": str(tmp_path)}
        )
        (found,) = json.loads(result.out)
        assert (found["verdict"], found["software"]) == ("kept", "Ours")
        assert locking.stdin
        locking.stdin.close()


@pytest.mark.needs_root
def test_on_a_terminal(private: PrivatePlace, holder: Holder) -> None:
    private.make("/x")
    with holder("fd", "/dev/shm/x", private.enter) as holding:
        argv = [*private.enter, *shmctl_argv("ls", "-o", "name,holders,verdict,software")]
        with Terminal(argv) as terminal:
            result = terminal.end()
    heading, _, row = without_styles(result.out).decode().splitlines()[:3]
    assert heading.split() == ["NAME", "HOLDERS", "VERDICT", "SOFTWARE"]
    assert row.split() == ["/x", str(holding.pid), "held", "-"]


# stat --holders


def test_stat_holders(names: list[str], shared: Place, holder: Holder) -> None:
    for name in names[:2]:
        shared.make(name)
    with holder("mapping", shared.path(names[0])) as one, holder("fd", shared.path(names[0])) as two:
        held, free = shared.records("stat", "--holders", *names[:2])
        assert [each["pid"] for each in held["holders"]] == sorted([one.pid, two.pid])
        assert {each["pid"]: each["mapped"] for each in held["holders"]} == {one.pid: SIZE, two.pid: 0}
        assert free["holders"] == []
        assert held["st_ino"] == shared.path(names[0]).stat().st_ino
        text = shared.run("stat", "--holders", names[0]).text
        assert str(one.pid) in text
        assert str(two.pid) in text
        assert "holder" in text
        assert str(one.pid) not in shared.run("stat", names[0]).text
    assert "holders" not in shared.records("stat", names[0])[0]
    assert shared.run("stat", "--holders", "-f", "%s", names[0]).status == 2


@pytest.mark.needs_root
def test_stat_holders_on_a_terminal(private: PrivatePlace) -> None:
    private.make("/x")
    with sleeper("f = open('/dev/shm/x')", enter=private.enter) as pid:
        with Terminal([*private.enter, *shmctl_argv("stat", "--holders", "/x")]) as terminal:
            result = terminal.end()
        assert str(pid) in without_styles(result.out).decode()
    assert result.status == 0


def test_missing_objects(name: str, shared: Place) -> None:
    """Each command names what is not there, and fails; those that are there are shown all the same."""
    shared.make(name)
    for args in (["ls", "-o", "+verdict"], ["stat", "--holders"], ["holders"]):
        result = run_command(shmctl_argv(*args, name, name + "-missing"))
        assert result.status == 1, result
        assert f"{name}-missing: No such file or directory (ENOENT)" in result.errors
        shown = {"ls": name, "stat": str(shared.path(name).stat().st_ino), "holders": "NAME"}
        assert shown[args[0]] in result.text
    quiet = shared.run("holders", "-q", name + "-missing")
    assert quiet.status != 0
    assert "ENOENT" in quiet.errors, "it is told apart from an object that nobody holds"


def test_this_process_does_not_count(name: str, shared: Place) -> None:
    """That shmctl itself has to open an object to look at it makes nobody a holder."""
    shared.make(name)
    for _ in range(3):
        assert shared.verdicts(name) == {name: "orphan"}
        assert listed(shared, "-o", "holders", name) == [["-"]]
    assert os.path.exists(shared.path(name))


@pytest.mark.parametrize(
    "words", ["stat", "stat --json", "stat -f %s", "stat --holders", "holders", "holders -q"]
)
def test_an_interrupt_ends_it_at_once(names: list[str], shared: Place, tmp_path: Path, words: str) -> None:
    """Nothing more is looked at, and nothing is printed, once Ctrl-C has come at the second name."""
    for name in names:
        shared.make(name)
    log = tmp_path / "strace"
    trace = [
        "strace",
        "-f",
        "-o",
        str(log),
        "-P",
        str(shared.path(names[1])),
        "-e",
        "inject=all:signal=INT:when=1",
    ]
    result = run_command([*trace, *shmctl_argv(*words.split(), *names)])
    assert "SIGINT" in log.read_text()
    assert (result.status, result.text, result.errors) == (130, "", "")
