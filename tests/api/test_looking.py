"""Listing, holders and verdicts, with real processes that hold objects."""

import os
import subprocess
import sys
import time

import pytest

import shmctl
from tests.support import as_nobody, path_of, python_for_all, run_command

HOLD = """
import shmctl, sys
box = shmctl.open(sys.argv[1])
view = box.buffer
print(flush=True)
sys.stdin.read()
view.release()
box.close()
"""


def test_the_listing_has_what_stat_has(names: list[str]) -> None:
    for size, name in enumerate(names):
        shmctl.create(name, size=size).close()
    shmctl.Semaphore.create(names[0])
    os.mkdir(path_of(names[0] + "-directory"))
    found = shmctl.list(names[0][:-1] + "*", "/sem." + names[0][1:])
    assert {info.name: info.size for info in found if info.kind is shmctl.Kind.SHM}.items() >= {
        name: size for size, name in enumerate(names) if name.startswith(names[0][:-1])
    }.items()
    assert [info.name for info in found] == sorted(info.name for info in found)
    assert {info.kind for info in found} == {shmctl.Kind.SHM, shmctl.Kind.SEMAPHORE}
    assert set(names) <= {info.name for info in shmctl.list()}
    info = shmctl.stat(names[2])
    st = path_of(names[2]).stat()
    assert info in shmctl.list(names[2])
    assert (info.size, info.allocated, info.mode, info.uid, info.inode) == (
        2,
        st.st_blocks * 512,
        0o600,
        os.getuid(),
        st.st_ino,
    )
    assert (info.nlink, info.device, info.mtime) == (1, st.st_dev, st.st_mtime)


def test_unlink(name: str) -> None:
    with shmctl.create(name, size=8) as box:
        shmctl.unlink(name)
        assert not path_of(name).exists()
        assert box.stat().nlink == 0
        box.write(b"x")
    assert shmctl.list(name) == []


def test_holders_and_verdicts_follow_a_process(name: str) -> None:
    with shmctl.create(name, size=8192):
        pass
    assert shmctl.holders(name) == ()
    assert [each.verdict for each in shmctl.leaks(name, min_age=0)] == [shmctl.Verdict.ORPHAN]
    argv = [sys.executable, "-c", HOLD, name]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        found = shmctl.holders(name)
        (holder,) = found
        assert (holder.pid, holder.uid, holder.mapped) == (process.pid, os.getuid(), 8192)
        assert "r" in holder.access
        assert len(holder.fds) >= 1
        assert repr(found).endswith(f"uninspected={found.uninspected})")
        (judgement,) = shmctl.leaks(name, min_age=0)
        assert (judgement.name, judgement.verdict) == (name, "held")
        assert judgement.info.size == 8192
    assert shmctl.holders(name) == ()


def test_verdicts_give_reasons(name: str) -> None:
    shmctl.create(name, size=8).close()
    (judgement,) = shmctl.leaks(name)
    assert judgement.verdict is shmctl.Verdict.KEPT
    assert judgement.reasons[-1] == "it is younger than 10 minutes (see --min-age)"
    with shmctl.open(name):
        (judgement,) = shmctl.leaks(name, min_age=0)
        assert judgement.verdict is shmctl.Verdict.HELD
    os.utime(path_of(name), (time.time() - 9000,) * 2)
    assert shmctl.leaks(name + "-missing") == []


@pytest.mark.needs_root
def test_doubt_is_unknown(name: str) -> None:
    shmctl.create(name, size=8, mode=0o600).close()
    source = f"""
import shmctl
(judgement,) = shmctl.leaks({name!r}, min_age=0)
print(judgement.verdict, judgement.info.size)
"""
    argv = as_nobody([python_for_all(), "-c", source])
    result = run_command(argv, env={"XDG_CONFIG_HOME": "/nonexistent"})
    assert (result.text, result.errors) == ("unknown 8\n", "")
