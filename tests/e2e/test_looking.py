"""Looking changes nothing, and what is sparse stays sparse: a hole takes no memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import shmctl
from shmctl.cli.main import run as run_here
from tests.e2e.sync.processes import started
from tests.support import (
    TIMEOUT,
    Result,
    done,
    environment,
    in_tiny_shm,
    path_of,
    run_command,
    shmctl_argv,
)

SIZE = 4 << 20
PAGE = os.sysconf("SC_PAGESIZE")
STRUCT = "char before[100000]; int flag; unsigned low:3; double values[2000]; char after[1000000];"
"""Ways to look at an object of SIZE bytes; some wait for what never comes."""
READING = {
    "read": [],
    "--hex": ["--hex"],
    "--text": ["--text"],
    "--json": ["--json"],
    "--json --text": ["--json", "--text"],
    "--lock": ["--lock", "--raw"],
    "--type": ["--type", "int64", "-o", "8192"],
    "--type, many": ["--type", "int32", "-c", str(SIZE // 4)],
    "--type across pages": ["--type", "int64", "-o", str(PAGE - 3)],
    "--struct": ["--struct", STRUCT],
    "--struct --json": ["--struct", STRUCT, "--json"],
    "--struct FIELD": ["--struct", STRUCT, "flag", "low", "values"],
}
WAITING = {
    "--type": ["--type", "int32", "-o", "8192", "== 1"],
    "--struct": ["--struct", STRUCT, "flag == 1", "low == 2"],
    "--changed": ["--changed"],
    "--changed, a part": ["--changed", "-o", "5000", "-n", "100"],
    "--spin": ["--spin", "--type", "int64", "-o", str(PAGE - 4), "== 1"],
}
OTHERS = [
    ["stat", "NAME"],
    ["ls", "NAME"],
    ["ls", "-o", "name,holders,verdict"],
    ["holders", "NAME"],
]


@pytest.fixture
def sparse(name: str) -> str:
    """An object of SIZE bytes that has two pages."""
    with path_of(name).open("wb") as file:
        for at in (0, SIZE // 2):
            file.seek(at)
            file.write(b"\x07" * 100)
        file.truncate(SIZE)
    assert path_of(name).stat().st_blocks == 2 * PAGE // 512
    return name


def blocks(name: str) -> int:
    return path_of(name).stat().st_blocks * 512 // PAGE


@pytest.mark.parametrize("options", READING.values(), ids=READING.keys())
def test_reading(sparse: str, options: list[str]) -> None:
    assert run_here(["read", sparse, *options]) == 0
    assert blocks(sparse) == 2


@pytest.mark.parametrize(
    "options", [["--hex"], ["--type", "int64", "-o", "8192"], ["--struct", STRUCT]], ids=str
)
def test_watching(sparse: str, options: list[str]) -> None:
    with started("read", sparse, *options, "--watch", "0.01") as process:
        for _ in range(50):
            process.line()
        process.signal(signal.SIGTERM)
        process.end()
    assert blocks(sparse) == 2


@pytest.mark.parametrize("options", WAITING.values(), ids=WAITING.keys())
def test_waiting(sparse: str, options: list[str]) -> None:
    assert run_here(["wait", sparse, *options, "--timeout", "0.3"]) == 124
    assert blocks(sparse) == 2


@pytest.mark.parametrize("words", OTHERS, ids=lambda words: words[0])
def test_other_looks(sparse: str, words: list[str]) -> None:
    assert run_here([sparse if word == "NAME" else word for word in words]) == 0
    assert blocks(sparse) == 2


def test_the_library(sparse: str) -> None:
    layout = shmctl.Struct(STRUCT)
    with shmctl.open(sparse) as box:
        assert len(box.read()) == SIZE
        for length in (1, 2, 4, 8, 100):
            assert box.read(3 * PAGE, length) == bytes(length)
        assert layout.read(box)["flag"] == 0
        assert layout.get(box, "flag") == layout.get(box, "values[3]") == layout.get(box, "low") == 0
        with pytest.raises(TimeoutError):
            shmctl.wait(sparse, "flag == 1", struct=layout, timeout=0.2)
        with pytest.raises(TimeoutError):
            shmctl.wait(sparse, "== 1", type="int64", offset=3 * PAGE, timeout=0.2)
    assert blocks(sparse) == 2


@pytest.mark.needs_root
def test_a_sparse_object_does_not_fill_a_small_dev_shm() -> None:
    result = in_tiny_shm(f"""
        truncate -s {SIZE} /dev/shm/x
        shmctl read /x --struct '{STRUCT}' flag; shmctl read /x --type int8 -c {SIZE // 4} | wc -l
        stat -c %b /dev/shm/x""")
    assert result == Result(0, f"0\n{SIZE // 4}\n0\n".encode(), b"")


@pytest.mark.parametrize("at", [8192, PAGE - 4], ids=["in a page", "across pages"])
@pytest.mark.parametrize("options", [[], ["--spin"]], ids=str)
def test_a_value_that_is_stored_in_a_hole_is_seen(name: str, at: int, options: list[str]) -> None:
    """What was a hole when the wait began is looked at where it stands, once it is there."""
    done("create", name, "-s", "1M")
    with started("wait", name, "--type", "int64", "-o", str(at), "== 72623859790382856", *options) as process:
        process.until_mapped(name)
        time.sleep(0.05)
        with path_of(name).open("r+b") as file:
            file.seek(at)
            file.write((72623859790382856).to_bytes(8, sys.byteorder))
        assert process.end() == Result(0, b"", b"")


# -- sparse copies

LAYOUTS: dict[str, list[tuple[int, int]]] = {
    "all a hole": [],
    "data in the middle": [(5 * PAGE, 3 * PAGE)],
    "data at the ends": [(0, 100), (SIZE - 100, 100)],
    "unaligned": [(PAGE + 5, 2 * PAGE), (100 * PAGE - 1, 2)],
    "much": [(PAGE, SIZE // 4), (SIZE // 2, SIZE // 4)],
}


def sparse_file(path: Path, layout: list[tuple[int, int]], size: int = SIZE) -> Path:
    with path.open("wb") as file:
        for at, length in layout:
            file.seek(at)
            file.write(os.urandom(length))
        file.truncate(size)
    return path


@pytest.fixture(params=list(LAYOUTS.values()), ids=list(LAYOUTS))
def source(request: pytest.FixtureRequest, name: str) -> Path:
    """A sparse file on the same file system as the objects: so blocks compare."""
    return sparse_file(path_of(f"{name}-source"), request.param)


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


WAYS_IN = {"--create": ["--create"], "--atomic": ["--create", "--atomic"], "--grow": ["--grow"], "fits": []}


@pytest.mark.parametrize("how", ["-i", "standard input"])
@pytest.mark.parametrize("options", WAYS_IN.values(), ids=WAYS_IN.keys())
def test_a_sparse_file_into_an_object(name: str, source: Path, options: list[str], how: str) -> None:
    if options == ["--grow"]:
        path_of(name).write_bytes(b"")
    elif not options:
        done("create", name, "-s", str(SIZE))
    if how == "-i":
        done("write", name, "-i", str(source), *options)
    else:
        with source.open("rb") as file:
            argv = shmctl_argv("write", name, *options)
            subprocess.run(argv, stdin=file, env=environment(), timeout=TIMEOUT, check=True)
    assert same(path_of(name), source)
    assert path_of(name).stat().st_blocks == source.stat().st_blocks


def test_a_sparse_file_over_what_is_there(name: str, source: Path) -> None:
    """Where the object had data it has zeros then, and keeps the memory, which may have been reserved."""
    path_of(name).write_bytes(b"\xaa" * SIZE)
    done("write", name, "-i", str(source))
    assert same(path_of(name), source)
    assert blocks(name) == SIZE // PAGE


def test_a_sparse_file_over_a_sparse_object(name: str, tmp_path: Path) -> None:
    """Data and holes of the two meet in every way; the object keeps what it had of memory."""
    pages = [(first, length) for first in range(40) for length in (1, 2, 3) if (first * 7 + length) % 9 == 0]
    source = sparse_file(path_of(f"{name}-source"), [(page * PAGE, size * PAGE) for page, size in pages])
    for step in (2, 3, 5):
        sparse_file(path_of(name), [(page * PAGE, 2 * PAGE + 9) for page in range(1, 48, step)])
        before = blocks(name)
        done("write", name, "-i", str(source))
        assert same(path_of(name), source)
        assert blocks(name) >= before


def test_a_part_of_a_sparse_file(name: str, tmp_path: Path) -> None:
    """From where standard input stands, and as much as --length says, at --offset."""
    source = sparse_file(tmp_path / "source", [(3 * PAGE, PAGE), (200 * PAGE, 5)])
    with source.open("rb", buffering=0) as file:
        file.seek(2 * PAGE)
        argv = shmctl_argv("write", name, "--create", "-o", "100", "-n", str(300 * PAGE))
        subprocess.run(argv, stdin=file, env=environment(), timeout=TIMEOUT, check=True)
    assert path_of(name).read_bytes() == bytes(100) + source.read_bytes()[2 * PAGE : 302 * PAGE]
    assert blocks(name) <= 4


def test_an_object_into_a_new_file(name: str, source: Path) -> None:
    source.rename(path_of(name))
    copy = path_of(f"{name}-copy")
    for options in ([], ["--raw"], ["--lock"]):
        with copy.open("wb") as file:
            argv = shmctl_argv("read", name, *options)
            subprocess.run(argv, stdout=file, env=environment(), timeout=TIMEOUT, check=True)
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == SIZE
        assert same(copy, path_of(name))
        assert copy.stat().st_blocks == path_of(name).stat().st_blocks


def test_an_object_into_a_file_that_has_something(name: str, source: Path, tmp_path: Path) -> None:
    """Behind it and over it: what stood there shows nowhere in the copy."""
    source.rename(path_of(name))
    content = path_of(name).read_bytes()
    script = " ".join(f"'{word!s}'" for word in shmctl_argv("read", name))
    results = {
        f"(printf abc; {script}; {script} -n 5000000) > $F": b"abc" + content * 2,
        f"printf abc > $F; {script} >> $F": b"abc" + content,
        f"head -c 6000000 /dev/zero | tr '\\0' x > $F; {script} 1<> $F": content + b"x" * (6000000 - SIZE),
        f"{script} | cat > $F": content,
    }
    for line, expected in results.items():
        file = tmp_path / "copy"
        file.unlink(missing_ok=True)
        assert run_command(["sh", "-c", line], env={"F": str(file)}) == Result(0, b"", b""), line
        assert file.read_bytes() == expected, line


@pytest.mark.needs_root
@pytest.mark.parametrize("options", ["", "--grow", "--create", "--create --atomic"])
def test_a_sparse_file_that_is_too_much(options: str) -> None:
    """Nothing is stored, nothing is lost and nothing stays allocated."""
    result = in_tiny_shm(f"""
        f=/var/tmp/$$; truncate -s 8M $f
        for at in 1 3 5; do dd if=/dev/urandom of=$f bs=1M seek=$at count=1 conv=notrunc status=none; done
        printf content > /dev/shm/x; truncate -s {"8M" if not options else "7"} /dev/shm/x
        shmctl write {"/y" if "--create" in options else "/x"} -i $f {options}; echo status=$?; rm $f
        ls -A /dev/shm; stat -c '%s %b' /dev/shm/x; head -c 7 /dev/shm/x""")
    assert result.text == f"status=1\nx\n{7 if options else 8 << 20} 8\ncontent", result
    assert "No space left on /dev/shm (ENOSPC)" in result.errors
