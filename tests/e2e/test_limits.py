"""At the limits: gigabytes, a hundred thousand objects, the longest names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.inspect.holding import private_place
from tests.support import PREFIX, Result, done, path_of, run

pytestmark = pytest.mark.long

GIB = 1 << 30
MANY = 100_000
MAKE = """
import os, sys
for number in range(int(sys.argv[1])):
    fd = os.open(f"/dev/shm/o{number}", os.O_CREAT | os.O_RDWR, 0o600)
    os.ftruncate(fd, 1)
    os.close(fd)
"""


def test_eight_sparse_gigabytes(name: str, tmp_path: Path) -> None:
    size = 8 * GIB
    done("create", name, "-s", "8G")
    assert done("stat", name, "-f", "%s %b") == f"{size} 0\n"
    done("write", name, "-o", str(size - 4), "--type", "int32", "-7")
    assert done("read", name, "-o", str(size - 4), "--type", "int32") == "-7\n"
    declaration = f"int first; char between[{size - 8}]; int last"
    assert done("read", name, "first", "last", "--struct", declaration) == "0\n-7\n"
    assert (
        done("wait", name, "last == -7", "--struct", declaration, "--print", "--timeout", "9") == "last=-7\n"
    )
    copy = tmp_path / "copy"
    with copy.open("wb") as file:
        argv = [sys.executable, "-m", "shmctl", "read", name, "-o", str(size - 40_000_000), "-n", "40M"]
        subprocess.run(argv, stdout=file, check=True)
    assert copy.stat().st_size == 40_000_000
    assert copy.read_bytes()[-6:] == b"\0\0\xf9\xff\xff\xff"
    # Nothing of all that allocates what lies between.
    assert path_of(name).stat().st_blocks * 512 <= 3 * 2 * 1024 * 1024
    done("truncate", name, "-s", f"-{size - 100}")
    assert path_of(name).read_bytes() == bytes(100)
    done("rm", name)


@pytest.mark.needs_root
def test_a_hundred_thousand_objects() -> None:
    """Nothing takes time or memory as the square of their number; the terminal hears of each once."""
    with private_place("64m") as place:
        subprocess.run([*place.enter, sys.executable, "-c", MAKE, str(MANY)], check=True)
        leaks = place.run("leaks", "--min-age", "0")
        assert leaks.text.count(" orphan ") == MANY, leaks.errors
        kept = place.run("gc", "--min-age", "0", "--keep", "o[1-8]*")
        plan = kept.text.splitlines()[-1]
        assert plan.startswith(f"11112 of {MANY} objects are orphans"), plan
        assert place.run("rm", "-n", "o1*", "o*").text.count("would remove ") == MANY
        removed = place.run("gc", "o[1-8]*", "--yes", "--min-age", "0").text.splitlines()[-1]
        assert removed.startswith("removed 88888 of 88888 orphans"), removed
        assert place.run("rm", "o*", "o9*") == Result(0, b"", b"")
        assert os.listdir(place.path("/")) == []


LONGEST = PREFIX.ljust(255, "n")


@pytest.mark.parametrize(
    "longest", ["/" + LONGEST, LONGEST, "/dev/shm/" + LONGEST], ids=["/", "bare", "path"]
)
def test_the_longest_name_everywhere(longest: str) -> None:
    for args in (
        ["create", longest, "-s", "10", "-v"],
        ["write", longest, "hello"],
        ["read", longest, "--json"],
        ["truncate", longest, "-s", "20"],
        ["chmod", "600", longest],
        ["chown", str(os.getuid()), longest],
        ["stat", longest],
        ["ls", longest],
        ["holders", longest],
        ["leaks", longest, "--min-age", "0"],
        ["wait", longest, "--type", "char", "== h", "--timeout", "9"],
        ["lock", longest, "--", "true"],
        ["gc", longest, "--yes"],
        ["unlink", longest],
        ["run", "--name", longest, "--", "true"],
        ["create", "--no-excl", longest],
        ["rm", "-v", longest],
    ):
        result = run(*args)
        assert result.status == 0, (args[0], result)
        assert "Traceback" not in result.errors
    assert run("create", longest + "n").status == 2


def test_the_longest_name_of_a_semaphore(name: str) -> None:
    longest = "/" + PREFIX.ljust(251, "s")
    for args in (["create", "--value", "1"], ["post"], ["value"], ["wait"], ["unlink"]):
        done("sem", args[0], longest, *args[1:])
    assert run("sem", "create", longest + "s").status == 2
