"""README.md keeps its word: each of its blocks is run here, in order, and prints what it shows."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shmctl.cli.group import COMMANDS
from shmctl.cli.messages import ExitStatus
from tests.documents import ROOT, check_session, fences, session_of
from tests.support import environment

README = (ROOT / "README.md").read_text()
SET_UP, TOUR = README.split("## Tour\n")
SHM = Path("/dev/shm")


def tour_objects() -> list[str]:
    return sorted(e for e in os.listdir(SHM) if e == "shmtest" or e.startswith(("tour-", "sem.tour-")))


@pytest.fixture
def tour_names() -> Iterator[None]:
    """The names that README.md uses, for this test alone: nobody else's object is touched."""
    with_lock = os.open(SHM, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(with_lock, fcntl.LOCK_EX)
        there = tour_objects()
        assert not there, (
            f"the tour of README.md needs these names, and somebody's objects bear them: {there}"
        )
        try:
            yield
        finally:
            for entry in tour_objects():
                (SHM / entry).unlink()
    finally:
        os.close(with_lock)


def test_tour(tour_names: None, tmp_path: Path) -> None:
    run_here = {"c", "console"}
    unknown = {language for language, _ in fences(TOUR)} - run_here
    assert not unknown, f"nothing runs a block of {unknown}"
    check_session(session_of(TOUR, tmp_path), tmp_path)
    assert not tour_objects(), "the tour removes what it makes"


def test_tour_uses_every_part_that_it_promises() -> None:
    for part in (
        "--struct",
        "--type",
        "--hex",
        "--trace",
        "--json",
        "gcc",
        "--reserve",
        "rm --dry-run",
        "df",
        "holders",
        "leaks",
        "gc",
        "wait",
        "lock",
        "sem",
        "run",
    ):
        assert part in TOUR


def test_first_command_does_the_main_job(tour_names: None, tmp_path: Path) -> None:
    """In a copy of the clone, where apt-get and sudo are stand-ins: the machine has its packages already."""
    use_it, test_it = (block for _, block in fences(SET_UP))
    assert test_it == "tests/run\n"
    clone = tmp_path / "clone"
    clone.mkdir()
    for part in ("shmctl", "man", "completions", "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, clone / part)
    stand_ins = tmp_path / "bin"
    stand_ins.mkdir()
    for name, script in (("apt-get", 'echo "$@" >> "$APT_LOG"'), ("sudo", 'exec "$@"')):
        (stand_ins / name).write_text(f"#!/bin/sh\n{script}\n")
        (stand_ins / name).chmod(0o755)
    env = environment({"PATH": f"{stand_ins}:{os.environ['PATH']}", "APT_LOG": str(tmp_path / "apt.log")})
    del env["PYTHONWARNINGS"]  # pip has its own
    done = subprocess.run(
        ["bash", "-c", use_it], cwd=clone, env=env, capture_output=True, timeout=300, check=False
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, out + err
    assert (tmp_path / "apt.log").read_text() == "update -q\ninstall -q -y python3-venv\n"
    assert out.startswith("Hello from bash\n")
    assert re.search(r"^st_size +100$", out, re.M)
    assert re.search(r"^/shmtest +100 +4096 +-rw------- ", out, re.M)
    assert not tour_objects()
    pages = sorted(path.name for path in (clone / ".venv/share/man/man1").iterdir() if "shmctl" in path.name)
    assert pages == sorted(["shmctl.1", *(f"shmctl-{name}.1" for name in COMMANDS)])


def test_exit_statuses() -> None:
    told = re.findall(r"^\| ([0-9, ]+) \|", README.partition("## Exit statuses")[2], re.M)
    assert [int(number) for cell in told for number in cell.split(",")] == sorted(
        {*(number for name, number in vars(ExitStatus).items() if name.isupper()), 128 + signal.SIGTERM}
    )
