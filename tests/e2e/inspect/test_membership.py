"""What is in /dev/shm is what was below its path: its file system may hold more than that."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import SIZE, Holder, Holding, PrivatePlace, complaints, private_place, records
from tests.scraping import samples
from tests.support import run_command, shmctl_argv

pytestmark = pytest.mark.needs_root


@pytest.fixture(params=["of a disk", "of a tmpfs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[PrivatePlace, Path]]:
    """A place whose /dev/shm is a folder, and the directory that the folder ``shm`` is in."""
    (tmp_path / "shm").mkdir()
    setup = f"mount --bind {tmp_path}/shm /dev/shm"
    if request.param == "of a tmpfs":
        setup = f"mount --bind /dev/shm {tmp_path} && mkdir {tmp_path}/shm && {setup}"
    with private_place(setup=setup) as place:
        yield place, tmp_path


def start_and_unlink(
    place: PrivatePlace, holder: Holder, way: str, path: str, *, root: str = "", enter: Sequence[str] = ()
) -> Holding:
    """A process that holds a file by the path that it opened, which is then gone."""
    file = Path(f"{place.root}{root}{path}")
    file.write_bytes(b"x" * SIZE)
    holding = holder(way, path, [*place.enter, *enter])
    file.unlink()
    return holding


@pytest.mark.parametrize("way", ["fd", "mapping"])
def test_a_folder(folder: tuple[PrivatePlace, Path], holder: Holder, way: str) -> None:
    place, above = folder
    place.path("/jack_db-0").mkdir()
    inside = ("/dev/shm/here", f"{above}/shm/there", "/dev/shm/jack_db-0/db")
    held = [
        start_and_unlink(place, holder, way, path)
        for path in (f"{above}/elsewhere", f"{above}/shm2", *inside)
    ]
    found = {each["name"] for each in place.records("holders", "--unlinked")}
    assert found == {"/here", "/there", "/jack_db-0/db"}
    (df,) = place.records("df")
    assert {each["name"] for each in df["unlinked"]} == found
    assert samples(place.run("metrics").text)["unlinked_objects"] == 3
    softwares = {each["name"]: each["software"] for each in place.records("holders", "--unlinked")}
    assert softwares == {"/here": None, "/there": None, "/jack_db-0/db": "JACK"}
    assert place.run("rescue", "/db").out == b"x" * SIZE
    doctor = {each["check"]: each for each in place.records("doctor")}["unlinked"]
    assert "3 objects without a name, 24K" in str(doctor)
    for holding in held:
        holding.end()


def test_a_chroot(tmp_path: Path, holder: Holder) -> None:
    """From within, where no mount table shows the disk, and from outside by --target."""
    tops = {Path(path).resolve().parts[1] for path in (sys.prefix, sys.base_prefix, __file__, holder.program)}
    tops |= {name for name in ("usr", "bin", "lib", "lib64", "etc", "proc") if Path(f"/{name}").exists()}
    root = tmp_path / "root"
    for name in (*tops, "dev/shm", "var"):
        (root / name).mkdir(parents=True)
    chroot = ("chroot", str(root))
    with private_place(setup=" && ".join(f"mount --bind /{name} {root}/{name}" for name in tops)) as place:
        held = [
            start_and_unlink(place, holder, "fd", path, root=str(root), enter=chroot)
            for path in ("/var/elsewhere", "/dev/shm/here")
        ]
        held.append(start_and_unlink(place, holder, "fd", f"{root}/dev/shm/there"))
        for enter, target in ((chroot, ()), ((), ("--target", str(held[0].pid)))):
            argv = [*place.enter, *enter, *shmctl_argv(*target, "holders", "--unlinked", "--json")]
            assert {each["name"] for each in records(run_command(argv))} == {"/here", "/there"}, enter
        for holding in held:
            holding.end()


def test_what_cannot_be_known_is_said(tmp_path: Path, holder: Holder) -> None:
    """A path in a mount that is detached leads nowhere."""
    other = tmp_path / "other"
    other.mkdir()
    setup = f"mkdir /dev/shm/a && mount --bind /dev/shm {other} && mount --bind /dev/shm/a /dev/shm"
    with private_place(setup=setup) as place, start_and_unlink(place, holder, "fd", f"{other}/x"):
        run_command([*place.enter, "umount", "--lazy", str(other)])
        result = place.run("holders", "--unlinked", "--json")
        assert b"name" not in result.out
        assert complaints(result) == [
            "shmctl: holders: nothing shows whether 1 object without a name had one in /dev/shm"
        ]
        assert "1 without a name may be of either" in place.run("df").text
