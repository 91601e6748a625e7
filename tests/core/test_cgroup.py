"""What memory control groups still allow: from files as the kernel writes them, and in a real group.

The real one is of the version that the machine has for memory. That was version 1 where these tests were
written: version 2 has been seen in files alone.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shmctl.core import cgroup, errors
from shmctl.core.cgroup import Group, check_allowance, find_allowance, find_groups
from shmctl.core.errors import ShmError
from shmctl.core.names import parse_name
from tests.support import in_tiny_shm, memory_group

MIB = 1 << 20
INFINITY = float("inf")
V1_MOUNTS = b"""\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2_MOUNTS = b"30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


@pytest.mark.parametrize(
    ("membership", "mounts", "expected"),
    [
        (b"4:memory:/a/b\n0::/\n", V1_MOUNTS, [(b"memory/a/b", 1), (b"memory/a", 1), (b"memory", 1)]),
        (b"9:cpu,memory:/\n", V1_MOUNTS, [(b"memory", 1)]),
        (b"0::/user.slice/x.scope\n", V2_MOUNTS, [(b"user.slice/x.scope", 2), (b"user.slice", 2), (b"", 2)]),
        (b"0::/\n", V2_MOUNTS, [(b"", 2)]),
        # A container sees a part of the hierarchy: the mount begins where its own group is, or elsewhere.
        (b"0::/docker/c1/y\n", V2_MOUNTS.replace(b" / /sys", b" /docker/c1 /sys"), [(b"y", 2), (b"", 2)]),
        (b"0::/docker/c1\n", V2_MOUNTS.replace(b" / /sys", b" /docker/c1 /sys"), [(b"", 2)]),
        (b"0::/docker/c10\n", V2_MOUNTS.replace(b" / /sys", b" /docker/c1 /sys"), [(b"", 2)]),
        (b"0::/../other\n", V2_MOUNTS, [(b"", 2)]),
        (b"0::/a:b c\n", V2_MOUNTS.replace(b"/sys/fs/cgroup", b"/sys/fs/cg\\040roup"), None),
        (b"", V2_MOUNTS, []),
        (b"0::/x\n", b"", []),
    ],
)
def test_which_groups(membership: bytes, mounts: bytes, expected: list[tuple[bytes, int]] | None) -> None:
    groups = find_groups(membership.splitlines(), mounts.splitlines())
    found = [(group.path, group.version) for group in groups]
    if expected is None:
        assert found == [(b"/sys/fs/cg roup/a:b c", 2), (b"/sys/fs/cg roup", 2)]
        return
    assert found == [(b"/sys/fs/cgroup" + b"/" * bool(path) + path, version) for path, version in expected]


def group(path: Path, version: int, **files: object) -> Group:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name.replace("_", ".", 1)).write_text(f"{content}\n")
    return Group(os.fsencode(path), version)


STAT_V2 = (
    f"anon {50 * MIB}\nfile {40 * MIB}\nshmem {30 * MIB}\ninactive_file {6 * MIB}\nactive_file {4 * MIB}"
)
STAT_V1 = (
    f"cache {40 * MIB}\nshmem {30 * MIB}\ninactive_file 1\nactive_file 1\n"
    f"total_shmem {30 * MIB}\ntotal_inactive_file {6 * MIB}\ntotal_active_file {4 * MIB}"
)


def left(*groups: Group, swap: float = 0) -> float:
    return find_allowance(list(groups), swap).left / MIB


def test_version_2(tmp_path: Path) -> None:
    """The limit less what is charged and stays, which the file cache does not and shared memory does."""
    used = {"memory_current": 90 * MIB, "memory_stat": STAT_V2}
    assert left(group(tmp_path / "a", 2, memory_max=100 * MIB, **used)) == 20
    assert left(group(tmp_path / "b", 2, memory_max="max", **used)) == INFINITY
    # The group at the top has no such files.
    assert left(group(tmp_path / "c", 2)) == INFINITY


def test_swap_in_version_2(tmp_path: Path) -> None:
    used = {"memory_max": 100 * MIB, "memory_current": 90 * MIB, "memory_stat": STAT_V2}
    inner = group(tmp_path / "a", 2, **used, **{"memory_swap.max": 50 * MIB, "memory_swap.current": 20 * MIB})
    outer = group(tmp_path, 2, memory_max="max", **{"memory_swap.max": 8 * MIB, "memory_swap.current": 0})
    assert left(inner, swap=1000 * MIB) == 20 + 30
    assert left(inner, swap=7 * MIB) == 20 + 7
    assert left(inner, outer, swap=1000 * MIB) == 20 + 8
    none = group(tmp_path / "b", 2, **used, **{"memory_swap.max": 0, "memory_swap.current": 0})
    assert left(none, swap=1000 * MIB) == 20


def test_up_the_tree(tmp_path: Path) -> None:
    outer = group(tmp_path, 2, memory_max=200 * MIB, memory_current=199 * MIB, memory_stat="anon 1")
    inner = group(tmp_path / "a", 2, memory_max=100 * MIB, memory_current=5 * MIB, memory_stat="anon 1")
    found = find_allowance([inner, outer], 0)
    assert (found.left / MIB, found.group) == (1, outer.path)


def test_version_1(tmp_path: Path) -> None:
    used = {"memory_usage_in_bytes": 90 * MIB, "memory_stat": STAT_V1}
    limited = group(tmp_path / "a", 1, memory_limit_in_bytes=100 * MIB, **used)
    assert left(limited) == 20
    assert left(limited, swap=7 * MIB) == 27
    both = {"memory_memsw.limit_in_bytes": 103 * MIB, "memory_memsw.usage_in_bytes": 91 * MIB}
    assert (
        left(group(tmp_path / "b", 1, memory_limit_in_bytes=100 * MIB, **used, **both), swap=INFINITY) == 22
    )
    no_limit = {"memory_memsw.limit_in_bytes": 0x7FFFFFFFFFFFF000, "memory_memsw.usage_in_bytes": 91 * MIB}
    assert (
        left(group(tmp_path / "c", 1, memory_limit_in_bytes=0x7FFFFFFFFFFFF000, **used, **no_limit))
        == INFINITY
    )


def test_what_is_refused_and_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """memory.max is refused; memory.high slows down, and so is told."""
    used = {"memory_current": 10 * MIB, "memory_stat": "anon 1"}
    limited = group(tmp_path, 2, memory_max=100 * MIB, memory_high=50 * MIB, **used)
    monkeypatch.setattr(cgroup, "own_groups", lambda: [limited])
    monkeypatch.setattr(cgroup, "free_swap", lambda: 0)
    monkeypatch.setattr(errors, "_tell", None)
    name = parse_name("x")
    check_allowance(30 * MIB, name)
    with pytest.warns(RuntimeWarning, match=r"goes past memory.high of .* slows this process down"):
        check_allowance(60 * MIB, name)
    with pytest.raises(ShmError, match=r"89M more memory is too much .* 90M left") as caught:
        check_allowance(89 * MIB, name)
    assert (caught.value.symbol, caught.value.name) == ("ENOMEM", b"/x")
    assert str(tmp_path) in str(caught.value.hint)


def test_this_process_is_found() -> None:
    """Whatever this machine has, each group is a directory, and the host's swap a number."""
    assert all(os.path.isdir(each.path) for each in cgroup.own_groups())
    assert cgroup.free_swap() >= 0


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A memory control group of 100 MiB without swap."""
    with memory_group() as path:
        v1 = (path / "memory.limit_in_bytes").exists()
        limit, swap = ("limit_in_bytes", "memsw.limit_in_bytes") if v1 else ("max", "swap.max")
        (path / f"memory.{limit}").write_text(str(100 * MIB))
        if (path / f"memory.{swap}").exists():
            (path / f"memory.{swap}").write_text(str(100 * MIB if v1 else 0))
        yield path


TOO_MUCH = {
    "create --reserve": "shmctl create /x -s 300M --reserve",
    "create --atomic": "shmctl create /x -s 300M --reserve --atomic",
    "create --no-excl": "shmctl create /x -s 300M --reserve --no-excl",
    "--fill": "shmctl write /x --create --fill 1 -n 300M",
    "a file": "head -c 300M /dev/zero > /var/tmp/$$; shmctl write /x --create -i /var/tmp/$$; "
    "s=$?; rm /var/tmp/$$; (exit $s)",
    "a pipe": "head -c 300M /dev/zero | shmctl write /x --create",
    "a pipe, atomic": "head -c 300M /dev/zero | shmctl write /x --create --atomic",
    "run --from": "head -c 300M /dev/zero | shmctl run --name x --from - -- true",
}


@pytest.mark.needs_root
@pytest.mark.parametrize("command", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_more_than_a_real_group_allows(small_group: Path, command: str) -> None:
    """A sentence, where the kernel would kill; and nothing is left."""
    result = in_tiny_shm(
        f"echo $$ > {small_group}/cgroup.procs; {command}; echo status=$?; ls -A /dev/shm", size="2g"
    )
    assert result.text == "status=1\n", result
    assert "is too much for the control group of this process, which has" in result.errors
    assert "(ENOMEM)" in result.errors
    assert f"hint: the limit is set in {small_group}\n" in result.errors


@pytest.mark.needs_root
def test_what_a_real_group_allows(small_group: Path) -> None:
    """What fits is stored, and what has its memory already can be stored into."""
    result = in_tiny_shm(
        f"""
        echo $$ > {small_group}/cgroup.procs
        shmctl create /x -s 60M --reserve && shmctl write /x --fill 1 &&
            head -c 60M /dev/zero | shmctl write /x
        echo status=$?; shmctl rm /x; head -c 60M /dev/zero | shmctl write /x --create; echo status=$?
        shmctl rm /x; head -c 60M /dev/zero > /var/tmp/$$; shmctl write /x --create -i /var/tmp/$$
        echo status=$?; rm /var/tmp/$$; stat -c %s /dev/shm/x
        shmctl create /y -s 300M; echo status=$?""",
        size="2g",
    )
    assert result.text == f"status=0\nstatus=0\nstatus=0\n{60 * MIB}\nstatus=0\n", result
    assert result.errors == ""
