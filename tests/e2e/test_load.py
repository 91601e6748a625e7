"""Many processes at once, on the same names, for a while: errors that are to be expected, and no others.

SHMCTL_LOAD says for how many seconds: 60 in CI, and 15 elsewhere, if it is not set.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import HOLDER, Holder, PrivatePlace, private_place, sleeper
from tests.support import compile_c, environment

pytestmark = [pytest.mark.needs_root, pytest.mark.long, pytest.mark.alone]
SECONDS = float(os.environ.get("SHMCTL_LOAD", "60" if os.environ.get("CI") else "15"))
IN_PROCESS, WHOLE = 12, 4
# What other processes do to an object meanwhile, as each command may come to hear of it.
EXPECTED = {
    "create": {"EEXIST"},
    # EBUSY: resized before '--exact' could cut it off.
    "write": {"ENOENT", "EFAULT", "EFBIG", "EBUSY"},
    "read": {"ENOENT", "EINVAL", "EFAULT", "EIO"},
    "truncate": {"ENOENT"},
    "stat": {"ENOENT"},
    "chmod": {"ENOENT"},
    "rm": {"ENOENT"},
    "unlink": {"ENOENT"},
    "wait": {"ETIMEDOUT"},
    "ls": set(),
    "leaks": set(),
    "gc": set(),
}
# The same with a process for each command; ends with 1 for a status that is none.
LOOP = """
end=$((SECONDS + $1)); name=/load$2
while [ $SECONDS -lt $end ]; do
    for args in "create $name -s 5000" "write $name --create --fill 1 -n 100000" "gc --yes --min-age 0" \
        "read $name" "ls" "rm $name /load$RANDOM"
    do
        "$3" -m shmctl $args >/dev/null 2>>"$4"
        status=$?
        if [ $status -gt 1 ]; then echo "$args: $status" >&2; exit 1; fi
    done
done
"""
PYTHON_HOLDER = """
import mmap
fd = os.open(sys.argv[1], os.O_RDWR)
mapping = mmap.mmap(fd, 8192)
os.close(fd)
"""


@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Holder:
    return Holder(compile_c(HOLDER, tmp_path_factory.mktemp("load"), "holder"))


def test_mixed_load(holder: Holder, tmp_path: Path) -> None:
    content = bytes(range(256)) * 32
    with private_place("64m") as place:
        held = [place.make(name, content) for name in ("/held-fd", "/held-map", "/held-python")]
        inodes = [path.stat().st_ino for path in held]
        with (
            holder("fd", "/dev/shm/held-fd", place.enter),
            holder("read-only mapping", "/dev/shm/held-map", place.enter),
            sleeper(PYTHON_HOLDER, "/dev/shm/held-python", enter=place.enter),
        ):
            ended = run_load(place, tmp_path / "errors")
            assert [path.stat().st_ino for path in held] == inodes
            assert [path.read_bytes() for path in held] == [content] * 3
        unexpected = {
            key: count
            for key, count in ended.items()
            if (len(parts := key.split()) < 3 and parts[1] != "0")
            or (len(parts) == 3 and parts[2] not in EXPECTED[parts[0]])
        }  # fmt: skip
        assert unexpected == {}, ended
        # There was a race: every command was done, and those that can fail did.
        assert {key.split()[0] for key in ended} == EXPECTED.keys()
        assert {key.split()[2] for key in ended if key.count(" ") == 2} >= {"EEXIST", "ENOENT"}
        # Empty ones may be on their way to a size: gc leaves them.
        assert place.run("rm", "-f", "load*").status == 0
        assert place.run("gc", "--yes", "--min-age", "0").status == 0
        assert os.listdir(place.path("/")) == []


def run_load(place: PrivatePlace, errors: Path) -> Counter[str]:
    """Run all the processes to their end; how often each command ended how."""
    driver = [sys.executable, "-m", "tests.e2e.load_driver"]
    pipe = subprocess.PIPE
    in_process = [
        subprocess.Popen([*place.enter, *driver, str(seed), str(SECONDS)], stdout=pipe, env=environment())
        for seed in range(IN_PROCESS)
    ]
    whole = [
        subprocess.Popen(
            [*place.enter, "bash", "-c", LOOP, "sh", str(int(SECONDS)), str(number), sys.executable, errors],
            env=environment(),
        )
        for number in range(WHOLE)
    ]
    ended: Counter[str] = Counter()
    for process in in_process:
        out, _ = process.communicate(timeout=SECONDS * 4 + 60)
        assert process.returncode == 0, process.returncode
        found = json.loads(out)
        assert found["odd"] == []
        ended.update(found["ended"])
    assert [process.wait(SECONDS * 4 + 60) for process in whole] == [0] * WHOLE
    said = errors.read_text().splitlines()
    assert [line for line in said if not line.startswith(("shmctl: ", "hint: "))] == []
    assert not any("internal error" in line for line in said), said
    return ended
