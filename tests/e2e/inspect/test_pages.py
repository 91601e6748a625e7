"""stat --pages: where an object's bytes are, without taking any memory for the answer."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shmctl.core import posix, transfer
from shmctl.core.inspect import pages
from shmctl.core.names import Name
from shmctl.core.objects.describe import describe
from tests.support import (
    as_nobody,
    compile_c,
    in_tiny_shm,
    on_pty,
    path_of,
    python_for_all,
    run,
    run_command,
    shmctl_argv,
)

PAGE = 4096
MIB = 1 << 20
# Maps all of the file argv[1], stores into the first argv[2] pages, says so, and ends with its input.
MAPPER = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    struct stat st;
    int fd = open(argv[1], O_RDWR);
    if (argc != 3 || fd < 0 || fstat(fd, &st)) return 3;
    volatile char *p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return 3;
    for (long i = 0; i < atol(argv[2]); i++) p[i * 4096] = 1;
    if (write(1, "x", 1) != 1) return 3;
    return read(0, (char[1]){0}, 1) < 0;
}
"""


@pytest.fixture(scope="module")
def mapper(tmp_path_factory: pytest.TempPathFactory) -> str:
    return compile_c(MAPPER, tmp_path_factory.mktemp("mapper"))


@contextmanager
def mapped(mapper: str, name: str, count: int) -> Iterator[int]:
    argv = [mapper, str(path_of(name)), str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.read(1) == b"x"
        yield process.pid
        assert process.stdin
        process.stdin.close()


def looked_at(name: str) -> dict[str, Any]:
    """The record, which took nothing."""
    before = path_of(name).stat()
    result = run("stat", "--pages", "--json", name)
    after = path_of(name).stat()
    assert (after.st_blocks, after.st_mtime_ns) == (before.st_blocks, before.st_mtime_ns)
    assert result.status == 0, result
    (record,) = json.loads(result.out)
    assert isinstance(record["pages"], dict)
    return record["pages"]


def test_data_holes_and_reserved(name: str) -> None:
    with path_of(name).open("wb") as file:
        file.write(b"x" * MIB)
        os.pwrite(file.fileno(), b"x" * 100, 6 * MIB)
        os.ftruncate(file.fileno(), 12 * MIB)
        os.posix_fallocate(file.fileno(), 8 * MIB, MIB)
    found = looked_at(name)
    assert found["extents"] == [{"offset": 0, "length": MIB}, {"offset": 6 * MIB, "length": PAGE}]
    assert (found["extents_complete"], found["data"]) == (True, MIB + PAGE)
    assert (found["holes"], found["reserved"]) == (11 * MIB - PAGE, MIB)
    assert (found["page_cache"], found["swap"]) == (2 * MIB + PAGE, 0)
    assert found["map"] == "#####" + "." * 25 + "+" + "." * 29
    assert found["mapped_by"] == [] and "no process" in found["unknown"][-1]
    shown = run("stat", "--pages", name).text.splitlines()
    assert f"data        {MIB + PAGE} (1.1M) in 2 extents" in shown
    assert f"map         {found['map']}" in shown


@pytest.mark.parametrize("size", [0, 1, 2**63 - 1])
def test_any_size(name: str, size: int) -> None:
    """The largest is larger than any address space."""
    path_of(name).touch()
    os.truncate(path_of(name), size)
    if size:
        with path_of(name).open("r+b") as file:
            os.pwrite(file.fileno(), b"x", size // 7)
    found = looked_at(name)
    expected = min(size, PAGE)
    assert (found["data"], found["holes"], found["reserved"]) == (expected, size - expected, 0)
    assert (found["page_cache"], found["swap"]) == (PAGE if size else 0, 0)
    assert found["map"] == {0: None, 1: "#" * 60}.get(size, "." * 8 + "+" + "." * 51)


def test_more_extents_than_are_listed(name: str) -> None:
    with path_of(name).open("wb") as file:
        for number in range(pages.MOST_EXTENTS + 10):
            os.pwrite(file.fileno(), b"x", number * 2 * PAGE)
    found = looked_at(name)
    assert (len(found["extents"]), found["extents_complete"]) == (pages.MOST_EXTENTS, False)
    assert (found["data"], found["holes"], found["reserved"]) == (None, None, None)
    assert found["map"] == "+" * 60
    assert found["unknown"][0] == f"extents: there are more than {pages.MOST_EXTENTS}"


def test_a_huge_object_is_not_gone_through(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path_of(name).write_bytes(b"x" * MIB)
    os.truncate(path_of(name), 3 * MIB)
    monkeypatch.setattr(pages, "_MOST_PAGED", MIB - 1)
    monkeypatch.setattr(transfer, "seek_hole", None)
    monkeypatch.setattr(posix, "cachestat", None)
    found = pages.find_pages(describe(Name(name.encode())), [])
    assert (found.extents, found.complete, found.cached, found.swapped) == ([], False, MIB, 0)
    assert found.map == "#" * 20 + "." * 40


def test_what_a_holder_has_mapped(name: str, mapper: str) -> None:
    path_of(name).touch()
    os.truncate(path_of(name), MIB)
    with mapped(mapper, name, 10) as pid, mapped(mapper, name, 0) as idle:
        found = {each.pop("pid"): each for each in looked_at(name)["mapped_by"]}
        shown = run("stat", "--pages", name).text
    nodes = found[pid].pop("nodes")
    assert sum(nodes.values()) == 10 * PAGE
    assert found[pid] == {"command": "program", "resident": 10 * PAGE, "dirty": 10 * PAGE, "huge": 0}
    assert found[idle] == {"command": "program", "resident": 0, "dirty": 0, "huge": 0, "nodes": {}}
    assert f"{pid} program: 40960 (40K) resident, 40960 (40K) dirty, 0 huge, 40960 (40K) on node" in shown


@pytest.mark.needs_root
def test_huge_pages(mapper: str, tmp_path: Path) -> None:
    """Where the file system is mounted to have them."""
    script = f"""
        mount -o remount,huge=always /dev/shm
        truncate -s 2M /dev/shm/huge
        coproc MAPPER {{ {mapper} /dev/shm/huge 1; }}
        read -r -n 1 -u "${{MAPPER[0]}}"
        shmctl stat --pages --json /huge 2> {tmp_path}/errors
        stat -c %b /dev/shm/huge
    """
    result = in_tiny_shm(script, size="16m")
    record, blocks = result.text.rsplit("]", 1)
    (found,) = (each["pages"] for each in json.loads(record + "]"))
    assert (found["mapped_by"][0]["huge"], found["page_cache"]) == (2 * MIB, 2 * MIB), result
    assert int(blocks) * 512 == 2 * MIB


@pytest.mark.needs_root
@pytest.mark.alone
def test_swap(name: str, tmp_path: Path) -> None:
    """Half an object is driven out; a reader, who may not ask cachestat(2), is told the same."""
    swap = tmp_path / "swap"
    swap.write_bytes(bytes(16 * MIB))
    swap.chmod(0o600)
    subprocess.run(["mkswap", str(swap)], check=True, capture_output=True)
    path_of(name).write_bytes(b"x" * MIB)
    path_of(name).chmod(0o644)
    drive_out = f"""if True:
        import mmap, os
        with mmap.mmap(os.open("{path_of(name)}", os.O_RDWR), {MIB}) as m:
            sum(m[::{PAGE}])
            m.madvise(21, 0, {MIB // 2})  # MADV_PAGEOUT
    """
    subprocess.run(["swapon", str(swap)], check=True)
    try:
        subprocess.run([sys.executable, "-c", drive_out], check=True)
        found = looked_at(name)
        assert (found["page_cache"], found["swap"], found["data"]) == (MIB // 2, MIB // 2, MIB)
        assert sum(each["bytes"] for each in found["charged"]) == MIB // 2
        argv = as_nobody(shmctl_argv("stat", "--pages", "--json", name, python=python_for_all()))
        (record,) = json.loads(run_command(argv).out)
        assert (record["pages"]["page_cache"], record["pages"]["swap"]) == (MIB // 2, MIB // 2)
    finally:
        subprocess.run(["swapoff", str(swap)], check=True)


@pytest.mark.needs_root
def test_an_object_that_may_not_be_read(name: str) -> None:
    """What fstat(2) tells is shown, and why the rest is not."""
    path_of(name).write_bytes(b"x")
    path_of(name).chmod(0o600)
    argv = as_nobody(shmctl_argv("stat", "--pages", name, python=python_for_all()))
    result = run_command(argv)
    assert result.status == 0
    assert "data, holes, page cache, swap: Permission denied (EACCES)" in result.text


def test_the_bar_on_a_terminal(name: str) -> None:
    path_of(name).write_bytes(b"x" * MIB)
    os.truncate(path_of(name), 2 * MIB)
    shown = on_pty("stat", "--pages", name).out.decode()
    assert "█" * 30 + "░" * 30 in shown
    assert max(map(len, shown.splitlines())) < 120


def test_an_object_that_flickers(name: str) -> None:
    """Another process shrinks and grows it: an answer each time, never an error of ours."""
    path_of(name).touch()
    stop = threading.Event()

    def flicker() -> None:
        fd = os.open(path_of(name), os.O_RDWR)
        while not stop.is_set():
            os.ftruncate(fd, 64 * PAGE)
            os.pwrite(fd, b"x" * PAGE, 9 * PAGE)
            os.ftruncate(fd, 0)
        os.close(fd)

    thread = threading.Thread(target=flicker)
    thread.start()
    try:
        for _ in range(300):
            found = pages.find_pages(describe(Name(name.encode())), [])
            assert found.data is None or 0 <= found.data <= found.size
    finally:
        stop.set()
        thread.join()
