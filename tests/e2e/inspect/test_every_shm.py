"""Every /dev/shm on the host, those of containers too: df --all, and the columns of holders."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.inspect.holding import UNINSPECTED, Holder, Place, PrivatePlace, cgroup, private_place, sleeper
from tests.support import AS_NOBODY, as_nobody, python_for_all, run_command, shmctl_argv

pytestmark = pytest.mark.needs_root

PAGE = 4096

# Of the objects' directories here, which no other test has.
CAPACITY = 3076 << 10
CAPACITY_OF_CONTAINER = 5124 << 10


def everywhere(place: Place) -> list[dict[str, Any]]:
    return place.records("df", "--all")


def device_seen_by(pid: int) -> int | None:
    """Processes of others come and go."""
    try:
        return os.stat(f"/proc/{pid}/root/dev/shm").st_dev
    except FileNotFoundError:
        return None


def test_all_sees_other_mount_namespaces(shared: Place, name: str) -> None:
    with private_place(str(CAPACITY)) as other:
        other.make(name, bytes(5 * PAGE))
        device = other.path("").stat().st_dev
        found = [each for each in everywhere(shared) if each["capacity"] == CAPACITY]
        (there,) = found
        assert os.stat(f"/proc/{there['pid']}/root/dev/shm").st_dev == device
        assert there["pid"] == other.pid
        assert (there["used"], there["unexplained"]) == (5 * PAGE, 0)
        assert {kind: size for kind, size in there["by_kind"].items() if size} == {"shm": 5 * PAGE}
        assert there["container"] is None
        text = shared.run("df", "--all").text
        assert f"seen by PID {other.pid}" in text
        # And ours, once, however many processes and namespaces see it.
        here = os.statvfs("/dev/shm")
        with sleeper(enter=("unshare", "-m")):
            devices = [device_seen_by(each["pid"]) for each in everywhere(shared)]
            assert devices.count(os.stat("/dev/shm").st_dev) == 1
        assert here.f_blocks * here.f_frsize in {each["capacity"] for each in everywhere(shared)}
    assert CAPACITY not in {each["capacity"] for each in everywhere(shared)}


def test_all_loses_no_descriptor(private: PrivatePlace) -> None:
    """Of a directory that may be opened and not looked at further."""
    script = """
import os
from shmctl.core.inspect.usage import all_mounted
before = len(os.listdir("/proc/self/fd"))
mounted, uninspected = all_mounted()
print(len(os.listdir("/proc/self/fd")) - before - len(mounted), *[each.pid for each in uninspected])
"""
    shut = 'mount -t tmpfs -o mode=0744 tmpfs /dev/shm && exec "$@"'
    with sleeper(enter=("unshare", "-m", "sh", "-c", shut, "sh", *AS_NOBODY)) as pid:
        lost, *uninspected = run_command(as_nobody([python_for_all(), "-c", script])).text.split()
        assert (lost, str(pid) in uninspected) == ("0", True)


CONTAINER = "0123456789abcdef" * 4
POD = "01234567-89ab-cdef-0123-456789abcdef"


def test_all_tells_the_container(shared: Place, tmp_path: Path) -> None:
    with (
        cgroup(tmp_path, f"kubepods/burstable/pod{POD}/{CONTAINER}") as folder,
        private_place(str(CAPACITY_OF_CONTAINER), setup=f"echo $$ >{folder}/cgroup.procs") as container,
    ):
        (there,) = [each for each in everywhere(shared) if each["capacity"] == CAPACITY_OF_CONTAINER]
        assert (there["pid"], there["container"], there["pod"]) == (container.pid, CONTAINER, POD)
        assert f"container {CONTAINER[:12]}, pod {POD}" in shared.run("df", "--all").text


@pytest.mark.parametrize("in_place", [f"containers/{CONTAINER}/mounts/shm", "rootfs/dev/shm"])
def test_all_finds_what_a_container_has_left(shared: Place, tmp_path: Path, in_place: str) -> None:
    """Once by its device, though bound to two places; not what is covered, or elsewhere, or in use."""
    at, again, other = (tmp_path / path for path in (in_place, "x/dev/shm", "y/shm"))
    script = f"""
        mount -t tmpfs -o size=9m tmpfs {at}; head -c {5 * PAGE} /dev/zero > {at}/x; mount --bind {at} {again}
        mount -t tmpfs -o size=11m tmpfs {other}; mount -t tmpfs -o size=13m tmpfs {tmp_path}/z/dev/shm
        mount -t tmpfs tmpfs {tmp_path}/z/dev; exec "$@" """
    for path in (at, again, other, tmp_path / "z/dev/shm"):
        path.mkdir(parents=True)
    with sleeper(enter=("unshare", "-m", "sh", "-c", script, "sh")) as pid:
        found = {each["capacity"] >> 20: each for each in everywhere(shared)}
        assert not found.keys() & {11, 13}
        seen_at = f"/proc/{pid}/root{at}"
        there = found[9]
        assert (there["path"], there["pid"]) == (seen_at, None)
        assert there["container"] == (CONTAINER if CONTAINER in in_place else None)
        assert (there["used"], there["unexplained"], there["by_kind"]["shm"]) == (5 * PAGE, 0, 5 * PAGE)
        assert f"{seen_at}, which no process has as its /dev/shm" in shared.run("df", "--all").text
        device = os.stat(seen_at).st_dev
        label = f'device="{os.major(device)}:{os.minor(device)}"'
        assert label in shared.run("metrics", "--all").text
        bind = (
            "nsenter",
            "-m",
            f"-t{pid}",
            "unshare",
            "-m",
            "sh",
            "-c",
            f'mount --bind {at} /dev/shm; exec "$@"',
        )
        with sleeper(enter=(*bind, "sh")) as user:
            found = {each["capacity"] >> 20: each for each in everywhere(shared)}
            assert (found[9]["pid"], found[9]["path"]) == (user, f"/proc/{user}/root/dev/shm")


def test_all_with_more_than_descriptors(tmp_path: Path) -> None:
    """A user may mount any number in a namespace of their own: what fits is shown, and that it is not all."""
    script = f"""
        mount -t tmpfs tmpfs {tmp_path}; ulimit -n 48
        for n in $(seq 60); do
            mkdir -p {tmp_path}/$n/dev/shm; mount -t tmpfs tmpfs {tmp_path}/$n/dev/shm
        done; exec "$@" """
    enter = ["unshare", "-m", "sh", "-c", script, "sh"]
    result = run_command([*enter, *shmctl_argv("df", "--all", "--verbose")])
    assert result.status == 0 and result.text.count("which no process has as its /dev/shm") > 9, result
    assert "Too many open files (EMFILE)" in result.errors
    result = run_command([*enter, *shmctl_argv("metrics", "--all")])
    assert result.status == 0 and result.text.count("shmctl_used_bytes{") > 9, result


@pytest.mark.parametrize("link", ["dev", "dev/shm"])
def test_all_follows_no_link(shared: Place, tmp_path: Path, link: str) -> None:
    """What a process has planted in its root leads nowhere."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (outside / "shm").mkdir(parents=True)
    (root / link).parent.mkdir(parents=True)
    target = outside if link == "dev" else outside / "shm"
    (root / link).symlink_to(target)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=7m", "tmpfs", outside / "shm"], check=True)
    try:
        with sleeper("os.chroot(sys.argv[1])", str(root)) as planter:
            found = [each for each in everywhere(shared) if each["capacity"] == 7 << 20]
            assert found == []
            assert f"PID {planter}" not in shared.run("df", "--all").text
    finally:
        subprocess.run(["umount", outside / "shm"], check=True)


def test_all_as_an_ordinary_user(shared: Place) -> None:
    with private_place("3m"):
        result = shared.run_as_nobody("df", "--all")
        assert result.status == 0, result
        assert len([line for line in result.errors.splitlines() if UNINSPECTED.fullmatch(line)]) == 1
        assert "/dev/shm" in result.text or "seen by" in result.text


def test_holders_tell_the_container(private: PrivatePlace, holder: Holder, tmp_path: Path) -> None:
    """A column each for container and pod, where any holder is in one."""
    path = private.make("/x")
    assert "CONTAINER" not in private.run("holders").text
    with (
        cgroup(tmp_path, f"kubepods/burstable/pod{POD}/{CONTAINER}") as folder,
        holder("fd", "/dev/shm/x", private.enter) as holding,
    ):
        (folder / "cgroup.procs").write_text(str(holding.pid))
        (found,) = private.records("holders", "/x")
        assert (found["container"], found["pod"]) == (CONTAINER, POD)
        heading, row = private.run("holders").text.splitlines()
        assert (heading.split()[-2:], row.split()[-2:]) == (["CONTAINER", "POD"], [CONTAINER, POD])
        path.unlink()
        (gone,) = private.records("holders", "--unlinked")
        assert (gone["container"], gone["pod"]) == (CONTAINER, POD)
        assert private.run("holders", "--unlinked").text.split()[-2:] == [CONTAINER, POD]
