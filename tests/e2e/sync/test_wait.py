"""shmctl wait, with real processes on the other side."""

import os
import re
import signal
import statistics
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shmctl.core.layouts.load import parse
from shmctl.core.names import parse_name
from shmctl.core.objects.write import Fit, writable, write_stores
from tests.e2e.sync.processes import Background, Servant, cpu_seconds, started, until
from tests.support import (
    Result,
    as_nobody,
    done,
    path_of,
    python_for_all,
    run,
    run_command,
    shmctl_argv,
)

PAIR = "int first; int second"
LIVELY = """
enum color { RED, GREEN = 5, BLUE };
struct s { char tag; unsigned low : 3; int sign : 4; enum color paint;
           struct { short x; float ratio[2]; } in; char label[8]; double big; }
"""


def fresh(name: str, content: bytes) -> None:
    """An object that appears whole."""
    with path_of(name).open("xb") as file:
        file.write(content)


def succeeded(result: Result, shown: str = "") -> None:
    assert (result.status, result.text, result.errors) == (0, shown, ""), result


def failed(result: Result, status: int, pattern: str) -> None:
    """One honest sentence, and nothing on standard output."""
    assert (result.status, result.text) == (status, ""), result
    assert re.match(f"shmctl: wait: {pattern}", result.errors), result
    assert "internal error" not in result.errors


# -- existence


def test_exists_when_it_is_there_already(name: str) -> None:
    fresh(name, b"")
    assert done("wait", name) == ""
    assert done("wait", name, "--exists", "--timeout", "0") == ""


@pytest.mark.parametrize("option", [[], ["--exists"]], ids=["default", "--exists"])
def test_exists_when_it_is_made_later(name: str, option: list[str], c: Servant) -> None:
    with started("wait", name, *option) as waiter:
        waiter.until_in("poll")
        assert c("make", name, 16) == "0"
        succeeded(waiter.end())


def test_exists_when_it_is_moved_there(names: list[str]) -> None:
    fresh(names[0], b"x")
    with started("wait", names[1]) as waiter:
        waiter.until_in("poll")
        path_of(names[0]).rename(path_of(names[1]))
        succeeded(waiter.end())


def test_a_name_where_descriptors_are_many(name: str) -> None:
    """select(2) ends at descriptor 1023."""
    many = "import os, resource, sys\n"
    many += "resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))\n"
    many += "for _ in range(1100): os.set_inheritable(os.open('/dev/null', os.O_RDONLY), True)\n"
    many += "os.execv(sys.argv[1], sys.argv[1:])"
    argv = shmctl_argv("wait", name, "--timeout", "20")
    with Background([sys.executable, "-c", many, *argv]) as waiter:
        waiter.until_in("poll")
        fresh(name, b"")
        succeeded(waiter.end())


def test_other_names_do_not_matter(names: list[str]) -> None:
    with started("wait", names[0]) as waiter:
        waiter.until_in("poll")
        fresh(names[1], b"")
        fresh(names[0] + "x", b"")
        path_of(names[1]).unlink()
        time.sleep(0.1)
        assert waiter.running
        fresh(names[0], b"")
        succeeded(waiter.end())


def test_exists_for_a_name_that_is_not_utf8(name: str) -> None:
    raw = name.encode() + b"\xff \n'"
    with started("wait", b"--", raw) as waiter:
        waiter.until_in("poll")
        with open(b"/dev/shm" + raw, "xb"):
            pass
        succeeded(waiter.end())


def test_gone(name: str, c: Servant) -> None:
    assert done("wait", name, "--gone") == ""
    assert c("make", name, 16) == "0"
    with started("wait", name, "--gone") as waiter:
        waiter.until_in("poll")
        assert c("store", 0, 1) == "0"
        assert waiter.running
        assert c("unlink", name) == "0"
        succeeded(waiter.end())


def test_gone_when_it_is_moved_away(names: list[str]) -> None:
    fresh(names[0], b"x")
    with started("wait", names[0], "--gone") as waiter:
        waiter.until_in("poll")
        path_of(names[0]).rename(path_of(names[1]))
        succeeded(waiter.end())


@pytest.mark.parametrize("state", ["--exists", "--gone"])
def test_no_polling_for_existence(name: str, state: str, tmp_path: Path) -> None:
    """It looks at the name once, and then sleeps until something happens or time is up."""
    if state == "--gone":
        fresh(name, b"")
    log = tmp_path / "strace"
    argv = ["strace", "-f", "-o", str(log), *shmctl_argv("wait", name, state, "--timeout", "1.5")]
    assert run_command(argv).status == 124
    calls = log.read_text().splitlines()
    watching = next(index for index, line in enumerate(calls) if "inotify_add_watch(" in line)
    idle = calls[watching:]
    assert 1 <= sum(f'"/dev/shm{name}"' in line for line in idle) <= 2
    assert not [line for line in idle if "nanosleep(" in line]
    # Other tests' objects may wake it, but not the clock.
    assert 1 <= sum("(Timeout)" in line for line in idle) <= 2, idle


# -- use


def test_unused(name: str, c: Servant) -> None:
    assert c("make", name, 16) == "0"
    with started("wait", name, "--unused") as waiter:
        waiter.until_in("nanosleep")
        assert c("close") == "0"
        time.sleep(0.1)
        assert waiter.running, "it is still mapped"
        c.order("unmap")
        succeeded(waiter.end())
        c.answer()
    assert done("wait", name, "--unused", "--timeout", "5") == ""


def test_unused_when_the_holder_is_killed(name: str) -> None:
    with Background(["sh", "-c", f"exec 9>/dev/shm{name}; echo; exec sleep 60"]) as holder:
        holder.line()
        with started("wait", name, "--unused") as waiter:
            waiter.until_in("nanosleep")
            holder.signal(signal.SIGKILL)
            succeeded(waiter.end())


@pytest.mark.needs_root
def test_unused_where_no_lease_is_to_be_had(name: str) -> None:
    """Not the owner: a holder shows in /proc, but none to be seen is no proof. It must not wait for ever."""
    fresh(name, b"x")
    path_of(name).chmod(0o666)
    argv = as_nobody(shmctl_argv("wait", name, "--unused", python=python_for_all()))
    with Background(as_nobody(["sh", "-c", f"exec 9</dev/shm{name}; echo; exec sleep 60"])) as holder:
        holder.line()
        with Background(argv) as waiter:
            waiter.until_in("nanosleep")
            holder.signal(signal.SIGKILL)
            failed(waiter.end(10), 1, f"{name}: ")


# -- change


@pytest.mark.parametrize(
    ("options", "offset"), [([], 99), (["-o", "8", "-n", "4"], 8), (["-o", "8"], 96), (["-n", "4"], 0)]
)
def test_changed(name: str, options: list[str], offset: int, c: Servant) -> None:
    assert c("make", name, 100) == "0"
    with started("wait", name, "--changed", *options) as waiter:
        waiter.until_in("nanosleep")
        assert c("store", offset // 4 * 4, 1 << (offset % 4 * 8)) == "0"
        succeeded(waiter.end())


@pytest.mark.parametrize("offset", [4, 12, 96])
def test_changes_outside_the_range_do_not_matter(name: str, offset: int, c: Servant) -> None:
    assert c("make", name, 100) == "0"
    with started("wait", name, "--changed", "-o", "8", "-n", "4") as waiter:
        waiter.until_in("nanosleep")
        assert c("store", offset, -1) == "0"
        assert c("truncate", 100 if offset < 12 else 12) == "0"
        time.sleep(0.1)
        assert waiter.running
        assert c("store", 8, 1) == "0"
        succeeded(waiter.end())


@pytest.mark.parametrize("size", [4 << 20, 1 << 62], ids=["4 MiB", "4 EiB"])
def test_a_large_hole_that_changes_far_behind(name: str, size: int) -> None:
    path_of(name).touch()
    os.truncate(path_of(name), size)
    failed(run("wait", name, "--changed", "--timeout", "0.2"), 124, f"{name}: timed out")
    with started("wait", name, "--changed") as waiter:
        waiter.until_in("nanosleep")
        with path_of(name).open("r+b") as file:
            file.seek(size - (1 << 20))
            file.write(b"x")
        succeeded(waiter.end())
    assert path_of(name).stat().st_blocks * 512 < 1 << 20, "looking allocated memory"


@pytest.mark.parametrize("size", [50, 0, 200])
def test_a_new_size_is_a_change(name: str, size: int) -> None:
    fresh(name, bytes(100))
    with started("wait", name, "--changed") as waiter:
        waiter.until_in("nanosleep")
        os.truncate(path_of(name), size)
        succeeded(waiter.end())


def test_another_object_of_the_name_is_a_change(names: list[str]) -> None:
    name, other = names[:2]
    for each in (name, other):
        fresh(each, bytes(100))
    with started("wait", name, "--changed") as waiter:
        waiter.until_in("nanosleep")
        path_of(other).rename(path_of(name))
        succeeded(waiter.end())


# -- values

NUMBERS = {"==": 7, "!=": 8, "<": 6, "<=": 7, ">": 8, ">=": 7, "&": 4}
NOT_YET = {"==": 6, "!=": 7, "<": 7, "<=": 8, ">": 7, ">=": 6, "&": 8}


@pytest.mark.parametrize("operator", list(NUMBERS))
def test_every_operator(name: str, operator: str, c: Servant) -> None:
    """``x == 7``, say, does not hold first, and then it does."""
    assert c("make", name, 8) == "0"
    assert c("store", 4, NOT_YET[operator]) == "0"
    with started("wait", name, "--struct", PAIR, f"second {operator} 7", "--print") as waiter:
        waiter.until_in("nanosleep")
        assert c("store", 0, NUMBERS[operator]) == "0"
        time.sleep(0.03)
        assert waiter.running
        assert c("store", 4, NUMBERS[operator]) == "0"
        succeeded(waiter.end(), f"second={NUMBERS[operator]}\n")
    assert done("wait", name, "--type", "int", "-o", "4", f"{operator}7") == ""


def test_conditions_must_hold_together(name: str, c: Servant) -> None:
    assert c("make", name, 8) == "0"
    conditions = ["first > 1", "first < 5", "second & 0x6"]
    with started("wait", name, "--struct", PAIR, *conditions, "--print") as waiter:
        waiter.until_in("nanosleep")
        for offset, value in ((0, 5), (4, 2), (0, 1), (4, 9), (0, 3)):
            assert c("store", offset, value) == "0"
            time.sleep(0.02)
            assert waiter.running, (offset, value)
        assert c("store", 4, 12) == "0"
        succeeded(waiter.end(), "first=3\nfirst=3\nsecond=12\n")


@pytest.mark.parametrize(
    ("type_name", "options", "content", "condition", "shown"),
    [
        ("int8", [], b"\xff", "== -1", "-1"),
        ("uint8", [], b"\xff", ">= 255", "255"),
        ("int16", ["--endian", "big"], b"\x01\x02", "== 0x0102", "258"),
        ("int16", ["--endian", "little"], b"\x01\x02", "== 0x0201", "513"),
        ("uint32", ["--endian", "big", "-o", "3"], b"...\0\0\1\0", "& 0x100", "256"),
        ("int64", ["-o", "1"], b"." + struct.pack("q", -(2**63)), "< -9223372036854775807", str(-(2**63))),
        ("uint64", [], b"\xff" * 8, "== 18446744073709551615", str(2**64 - 1)),
        ("float", [], struct.pack("f", 0.1), "== 0.1", "0.1"),
        ("double", [], struct.pack("d", 0.1), "== 0.1", "0.1"),
        ("double", [], struct.pack("d", -2.5), "< -1", "-2.5"),
        ("char", [], b"Q", "== Q", "Q"),
        ("bool", [], b"\1", "== true", "true"),
        ("size_t", [], struct.pack("N", 9), ">8", "9"),
    ],
)
def test_every_kind_of_value(
    name: str, type_name: str, options: list[str], content: bytes, condition: str, shown: str
) -> None:
    fresh(name, content)
    found = done("wait", name, "--type", type_name, *options, condition, "--print", "--timeout", "20")
    assert found == shown + "\n"


@pytest.mark.parametrize(
    ("assignment", "condition", "shown"),
    [
        ("low=5", "low == 5", "low=5"),
        ("low=6", "low & 4", "low=6"),
        ("sign=-8", "sign <= -8", "sign=-8"),
        ("paint=GREEN", "paint == GREEN", "paint=GREEN"),
        ("paint=BLUE", "paint > 5", "paint=BLUE"),
        ("in.x=-3", "in.x < 0", "in.x=-3"),
        ("in.ratio[1]=0.1", "in.ratio[1] == 0.1", "in.ratio[1]=0.1"),
        ("label=go", "label == go", "label=go"),
        ("tag=T", "tag==T", "tag=T"),
        ("big=1e300", "big >= 1e300", "big=1e+300"),
    ],
)
def test_every_kind_of_field(name: str, assignment: str, condition: str, shown: str) -> None:
    fresh(name, bytes(256))
    with started("wait", name, "-o", "8", "--struct", LIVELY, condition, "--print") as waiter:
        waiter.until_in("nanosleep")
        with writable(parse_name(name)) as target:
            layout = parse(LIVELY)
            write_stores(target, 8, layout.size, lambda load: layout.stores([assignment], load), Fit())
        succeeded(waiter.end(), shown + "\n")


def test_a_struct_of_a_header(name: str, tmp_path: Path) -> None:
    header = tmp_path / "message.h"
    header.write_text("struct message { char tag; int new_data; };\n")
    fresh(name, struct.pack("ii", 0, 4))
    options = ["--header", str(header), "--struct", "message"]
    assert done("wait", name, *options, "new_data == 4", "--print") == "new_data=4\n"


def test_the_object_is_made_and_sized_later(name: str) -> None:
    """It has no size between shm_open and ftruncate: that is no reason to give up."""
    with started("wait", name, "--type", "int32", "-o", "4", "== 9", "--print") as waiter:
        waiter.until_in("poll")
        path_of(name).touch()
        waiter.until_in("nanosleep")
        os.truncate(path_of(name), 4)
        time.sleep(0.03)
        assert waiter.running
        os.truncate(path_of(name), 8)
        waiter.until_mapped(name)
        done("write", name, "--type", "int32", "-o", "4", "9")
        succeeded(waiter.end(), "9\n")


# -- a name that changes hands


def unlinked_with_a_second_link(path: Path) -> None:
    os.link(path, f"{path}-old")
    path.unlink()


HANDOVERS: dict[str, Callable[[Path], object]] = {
    "renamed": lambda path: path.rename(f"{path}-old"),
    "unlinked, with a second link": unlinked_with_a_second_link,
    "unlinked": lambda path: path.unlink(),
    "replaced, with a second link": lambda path: os.link(path, f"{path}-old"),
}


@pytest.mark.parametrize("handover", HANDOVERS.values(), ids=HANDOVERS)
@pytest.mark.parametrize(
    "options",
    [["--type", "int32", "== 7"], ["--struct", PAIR, "first == 7"], ["--changed"]],
    ids=lambda o: o[0],
)
def test_the_object_that_takes_the_name_is_waited_in(
    name: str, options: list[str], handover: Callable[[Path], object]
) -> None:
    fresh(name, bytes(64))
    with started("wait", name, *options) as waiter:
        waiter.until_in("nanosleep")
        handover(path_of(name))
        time.sleep(0.05)
        assert waiter.running, "until another one has it, the old one counts"
        fresh(name + "-new", struct.pack("i", 7) + bytes(60))
        path_of(name + "-new").rename(path_of(name))
        succeeded(waiter.end(20))


@pytest.mark.parametrize("handover", list(HANDOVERS.values())[:3], ids=list(HANDOVERS)[:3])
@pytest.mark.parametrize(
    "options",
    [["--type", "int32", "== 7"], ["--struct", PAIR, "first == 7"], ["--changed"]],
    ids=lambda o: o[0],
)
def test_while_nothing_has_the_name_the_old_object_counts(
    name: str, options: list[str], handover: Callable[[Path], object], c: Servant
) -> None:
    assert c("make", name, 64) == "0"
    with started("wait", name, *options) as waiter:
        waiter.until_in("nanosleep")
        handover(path_of(name))
        time.sleep(0.05)
        assert waiter.running
        assert c("store", 0, 7) == "0"
        succeeded(waiter.end(20))


@pytest.mark.parametrize("handover", list(HANDOVERS.values())[:3], ids=list(HANDOVERS)[:3])
def test_gone_is_a_matter_of_the_name(name: str, handover: Callable[[Path], object]) -> None:
    fresh(name, bytes(64))
    with started("wait", name, "--gone") as waiter:
        waiter.until_in("poll")
        handover(path_of(name))
        succeeded(waiter.end(20))


# -- time


@pytest.mark.parametrize(
    "options",
    [
        ["--exists"],
        ["--type", "int32", "== 1"],
        ["--gone"],
        ["--unused"],
        ["--changed"],
        ["--type", "int32", "== 1", "--spin"],
        ["--changed", "--spin"],
        ["--type", "int32", "-o", "1M", "== 1"],
        ["--struct", PAIR, "first == 1", "--interval", "1h"],
    ],
    ids=" ".join,
)
def test_timeout(name: str, options: list[str], c: Servant) -> None:
    if options[0] != "--exists":
        assert c("make", name, 16) == "0"
    begun = time.monotonic()
    failed(run("wait", name, *options, "--timeout", "0.15"), 124, rf"{name}: timed out after 0\.15 s")
    assert 0.15 <= time.monotonic() - begun < 20


@pytest.mark.parametrize("seconds", ["0", "0.1"])
def test_timeout_of_a_value_of_what_is_not_there(name: str, seconds: str) -> None:
    failed(run("wait", name, "--type", "int", "== 1", "--timeout", seconds), 124, f"{name}: timed out")


def test_what_holds_already_needs_no_time(name: str) -> None:
    fresh(name, struct.pack("i", 1))
    assert done("wait", name, "--type", "int", "== 1", "--timeout", "0", "--print") == "1\n"


def test_an_idle_wait_costs_next_to_nothing(name: str) -> None:
    """Beside its start, which is measured apart, and compared with a wait that never sleeps."""
    fresh(name, bytes(64))

    def cost(*options: str) -> float:
        def run_for(seconds: str) -> float:
            argv = shmctl_argv("wait", name, *options, "--timeout", seconds)
            return min(cpu_seconds(argv, 124) for _ in range(1 if seconds == "2" else 3))

        return (run_for("2") - run_for("0")) / 2

    condition = ("--type", "int32", "== 1")
    assert cost(*condition) < cost(*condition, "--spin") / 4


def test_no_sleep_is_much_longer_than_the_interval(name: str, tmp_path: Path) -> None:
    """Nor is the first: what went before it is no reason to doze."""
    fresh(name, bytes(64))
    log = tmp_path / "strace"
    strace = ["strace", "-f", "-T", "-o", str(log), "-e", "trace=clock_nanosleep"]
    assert (
        run_command([*strace, *shmctl_argv("wait", name, "--type", "int", "== 1", "--timeout", "1")]).status
        == 124
    )
    slept = [float(seconds) for seconds in re.findall(r"<([0-9.]+)>$", log.read_text(), re.MULTILINE)]
    assert 30 < len(slept) < 250, "one a millisecond would be a thousand"
    assert slept[0] < 0.1
    assert statistics.median(slept[:5]) < 0.05, slept[:5]
    assert statistics.median(slept) < 0.02


# -- what is no condition

BAD = {
    "no type": ["== 1"],
    "no condition": ["--type", "int"],
    "no operator": ["--type", "int", "1"],
    "no value": ["--type", "int", "=="],
    "one equals sign": ["--type", "int", "= 1"],
    "three equals signs": ["--type", "int", "=== 1"],
    "and what is no number": ["--type", "int", "== one"],
    "out of range": ["--type", "int8", "== 128"],
    "unknown type": ["--type", "integer", "== 1"],
    "a field without a struct": ["--type", "int", "x == 1"],
    "bits of a double": ["--type", "double", "& 1"],
    "bits of a text": ["--struct", "char s[4]", "s & 1"],
    "no field": ["--struct", PAIR, "== 1"],
    "unknown field": ["--struct", PAIR, "third == 1"],
    "a whole array": ["--struct", "int a[3]", "a == 1"],
    "a whole struct": ["--struct", "struct { int x; } in; int y", "in == 1"],
    "index out of range": ["--struct", "int a[3]", "a[3] == 1"],
    "unknown enumerator": ["--struct", "enum { A, B } e;", "e == C"],
    "too large for its bits": ["--struct", "unsigned b : 3", "b == 8"],
    "bad struct": ["--struct", "int", "x == 1"],
    "two kinds": ["--type", "int", "--struct", PAIR, "first == 1"],
    "a state and a condition": ["--gone", "--type", "int", "== 1"],
    "--print of a state": ["--print"],
    "--length of a value": ["--type", "int", "== 1", "-n", "4"],
    "--offset of existence": ["-o", "4"],
    "--endian of a struct": ["--struct", PAIR, "first == 1", "--endian", "big"],
    "bad timeout": ["--timeout", "soon"],
    "bad interval": ["--interval", "-1"],
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD.keys())
def test_usage_errors(name: str, arguments: list[str]) -> None:
    """Said at once, though the object is not there."""
    result = run("wait", name, *arguments)
    assert (result.status, result.text) == (2, ""), result
    assert result.errors.startswith("shmctl: "), result
    assert "internal error" not in result.errors


# -- whatever happens to the object


@pytest.mark.parametrize("how", [[], ["--spin"], ["--interval", "0.01"]], ids=["default", "spin", "10 ms"])
@pytest.mark.parametrize("size", [8192, 4100, 0])
def test_shrunk_below_the_field(name: str, how: list[str], size: int, c: Servant) -> None:
    """The pages go: a load would be SIGBUS. Where the page stays, zeros stand in it that are nobody's."""
    assert c("make", name, 12288) == "0"
    for offset in (4104, 8200):
        assert c("store", offset, 5) == "0"
    offset = 4104 if size == 4100 else 8200
    conditions = ["--type", "int32", "-o", str(offset), "== 0"]
    with started("wait", name, *conditions, *how) as waiter:
        waiter.until_mapped(name)
        time.sleep(0.05)
        assert c("truncate", size) == "0"
        failed(waiter.end(), 1, rf"{name}: .*shrunk")


@pytest.mark.parametrize("how", [[], ["--spin"]], ids=["default", "spin"])
def test_removed_and_made_again(name: str, how: list[str], c: Servant) -> None:
    """It goes on with the object that has the name now; the old one does not count any more."""
    assert c("make", name, 8) == "0"
    with started("wait", name, "--type", "int32", "-o", "4", "== 3", "--print", *how) as waiter:
        waiter.until_mapped(name)
        assert c("unlink", name) == "0"
        time.sleep(0.05)
        assert waiter.running, "it may come again"
        path_of(name).write_bytes(b"")
        os.truncate(path_of(name), 8)
        identity = path_of(name).stat().st_ino

        def maps_the_new_one() -> bool:
            maps = Path(f"/proc/{waiter.pid}/maps").read_text()
            return any(f" {identity} " in line and "deleted" not in line for line in maps.splitlines())

        until(maps_the_new_one, "the new object mapped")
        assert c("store", 4, 3) == "0"
        time.sleep(0.03)
        assert waiter.running
        done("write", name, "--type", "int32", "-o", "4", "3")
        succeeded(waiter.end(), "3\n")


def test_made_again_smaller_and_sized_later(name: str, c: Servant) -> None:
    assert c("make", name, 8) == "0"
    with started("wait", name, "--type", "int32", "-o", "4", "== 3", "--print") as waiter:
        waiter.until_mapped(name)
        assert c("unlink", name) == "0"
        path_of(name).touch()
        time.sleep(0.1)
        assert waiter.running
        path_of(name).write_bytes(struct.pack("ii", 0, 3))
        succeeded(waiter.end(), "3\n")


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "directory"])
@pytest.mark.parametrize(
    "options", [["--exists"], ["--gone"], ["--unused"], ["--changed"], ["--type", "int", "== 1"]]
)
def test_what_is_planted_under_the_name(name: str, kind: str, options: list[str], tmp_path: Path) -> None:
    """An error at once: it is neither opened, which would block, nor followed."""
    victim = tmp_path / "victim"
    victim.write_bytes(struct.pack("i", 1))
    if kind == "FIFO":
        os.mkfifo(path_of(name))
    elif kind == "directory":
        path_of(name).mkdir()
    else:
        path_of(name).symlink_to(victim)
    failed(run("wait", name, *options, "--timeout", "20"), 1, f"{name}: it is a {kind}")


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link"])
def test_what_is_planted_while_it_waits(name: str, kind: str, tmp_path: Path) -> None:
    with started("wait", name, "--type", "int", "== 1") as waiter:
        waiter.until_in("poll")
        if kind == "FIFO":
            os.mkfifo(path_of(name))
        else:
            path_of(name).symlink_to(tmp_path)
        failed(waiter.end(), 1, f"{name}: it is a {kind}")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("options", "call"),
    [
        (["--exists"], "poll"),
        (["--type", "int", "== 1"], "nanosleep"),
        (["--type", "int", "== 1", "--spin"], None),
        (["--changed"], "nanosleep"),
        (["--unused"], "nanosleep"),
    ],
    ids=["exists", "value", "spin", "changed", "unused"],
)
def test_signals(
    name: str, options: list[str], call: str | None, number: int, status: int, c: Servant
) -> None:
    if options != ["--exists"]:
        assert c("make", name, 16) == "0"
    with started("wait", name, *options) as waiter:
        if call:
            waiter.until_in(call)
        else:
            waiter.until_mapped(name)
        waiter.signal(number)
        result = waiter.end()
    assert (result.status, result.out, result.err) == (status, b"", b""), result


def test_trace_tells_the_calls(name: str) -> None:
    fresh(name, struct.pack("i", 1))
    result = run("--trace", "wait", name, "--type", "int", "== 1")
    assert result.status == 0
    assert f'shm_open("{name}", O_RDONLY' in result.errors
    assert "mmap(NULL, 4, PROT_READ, MAP_SHARED, " in result.errors


def test_many_waiters_all_wake(name: str, c: Servant) -> None:
    waiters = [started("wait", name, "--type", "int32", "== 1", "--print") for _ in range(6)]
    try:
        for waiter in waiters:
            waiter.until_in("poll")
        assert c("make", name, 4) == "0"
        assert c("store", 0, 1) == "0"
        for waiter in waiters:
            succeeded(waiter.end(), "1\n")
    finally:
        for waiter in waiters:
            waiter.__exit__(None, None, None)
