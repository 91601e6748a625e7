"""multiprocessing.shared_memory on the other side, in processes of its own that end as they do in life."""

import shutil
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

import shmctl
from tests.api.programs import python
from tests.support import path_of, run_command

PYTHONS = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
"""This Python and each later one that the machine has, by version."""
for minor in range(sys.version_info[1] + 1, 20):
    installed = [*Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3")]
    if python_there := (installed and str(installed[-1])) or shutil.which(f"python3.{minor}"):
        PYTHONS[f"3.{minor}"] = python_there

ATTACH = """
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
how = {"track": False} if "track=False" in sys.argv else {}
theirs = SharedMemory(sys.argv[1].removeprefix("/"), **how)
print(bytes(theirs.buf[:5]))
theirs.buf[:5] = b"reply"
if "unregister" in sys.argv:
    resource_tracker.unregister(theirs._name, "shared_memory")
theirs.close()
"""
ATTACH_HERE = """
import sys
import shmctl
with shmctl.open(sys.argv[1], writable=True) as ours:
    print(ours.read(0, 5))
    ours.write(b"reply")
    ours.buffer[5] = 33
assert not {"multiprocessing", "multiprocessing.resource_tracker"} & set(sys.modules)
"""


def test_they_attach_what_is_made_here(name: str) -> None:
    with shmctl.create(name, size=64) as box:
        box.write(b"hello")
        assert python(ATTACH, name, "unregister") == "b'hello'\n"
        assert box.read(0, 5) == b"reply"
        assert path_of(name).exists()


@pytest.mark.parametrize("version", PYTHONS)
def test_their_tracker_unlinks_what_it_only_attached(name: str, version: str) -> None:
    """What docs/library.md warns of, and both ways out. Only the name goes; the memory stays."""
    with shmctl.create(name, size=64) as box:
        for way_out in (["track=False"] if version >= "3.13" else []) + ["unregister", ""]:
            box.write(b"hello")
            result = run_command([PYTHONS[version], "-c", ATTACH, name, way_out])
            assert (result.status, result.text) == (0, "b'hello'\n"), result
            assert box.read(0, 5) == b"reply"
            assert path_of(name).exists() is bool(way_out), way_out


def test_what_they_made_outlives_a_process_that_opens_it_here() -> None:
    theirs = SharedMemory(create=True, size=64)
    try:
        assert theirs.buf
        theirs.buf[:5] = b"hello"
        for _ in range(2):
            assert python(ATTACH_HERE, theirs.name) in ("b'hello'\n", "b'reply'\n")
        assert bytes(theirs.buf[:6]) == b"reply!"
        assert path_of(f"/{theirs.name}").exists()
    finally:
        theirs.close()
        theirs.unlink()


def test_what_is_made_here_outlives_its_maker(name: str) -> None:
    python("import shmctl, sys\nwith shmctl.create(sys.argv[1], 8): pass", name)
    assert path_of(name).exists()


def test_nothing_is_registered_here(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[object] = []
    monkeypatch.setattr(resource_tracker, "register", lambda *args: registered.append(args))
    with shmctl.create(name, size=8) as box, shmctl.open(name) as other:
        assert other.buffer[0] == box.buffer[0] == 0
    shmctl.Semaphore.create(name).unlink()
    assert not registered


def test_workers_of_a_pool_open_it_by_name(name: str) -> None:
    source = """
import sys
from multiprocessing import get_context
import shmctl

def add(name, amount):
    with shmctl.lock(name), shmctl.open(name, writable=True) as box:
        box.write((int.from_bytes(box.read(0, 8), "little") + amount).to_bytes(8, "little"))

def fail(name):
    shmctl.open(name)

if __name__ == "__main__":
    with shmctl.create(sys.argv[1], 8) as box, get_context("fork").Pool(3) as pool:
        pool.starmap(add, [(box.name, n) for n in range(20)])
        print(int.from_bytes(box.read(), "little"))
        try:
            pool.apply(fail, ("/nobody-has-this-name",))
        except FileNotFoundError as error:
            print(error)
"""
    assert python(source, name).splitlines() == [
        "190",
        "shm_open '/nobody-has-this-name': No such file or directory (ENOENT)",
    ]
