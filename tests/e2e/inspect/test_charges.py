"""stat --pages: who is charged for an object's memory, page by page, as the kernel has it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shmctl.core import cgroup
from shmctl.core.inspect import charges
from tests.support import (
    as_nobody,
    in_tiny_shm,
    memory_group,
    path_of,
    python_for_all,
    run,
    run_command,
    shmctl_argv,
)

pytestmark = pytest.mark.needs_root

MIB = 1 << 20
PAGE = 4096
CONTAINER = "0123456789abcdef" * 4


def charged(name: str) -> dict[int, dict[str, Any]]:
    """The records by inode of the group. The look has allocated nothing."""
    before = path_of(name).stat().st_blocks
    (record,) = json.loads(run("stat", "--pages", "--json", name).out)
    assert path_of(name).stat().st_blocks == before
    return {each["inode"]: each for each in record["pages"]["charged"]}


def store(group: Path, name: str, offset: int, length: int) -> None:
    """Have a process of a control group store into an object."""
    script = f"echo $$ > {group}/cgroup.procs; dd status=none conv=notrunc if=/dev/zero of={path_of(name)}"
    script += f" bs=4096 seek={offset // PAGE} count={length // PAGE}"
    subprocess.run(["sh", "-c", script], check=True)


def test_each_page_is_charged_to_who_stored_first(name: str) -> None:
    """And a group that has been removed is charged no more: the one above it is."""
    own, *_, top = cgroup.own_groups()
    path_of(name).write_bytes(b"x" * 3 * PAGE)
    os.truncate(path_of(name), 64 * MIB)
    with memory_group(f"docker-{CONTAINER}.scope") as group:
        store(group, name, 0, PAGE)
        store(group, name, 8 * MIB, 5 * PAGE)
        found = charged(name)
        ours, theirs = found[os.stat(own.path).st_ino], found[group.stat().st_ino]
        assert (ours["cgroup"], ours["bytes"]) == (os.fsdecode(own.name), 3 * PAGE)
        assert (theirs["cgroup"], theirs["bytes"]) == (f"/{group.name}", 5 * PAGE)
        assert [ours["container"], theirs["container"], theirs["pod"]] == [None, CONTAINER, None]
        lines = run("stat", "--pages", name).text.splitlines()
        assert f"charged     {5 * PAGE} (20K) to /{group.name}" in lines
        assert not [line for line in lines if "who is charged" in line]
    found = charged(name)
    sizes = {own.path: 3 * PAGE}
    sizes[top.path] = sizes.get(top.path, 0) + 5 * PAGE
    assert {inode: each["bytes"] for inode, each in found.items()} == {
        os.stat(path).st_ino: size for path, size in sizes.items()
    }


def test_a_group_that_is_not_visible(name: str) -> None:
    """As in a container, where other groups have no path."""
    path_of(name).write_bytes(b"x" * PAGE)
    with memory_group() as group:
        mount = next(iter(cgroup.own_groups()[-1:])).path.decode()
        script = f'mount --bind {group} {mount} && exec "$@"'
        result = run_command(
            ["unshare", "-m", "sh", "-c", script, "sh", *shmctl_argv("stat", "--pages", name)]
        )
    inode = os.stat(cgroup.own_groups()[0].path).st_ino
    assert f"{PAGE} (4.0K) to a group that is not visible from here (inode {inode})" in result.text


@pytest.mark.parametrize("size", [0, MIB])
def test_memory_that_has_no_data(name: str, size: int) -> None:
    """What is reserved is charged to somebody, and the kernel does not show whom."""
    path_of(name).touch()
    if size:
        run("create", "--no-excl", "--reserve", "-s", str(size), name)
    assert charged(name) == {}
    unknown = "who is charged for 1.0M: it is reserved, in swap, or beyond the first 1.0G of data"
    assert (unknown in run("stat", "--pages", name).text) == bool(size)


def test_time_has_bounds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many extents, those beyond the bound are not looked at."""
    from shmctl.core.transfer import Extent

    monkeypatch.setattr(charges, "MOST", 10 * PAGE)
    monkeypatch.setattr(charges, "_WINDOW", 4 * PAGE)
    extents = [Extent(0, 7 * PAGE, True), Extent(9 * PAGE, 5 * PAGE, True), Extent(20 * PAGE, PAGE, True)]
    windows = [(each.offset // PAGE, each.length // PAGE) for each in charges._windows(extents)]
    assert windows == [(0, 4), (4, 3), (9, 3)]


def test_huge_pages() -> None:
    """Each part of one counts."""
    script = "mount -o remount,huge=always /dev/shm; head -c 2M /dev/zero > /dev/shm/x; shmctl stat --pages x"
    assert f"charged     {2 * MIB} (2.0M) to /" in in_tiny_shm(script, size="16m").text


def test_the_kernel_tells_root_alone(name: str) -> None:
    path_of(name).write_bytes(b"x")
    path_of(name).chmod(0o644)
    result = run_command(as_nobody(shmctl_argv("stat", "--pages", name, python=python_for_all())))
    assert "unknown     who is charged: Permission denied (EACCES)" in result.text, result
    argv = as_nobody(shmctl_argv("stat", "--pages", "--json", name, python=python_for_all()))
    assert json.loads(run_command(argv).out)[0]["pages"]["charged"] is None


def test_without_the_privilege_for_frames(name: str) -> None:
    """Root of a container may open the files, and is told no number of any frame."""
    path_of(name).write_bytes(b"x")
    argv = ["setpriv", "--bounding-set=-sys_admin", *shmctl_argv("stat", "--pages", name)]
    assert "unknown     who is charged: Operation not permitted (EPERM)" in run_command(argv).text
