"""One look at a directory: all that a command says of it comes from that look, and agrees."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.inspect.holding import Holder, PrivatePlace
from tests.scraping import samples
from tests.support import Result, as_nobody, python_for_all, run_command, shmctl_argv

pytestmark = pytest.mark.needs_root

ROUNDS = 30

# Makes and removes objects as fast as it can, of one to five pages; two hundred stand at a time.
CHURN = """
import itertools, os
print(flush=True)
for number in itertools.count():
    with open(f"/dev/shm/{'sem.' if number % 3 == 0 else ''}churn-{number}", "wb") as file:
        file.write(bytes(4096 * (1 + number % 5)))
    if number >= 200:
        gone = number - 200
        os.unlink(f"/dev/shm/{'sem.' if gone % 3 == 0 else ''}churn-{gone}")
"""


@contextmanager
def churn(place: PrivatePlace) -> Iterator[None]:
    argv = [*place.enter, sys.executable, "-c", CHURN]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def arrays(text: str) -> Iterator[Any]:
    """The JSON arrays that stand one behind the other."""
    decoder = json.JSONDecoder()
    while text := text.strip():
        found, end = decoder.raw_decode(text)
        yield found
        text = text[end:]


def in_batch(place: PrivatePlace, *words: str) -> Result:
    script = f"{' '.join(words)}\n" * ROUNDS
    return run_command([*place.enter, *shmctl_argv("batch")], stdin=script.encode())


def test_df_by_kind_and_by_verdict_are_of_the_same_objects(private: PrivatePlace) -> None:
    with churn(private):
        result = in_batch(private, "df", "--json")
    # Even root may not look into every process of a sandbox.
    strange = [line for line in result.errors.splitlines() if "could not be inspected" not in line]
    assert (result.status, strange) == (0, []), result
    found = [each for (each,) in arrays(result.text)]
    assert len(found) == ROUNDS
    for each in found:
        objects = each["by_kind"]["shm"] + each["by_kind"]["semaphore"]
        assert sum(each["by_verdict"].values()) == objects == sum(each["by_owner"].values())
        assert each["by_verdict"]["unknown"] == 0, "what vanished is no object"
        parts = sum(each["by_kind"].values()) + sum(gone["allocated"] for gone in each["unlinked"])
        assert each["used"] == parts + each["unexplained"] - each["given_back"]
        assert min(each["unexplained"], each["given_back"]) == 0
    assert len({each["by_kind"]["shm"] for each in found}) > 1, "nothing came or went"


def test_what_vanishes_is_left_out(private: PrivatePlace) -> None:
    with churn(private):
        leaks = in_batch(private, "leaks", "--json")
        listed = in_batch(private, "ls", "--columns", "+verdict", "--json")
    assert (leaks.status, listed.status) == (0, 0), (leaks.errors, listed.errors)
    judged = [each["verdict"] for text in (leaks.text, listed.text) for look in arrays(text) for each in look]
    assert len(judged) > ROUNDS
    assert set(judged) <= {"held", "kept", "orphan"}


def test_memory_that_is_given_back_while_it_is_counted(private: PrivatePlace, tmp_path: Path) -> None:
    """It is freed between the look at /proc and statvfs(3), where strace makes df wait."""
    file, log = private.make("/x", bytes(8192)), tmp_path / "log"
    trace = ["strace", "-o", str(log), "-e", "trace=statfs", "-e", "inject=statfs:delay_enter=1000000"]
    argv = [*private.enter, *trace, *shmctl_argv("df", "--json")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as df:
        while df.poll() is None and not (log.exists() and 'statfs("/dev/shm"' in log.read_text()):
            time.sleep(0.01)
        file.unlink()
        out, _ = df.communicate(timeout=60)
    (found,) = json.loads(out)
    assert found["by_kind"]["shm"] == 8192
    assert (found["used"], found["unexplained"], found["given_back"]) == (0, 0, 8192)


def test_metrics_divide_the_same_objects(private: PrivatePlace) -> None:
    with churn(private):
        result = in_batch(private, "metrics")
    assert (result.status, result.errors) == (0, "")
    texts = result.text.split("# HELP shmctl_capacity_bytes ")[1:]
    assert len(texts) == ROUNDS
    for text in texts:
        found = samples("# HELP shmctl_capacity_bytes " + text)
        allocated = sum(value for key, value in found.items() if key.startswith("objects_allocated_bytes{"))
        parts = allocated + found["other_allocated_bytes"] + found["unlinked_objects_allocated_bytes"]
        assert min(found["unexplained_bytes"], found["given_back_bytes"]) == 0
        assert found["used_bytes"] == parts + found["unexplained_bytes"] - found["given_back_bytes"]


# How often a command looks

DIRECTORY_READ = re.compile(r"getdents64\(\d+<(?:/proc/\d+/root)?(/dev/shm|/proc)>.*= [1-9]")
LOOKED_INTO = re.compile(r'"/proc/([0-9]+)/(?:fd|maps|map_files)')


def reads(log: Path, argv: Sequence[str | bytes]) -> tuple[int, int, int]:
    """How often a command reads /dev/shm, and /proc, and into how many processes it looks."""
    trace = ["strace", "-f", "-y", "-o", str(log), "-e", "trace=getdents64,open,openat,readlink,readlinkat"]
    # A home of its own: nobody may not look into root's.
    result = run_command([*trace, *argv], env={"HOME": "/nonexistent"})
    assert result.status == 0, result
    text = log.read_text()
    directories = DIRECTORY_READ.findall(text)
    return directories.count("/dev/shm"), directories.count("/proc"), len(set(LOOKED_INTO.findall(text)))


COMMANDS = [
    "df --json",
    "metrics",
    "leaks --json",
    "holders",
    "holders --unlinked",
    "doctor",
    "ls -o +holders,verdict,software",
    "stat --holders /x",
]


@pytest.mark.parametrize("user", ["root", "nobody"])
@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_looks_once(
    private: PrivatePlace, holder: Holder, tmp_path: Path, words: str, user: str
) -> None:
    """Also where the kernel may not be asked who uses an object, and /proc has to answer for that, too."""
    for name in ("/x", "/y", "/sem.z"):
        private.make(name)
    argv = shmctl_argv(*words.split())
    if user == "nobody":
        argv = as_nobody(shmctl_argv(*words.split(), python=python_for_all()))
    with holder("mapping", "/dev/shm/y", private.enter):
        shm, proc, _ = reads(tmp_path / "strace", [*private.enter, *argv])
    # A second reading of the directory proves that no object is without a name.
    times = {"stat --holders /x": 0, "df --json": 2, "metrics": 2, "holders --unlinked": 2, "doctor": 2}
    assert shm == times.get(words, 1)
    # Of the doctor's checks, one is on how much of /proc is to be seen.
    assert proc <= (2 if words == "doctor" else 1)


ANSWERED = ["leaks", "gc --yes", "ls -o +verdict", "leaks /x", "ls --verdict held"]
COUNTED = ["df", "metrics", "holders --unlinked"]


@pytest.mark.parametrize("words", ANSWERED + COUNTED)
def test_proc_is_left_alone_where_the_kernel_answers(
    private: PrivatePlace, holder: Holder, tmp_path: Path, words: str
) -> None:
    for name in ("/x", "/y", "/sem.z"):
        private.make(name)
    with holder("fd", "/dev/shm/y", private.enter):
        _, proc, looked_into = reads(tmp_path / "strace", [*private.enter, *shmctl_argv(*words.split())])
    assert (proc, looked_into) == (0, 0)


def test_what_vanishes_while_inodes_are_counted_hides_nothing(
    private: PrivatePlace, holder: Holder, tmp_path: Path
) -> None:
    """One object has no name, and another goes before statvfs(3), where strace makes df wait: it adds up."""
    gone, vanishing, log = private.make("/gone", bytes(4096)), private.make("/x"), tmp_path / "log"
    private.make("/y")
    trace = ["strace", "-o", str(log), "-e", "trace=statfs", "-e", "inject=statfs:delay_enter=1000000"]
    argv = [*private.enter, *trace, *shmctl_argv("df", "--json")]
    with holder("mapping", "/dev/shm/gone", private.enter):
        gone.unlink()
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as df:
            while df.poll() is None and not (log.exists() and 'statfs("/dev/shm"' in log.read_text()):
                time.sleep(0.01)
            vanishing.unlink()
            out, _ = df.communicate(timeout=60)
    (found,) = json.loads(out)
    assert [each["name"] for each in found["unlinked"]] == ["/gone"]


def test_all_directories_take_one_look_at_the_processes(
    private: PrivatePlace, holder: Holder, tmp_path: Path
) -> None:
    """df --all: one to find every /dev/shm, and one to find who holds what in all of them."""
    path = private.make("/x", bytes(4096))
    with holder("mapping", "/dev/shm/x", private.enter):
        path.unlink()
        _, proc, _ = reads(tmp_path / "strace", shmctl_argv("df", "--all", "--json"))
    assert proc == 2
