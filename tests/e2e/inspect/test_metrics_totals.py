"""metrics: the sums are those of what is there, and names cannot spoil them."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shmctl.core import locking
from shmctl.core.errors import ShmError
from shmctl.core.inspect import totals
from shmctl.core.inspect.totals import TOP, TOP_OF_EACH, sum_up_everywhere
from shmctl.core.inspect.verdicts import Rules
from shmctl.core.models import DEV_SHM
from shmctl.render.metrics import collect, metrics_text
from tests.e2e.inspect.holding import Holder, Place, PrivatePlace, cgroup, dead_pid, private_place
from tests.scraping import Samples, families, samples
from tests.support import NOBODY, Result, run_command, shmctl_argv

pytestmark = pytest.mark.needs_root

PAGE = 4096


def measured(place: PrivatePlace, env: dict[str, str] | None = None) -> Samples:
    """What it says; the parts of what is used add up, and so do objects however they are divided."""
    return checked(place.run("metrics", env=env))


def checked(result: Result) -> Samples:
    assert (result.status, result.errors) == (0, "")
    found = samples(result.text)
    for measure in ("objects", "objects_size_bytes", "objects_allocated_bytes"):
        sums = {total(found, prefix + measure) for prefix in ("", "owner_", "software_")}
        assert len(sums) == 1
    assert found["used_bytes"] == (
        total(found, "objects_allocated_bytes")
        + found["other_allocated_bytes"]
        + found["unlinked_objects_allocated_bytes"]
        + found["unexplained_bytes"]
        - found["given_back_bytes"]
    )
    return found


def total(found: Samples, name: str) -> float:
    return sum(value for key, value in found.items() if key.startswith(name + "{"))


def some(found: Samples, name: str) -> dict[str, float]:
    """The samples of a metric that are not zero, by their labels."""
    return {
        key.removeprefix(name): value for key, value in found.items() if key.startswith(name + "{") and value
    }


def test_empty(private: PrivatePlace) -> None:
    found = measured(private)
    assert (found["capacity_bytes"], found["used_bytes"], found["free_bytes"]) == (16 << 20, 0, 16 << 20)
    assert found["unexplained_bytes"] == found["unlinked_objects"] == total(found, "objects") == 0
    # What may come is there from the start: a series that begins at 1 never rises.
    assert len([key for key in found if key.startswith("objects{")]) == 8
    vfs = os.statvfs(private.path(""))
    assert (found["inodes"], found["inodes_used"]) == (vfs.f_files, vfs.f_files - vfs.f_ffree)


def test_without_limits() -> None:
    """A capacity of 0 would look like a file system that is full."""
    setup = "mount -t tmpfs -o size=0,nr_inodes=0 tmpfs /dev/shm"
    with private_place(setup=setup) as place:
        place.make("/x", bytes(PAGE))
        found = measured(place)
    assert not {"capacity_bytes", "free_bytes", "inodes", "inodes_used"} & found.keys()
    assert found["used_bytes"] == PAGE


def test_each_object_once_in_every_division(private: PrivatePlace, holder: Holder) -> None:
    private.make("/held", bytes(3 * PAGE))
    private.make("/young", bytes(2 * PAGE))
    private.make("/sem.x", bytes(32))
    private.make("/psm_0123abcd", bytes(PAGE))
    os.chown(private.make("/theirs", bytes(PAGE)), NOBODY, NOBODY)
    private.path("/again").hardlink_to(private.path("/held"))
    with private.path("/sparse").open("wb") as file:
        file.truncate(1 << 30)
    private.path("/link").symlink_to("t" * 1000)
    private.path("/folder").mkdir()
    (private.path("/folder") / "x").write_bytes(bytes(5 * PAGE))
    with holder("mapping", "/dev/shm/held", private.enter):
        found = measured(private)
    assert some(found, "objects") == {
        "{kind=shm,verdict=held}": 1,
        "{kind=shm,verdict=kept}": 4,
        "{kind=semaphore,verdict=kept}": 1,
    }
    assert some(found, "objects_size_bytes") == {
        "{kind=shm,verdict=held}": 3 * PAGE,
        "{kind=shm,verdict=kept}": (1 << 30) + 4 * PAGE,
        "{kind=semaphore,verdict=kept}": 32,
    }
    assert some(found, "owner_objects_allocated_bytes") == {
        "{owner=root,verdict=held}": 3 * PAGE,
        "{owner=root,verdict=kept}": 4 * PAGE,
        "{owner=nobody,verdict=kept}": PAGE,
    }
    assert some(found, "software_objects") == {
        "{software=unknown,verdict=held}": 1,
        "{software=unknown,verdict=kept}": 4,
        "{software=CPython multiprocessing,verdict=kept}": 1,
    }
    assert found["other_allocated_bytes"] == 6 * PAGE
    assert found["unexplained_bytes"] == 0


def test_orphans(private: PrivatePlace, holder: Holder) -> None:
    private.make(f"/torch_{dead_pid()}_1_0", bytes(PAGE))
    private.make("/held", bytes(PAGE))
    with holder("fd", "/dev/shm/held", private.enter):
        found = checked(private.run("metrics", "--min-age", "0"))
    assert some(found, "objects_allocated_bytes") == {
        "{kind=shm,verdict=orphan}": PAGE,
        "{kind=shm,verdict=held}": PAGE,
    }
    assert some(found, "software_objects") == {
        "{software=PyTorch,verdict=orphan}": 1,
        "{software=unknown,verdict=held}": 1,
    }


@pytest.mark.parametrize("way", ["fd", "mapping"])
def test_unlinked_but_held(private: PrivatePlace, holder: Holder, way: str) -> None:
    path = private.make("/gone", bytes(3 * PAGE))
    with holder(way, "/dev/shm/gone", private.enter):
        path.unlink()
        found = measured(private)
        assert found["unlinked_objects"] == 1
        assert found["unlinked_objects_allocated_bytes"] == found["unlinked_objects_size_bytes"] == 3 * PAGE
    assert measured(private)["unlinked_objects"] == 0


def test_what_nobody_may_inspect_counts_as_a_gap(private: PrivatePlace, holder: Holder) -> None:
    private.make("/roots", bytes(PAGE))
    with holder("fd", "/dev/shm/roots", private.enter):
        found = checked(private.run_as_nobody("metrics"))
    assert found["uninspected_processes"] > 1
    assert some(found, "objects") == {"{kind=shm,verdict=unknown}": 1}
    assert (found["lease_usable"], found["collection_success"]) == (1, 1)


def test_no_inode_left() -> None:
    with private_place(setup="mount -o remount,nr_inodes=3 /dev/shm") as place:
        for name in ("/a", "/b"):
            place.make(name, b"x")
        found = measured(place)
    assert (found["lease_usable"], found["inodes"], found["inodes_used"]) == (1, 3, 3)
    assert "unknown" not in str(some(found, "objects"))


def test_no_leases(name: str, shared: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where fs.leases-enable is 0."""

    def refuse(fd: int, name: bytes) -> bool:
        raise ShmError("fcntl", name, errno.EINVAL)

    shared.make(name)
    monkeypatch.setattr(locking, "take_lease", refuse)
    assert b"shmctl_lease_usable 0" in metrics_text(collect(DEV_SHM, Rules()), {})


HOSTILE = ['a"b', "a\\b", "a{b=c}", "a b", "\x07bell", "a#", "é", "\udcff", "x" * 40]


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[PrivatePlace]:
    """Where login names are as hostile as they get, and one of them is that of the rest."""
    users = [*HOSTILE, "other", "twin", "twin"]
    lines = [f"{user}:x:{70000 + number}:1::/:/bin/sh\n" for number, user in enumerate(users)]
    passwd = tmp_path / "passwd"
    text = Path("/etc/passwd").read_text() + "".join(lines)
    passwd.write_text(text, encoding="utf-8", errors="surrogateescape")
    with private_place(setup=f"mount --bind {passwd} /etc/passwd") as place:
        for number in range(len(users)):
            os.chown(place.make(f"/{number}", bytes(PAGE)), 70000 + number, -1)
        yield place


def test_hostile_owners(crowded: PrivatePlace) -> None:
    result = crowded.run("metrics")
    found = checked(result)
    # A line feed cannot be in /etc/passwd; what a terminal would obey is escaped, the rest is as it is.
    plain = {name: name for name in HOSTILE}
    plain |= {"\x07bell": "\\x07bell", "\udcff": "\\xff"}
    owners = {sample.labels["owner"]: 0 for sample in families(result.text)["shmctl_owner_objects"].samples}
    assert set(owners) == {*plain.values(), "twin", "other"}
    assert found["owner_objects{owner=twin,verdict=kept}"] == 2
    assert found["owner_objects{owner=other,verdict=kept}"] == 1
    linted = run_command(["promtool", "check", "metrics"], stdin=result.out)
    assert (linted.status, linted.errors) == (0, "")


def test_many_owners(private: PrivatePlace) -> None:
    """The largest are told apart; all others are one."""
    for number in range(TOP + 10):
        os.chown(private.make(f"/{number}", bytes(PAGE * (number + 1))), 80000 + number, -1)
    found = measured(private)
    owners = some(found, "owner_objects_allocated_bytes")
    largest = {
        f"{{owner={80000 + number},verdict=kept}}": PAGE * (number + 1) for number in range(10, TOP + 10)
    }
    assert owners == {**largest, "{owner=other,verdict=kept}": PAGE * 55}
    assert found["owner_objects{owner=other,verdict=kept}"] == 10
    assert len(found) < 1000


def test_hostile_software(private: PrivatePlace, tmp_path: Path) -> None:
    names = ['quote " and \\', "line\nfeed", "other", "unknown", "ctrl\x01", "ünï"]
    tables = []
    for number, name in enumerate(names):
        quoted = "".join(f"\\u{ord(c):04x}" for c in name)
        tables.append(f"[[family]]\nsoftware = \"{quoted}\"\nmatch = ['f{number}']\nlifetime = 'users'\n")
        private.make(f"/f{number}", bytes(PAGE))
    private.make("/nobody-knows", bytes(PAGE))
    (tmp_path / "shmctl").mkdir()
    (tmp_path / "shmctl/families.toml").write_text("\n".join(tables))
    result = private.run("metrics", env={"XDG_CONFIG_HOME": str(tmp_path)})
    checked(result)
    found = families(result.text)["shmctl_software_objects"].samples
    software = {each.labels["software"]: each.value for each in found if each.value}
    assert software == {
        'quote " and \\': 1, "line\\nfeed": 1, "other": 1, "unknown": 2, "ctrl\\x01": 1, "ünï": 1
    }  # fmt: skip
    linted = run_command(["promtool", "check", "metrics"], stdin=result.out)
    assert (linted.status, linted.errors) == (0, "")


def test_a_families_file_that_makes_no_sense(private: PrivatePlace, tmp_path: Path) -> None:
    (tmp_path / "shmctl").mkdir()
    file = tmp_path / "shmctl/families.toml"
    file.write_text("[[family]]\nnonsense = 1\n")
    result = private.run("metrics", env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert (result.status, result.text) == (2, "")
    assert result.errors.startswith(f"shmctl: metrics: {file}: ")


# Every /dev/shm


def test_all_by_container_and_pod(tmp_path: Path, holder: Holder) -> None:
    """Two pods and the host: what each has, under its own labels, and nothing of it twice."""
    pods = {
        "01234567-89ab-cdef-0123-456789abcde1": "1" * 64,
        "01234567-89ab-cdef-0123-456789abcde2": "2" * 64,
    }
    (first, one), (second, two) = pods.items()
    with (
        cgroup(tmp_path, f"kubepods/pod{first}/{one}") as group,
        cgroup(tmp_path, f"kubepods/burstable/pod{second}/{two}") as other_group,
        private_place("3m", setup=f"echo $$ >{group}/cgroup.procs") as place,
        private_place("5m", setup=f"echo $$ >{other_group}/cgroup.procs") as other,
    ):
        place.make(f"/torch_{dead_pid()}_1_0", bytes(2 * PAGE))
        for number in range(TOP_OF_EACH + 2):
            os.chown(other.make(f"/x{number}", bytes(PAGE)), 40_000 + number, 0)
        held = other.make("/held", bytes(3 * PAGE))
        with holder("fd", "/dev/shm/held", other.enter):
            held.unlink()
            result = run_command(shmctl_argv("metrics", "--all", "--min-age", "0"))
    assert (result.status, result.errors) == (0, "")
    by_pod: dict[str, Samples] = {}
    for key, value in samples(result.text).items():
        labels = dict(re.findall(r"(\w+)=([^,}]*)", key))
        name = key.partition("{")[0] + "".join(f" {labels[k]}" for k in ("owner", "verdict") if k in labels)
        if labels.get("kind", "shm") == "shm" and "software" not in labels:
            by_pod.setdefault(labels.get("pod", ""), {})[name] = value
        assert labels.get("container", "") == pods.get(labels.get("pod", ""), labels.get("container", ""))
    assert set(pods) <= set(by_pod)
    there, beside = by_pod[first], by_pod[second]
    assert (there["capacity_bytes"], there["used_bytes"]) == (3 << 20, 2 * PAGE)
    assert (there["objects orphan"], there["unlinked_objects_allocated_bytes"]) == (1, 0)
    assert (beside["capacity_bytes"], beside["used_bytes"]) == (5 << 20, (TOP_OF_EACH + 2 + 3) * PAGE)
    assert (beside["unlinked_objects"], beside["unlinked_objects_allocated_bytes"]) == (1, 3 * PAGE)
    owners = [name for name in beside if name.startswith("owner_objects ") and name.endswith("orphan")]
    assert len(owners) == TOP_OF_EACH + 1
    assert beside["owner_objects other orphan"] == 2
    device = os.stat("/dev/shm").st_dev
    where = f"{{container=,device={os.major(device)}:{os.minor(device)},pod=}}"
    host = samples(run_command(shmctl_argv("metrics")).text)
    assert samples(result.text)[f"capacity_bytes{where}"] == host["capacity_bytes"]


def test_all_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_place("3m") as place:
        place.make("/x", bytes(2 << 20))
        everything, nothing = sum_up_everywhere(Rules())
        monkeypatch.setattr(totals, "MOST_DIRECTORIES", 1)
        shown, left_out = sum_up_everywhere(Rules())
    assert len(everything) > 1 and nothing == 0
    # Those of other tests come and go.
    assert len(shown) == 1 and left_out > 0
    assert shown[0][1].usage.used >= 2 << 20


def test_all_and_target() -> None:
    result = run_command(shmctl_argv("--target", str(os.getpid()), "metrics", "--all"))
    assert (result.status, result.out) == (2, b""), result
