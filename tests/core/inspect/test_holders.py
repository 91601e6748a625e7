"""Who holds what, going by /proc: both ways to look at mappings come to the same."""

import contextlib
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shmctl.core import proc
from shmctl.core.inspect.holders import Holder, find_holders, find_unlinked, scan_processes
from shmctl.core.names import parse_name
from shmctl.core.objects.describe import describe
from tests.support import path_of

PAGE = mmap.PAGESIZE

# Maps parts of sys.argv[1] as sys.argv[2] says, closing each descriptor, and stays until its input ends.
MAPPER = """
import ctypes, mmap, os, sys

libc_mmap = ctypes.CDLL(None).mmap
libc_mmap.restype = ctypes.c_void_p
libc_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]

def keep(prot, flags=mmap.MAP_SHARED, pages=1, at=0):
    fd = os.open(sys.argv[1], os.O_RDWR)
    address = libc_mmap(None, pages * mmap.PAGESIZE, prot, flags, fd, at * mmap.PAGESIZE)
    assert address != ctypes.c_void_p(-1).value
    os.close(fd)

exec(sys.argv[2])
print(flush=True)
sys.stdin.read()
"""


def base_name(pid: int, path: bytes) -> bytes:
    """As where a directory has all that its file system holds."""
    return b"/" + path.rpartition(b"/")[2]


@contextlib.contextmanager
def mapper(name: str, code: str) -> Iterator[int]:
    """A process that runs ``code``, in which keep() maps; its PID."""
    with subprocess.Popen(
        [sys.executable, "-c", MAPPER, str(path_of(name)), code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"\n"
        yield process.pid
        process.stdin.close()


READ, WRITE = "mmap.PROT_READ", "mmap.PROT_WRITE"
CASES = {
    "none": ("", "", 0),
    "read": (f"keep({READ})", "r", 1),
    "write": (f"keep({READ} | {WRITE})", "rw", 1),
    "write only": (f"keep({WRITE})", "w", 1),
    "neither": ("keep(0)", "", 1),
    "several, apart": (f"keep({READ}, at=0)\nkeep({READ} | {WRITE}, pages=2, at=4)", "rw", 3),
    "the same twice": (f"keep({READ})\nkeep({READ})", "r", 2),
    "private": (f"keep({READ}, mmap.MAP_PRIVATE)", "r", 1),
    "private and shared": (f"keep({READ}, mmap.MAP_PRIVATE)\nkeep({READ} | {WRITE}, at=2)", "rw", 2),
}


def holders(name: str) -> list[Holder]:
    return find_holders([describe(parse_name(name))]).holders


@pytest.mark.parametrize("case", CASES)
def test_mappings(name: str, case: str) -> None:
    code, access, pages = CASES[case]
    path_of(name).write_bytes(bytes(8 * PAGE))
    with mapper(name, code) as pid:
        found = holders(name)
        if pages:
            (holder,) = found
            assert (holder.pid, holder.mapped, holder.access) == (pid, pages * PAGE, access)
            assert (holder.fds, holder.uid) == ((), os.geteuid())
        else:
            assert found == []
    assert holders(name) == []


@pytest.fixture
def without_ioctl(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, an ioctl number is used that no kernel knows: ENOTTY, as older kernels answer."""
    return lambda: monkeypatch.setattr(proc, "_PROCMAP_QUERY", 0xC06866FE)


@pytest.fixture
def long_texts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, every process's mappings count as too many to read."""
    return lambda: monkeypatch.setattr(proc, "_SHORT", -1)


@pytest.mark.parametrize("case", CASES)
def test_ioctl_and_text_agree(
    name: str, case: str, long_texts: Callable[[], None], without_ioctl: Callable[[], None]
) -> None:
    """In all that they tell of a holder; where the kernel lacks the ioctl, all are the text."""
    code, _, pages = CASES[case]
    path_of(name).write_bytes(bytes(8 * PAGE))
    with mapper(name, code) as pid:
        read = holders(name)
        assert [each.pid for each in read] == ([pid] if pages else [])
        assert sum(each.mapped for each in read) == pages * PAGE
        long_texts()
        asked = holders(name)
        assert asked == read
        without_ioctl()
        assert holders(name) == read


@pytest.mark.parametrize("mappings", [10, 5000])
def test_few_and_many_mappings(name: str, mappings: int) -> None:
    """Of whatever else a process maps."""
    path_of(name).write_bytes(bytes((mappings + 1) * PAGE))
    more = f"""
for number in range({mappings}):
    keep({READ} if number % 2 else 0, at=number)
"""
    with mapper(name, more) as pid:
        assert [(each.pid, each.mapped) for each in holders(name)] == [(pid, mappings * PAGE)]


def test_names_that_look_like_other_columns(names: list[str]) -> None:
    """A device in a path takes nobody in, and two of them count one mapping once."""
    st = path_of("").stat()
    device = f" {os.major(st.st_dev):02x}:{os.minor(st.st_dev):02x} "
    odd = names[0] + f"{device}1 \r{device}"
    path_of(odd).write_bytes(bytes(PAGE))
    with mapper(odd, f"keep({READ})") as pid:
        found = scan_processes({st.st_dev, st.st_dev + 1}, {path_of(odd).stat().st_ino}).holders
        assert [(each.pid, each.mapped) for each in found] == [(pid, PAGE)]


def test_a_path_that_looks_like_a_line(name: str, tmp_path: Path, without_ioctl: Callable[[], None]) -> None:
    """Of a file elsewhere: it says nothing about the object that it names."""
    path_of(name).write_bytes(bytes(PAGE))
    st = path_of(name).stat()
    device = f"{os.major(st.st_dev):02x}:{os.minor(st.st_dev):02x}"
    odd = tmp_path / f"7f0000000000-7f0000001000 rw-s 00000000 {device} {st.st_ino} "
    odd.write_bytes(bytes(PAGE))
    without_ioctl()
    with mapper(name, f"sys.argv[1] = {str(odd)!r}\nkeep({READ})"):
        assert holders(name) == []


@pytest.mark.parametrize("odd", [" ", "\n", "\r", " (deleted)", "\\012", "\x1b[31m", "a" * 100])
def test_odd_names_in_the_text(name: str, odd: str, without_ioctl: Callable[[], None]) -> None:
    """What stands in the last column does not shift the others."""
    path_of(name + odd).write_bytes(bytes(PAGE))
    without_ioctl()
    with mapper(name + odd, f"keep({READ})") as pid:
        assert [(each.pid, each.access) for each in holders(name + odd)] == [(pid, "r")]


FDS = {
    "r": "fd = os.open(sys.argv[1], os.O_RDONLY)",
    "w": "fd = os.open(sys.argv[1], os.O_WRONLY)",
    "rw": "fd = os.open(sys.argv[1], os.O_RDWR)",
    "": "fd = os.open(sys.argv[1], os.O_PATH)",
}


@pytest.mark.parametrize("access", FDS)
def test_descriptors(name: str, access: str) -> None:
    path_of(name).write_bytes(b"x")
    with mapper(name, FDS[access]) as pid:
        found = holders(name)
        if access:
            (holder,) = found
            assert (holder.pid, holder.access, holder.mapped, len(holder.fds)) == (pid, access, 0, 1)
        else:
            assert found == [], "an O_PATH descriptor holds nothing"


def test_this_process_is_left_out(name: str) -> None:
    with open(path_of(name), "wb"):
        assert holders(name) == []


def test_only_the_devices_and_inodes_asked_for(names: list[str]) -> None:
    for name in names:
        path_of(name).write_bytes(bytes(PAGE))
    device = path_of(names[0]).stat().st_dev
    inodes = {name: path_of(name).stat().st_ino for name in names}
    with mapper(names[0], f"keep({READ})") as one, mapper(names[1], FDS["rw"]) as two:
        found = scan_processes({device}, {inodes[names[0]]}).holders
        assert [(each.pid, each.identity) for each in found] == [(one, (device, inodes[names[0]]))]
        everything = {each.pid: each.identity[1] for each in scan_processes({device}).holders}
        assert everything[one] == inodes[names[0]]
        assert everything[two] == inodes[names[1]]
        assert scan_processes({device + 1}, set(inodes.values())).holders == []
        assert scan_processes(set()).holders == []


def test_processes_that_come_and_go(name: str) -> None:
    """A process that ends in the middle is left out, and is no error."""
    path_of(name).write_bytes(bytes(PAGE))
    churn = "while :; do (:); (:); (:); done"
    with subprocess.Popen(["sh", "-c", churn]) as running, mapper(name, f"keep({READ})") as pid:
        try:
            for _ in range(30):
                assert pid in [each.pid for each in holders(name)]
        finally:
            running.kill()


def test_threads_are_one_process(name: str) -> None:
    path_of(name).write_bytes(bytes(PAGE))
    code = f"""
import threading
keep({READ})
for _ in "ab":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
    with mapper(name, code) as pid:
        assert [(each.pid, each.mapped) for each in holders(name)] == [(pid, PAGE)]


OWN_TABLES = """
import threading
opened = threading.Semaphore(0)
def open_alone(way):
    assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES
    os.open(sys.argv[1], way)
    opened.release()
    threading.Event().wait()
for way in (os.O_RDONLY, os.O_WRONLY):
    threading.Thread(target=open_alone, args=(way,), daemon=True).start()
    opened.acquire()
for _ in range(5):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


@pytest.mark.parametrize("kcmp", [True, False])
def test_threads_with_tables_of_their_own(name: str, kcmp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What both have open they have under one number; where kcmp(2) cannot be had, the numbers tell."""
    path_of(name).write_bytes(b"x")
    if not kcmp:
        monkeypatch.setattr(proc, "_KCMP", {})
    code = (
        OWN_TABLES
        if kcmp
        else OWN_TABLES.replace("os.open(sys", "[os.dup(1) for _ in range(way + 1)]\n    os.open(sys", 1)
    )
    with mapper(name, code) as pid:
        assert len(list(proc.threads(pid))) == 3
        (holder,) = holders(name)
        assert (holder.pid, holder.access) == (pid, "rw")


def test_threads_that_share_a_table_are_looked_at_once(name: str) -> None:
    code = """
import threading
for _ in range(20):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
    path_of(name).write_bytes(b"x")
    with mapper(name, code) as pid:
        assert proc.has_threads(pid)
        assert list(proc.threads(pid)) == [pid]


def test_threads_that_come_and_go(name: str) -> None:
    """None of them takes what the process holds out of sight."""
    code = f"""
import threading
keep({READ})
fd = os.open(sys.argv[1], os.O_RDONLY)
def churn():
    while True:
        thread = threading.Thread(target=ctypes.CDLL(None).unshare, args=(0x400,))
        thread.start()
        thread.join()
for _ in range(3):
    threading.Thread(target=churn, daemon=True).start()
"""
    path_of(name).write_bytes(bytes(PAGE))
    with mapper(name, code) as pid:
        for _ in range(200):
            (holder,) = holders(name)
            assert (holder.pid, holder.access, holder.mapped, len(holder.fds)) == (pid, "r", PAGE, 1)


def test_a_zombie_holds_nothing(name: str) -> None:
    path_of(name).write_bytes(b"x")
    with subprocess.Popen(["sh", "-c", f"exec 9<{path_of(name)}; exit 0"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        scan = find_holders([describe(parse_name(name))])
        assert scan.holders == []


def test_unlinked(names: list[str]) -> None:
    sizes = (3, 1, 2)
    for name, pages in zip(names, sizes, strict=True):
        path_of(name).write_bytes(bytes(pages * PAGE))
    device = path_of(names[0]).stat().st_dev
    inodes = [path_of(name).stat().st_ino for name in names]
    with mapper(names[0], FDS["r"]) as one, mapper(names[1], FDS["r"]) as two, mapper(names[2], FDS["r"]):
        for name in names[:2]:
            path_of(name).unlink()
        found = find_unlinked(scan_processes({device}), device, (), base_name)
        ours = [each for each in found if each.identity[1] in inodes]
        assert [each.identity for each in ours] == [(device, inodes[0]), (device, inodes[1])]
        assert [each.allocated for each in ours] == [3 * PAGE, PAGE], "the largest first"
        assert [each.name for each in ours] == [name.encode() for name in names[:2]]
        assert [[holder.pid for holder in each.holders] for each in ours] == [[one], [two]]


def test_an_object_of_which_one_name_is_left_is_not_unlinked(names: list[str]) -> None:
    """The descriptor's path says deleted; the object has a name all the same."""
    path_of(names[0]).write_bytes(bytes(PAGE))
    path_of(names[1]).hardlink_to(path_of(names[0]))
    st = path_of(names[0]).stat()
    with mapper(names[0], FDS["r"]):
        path_of(names[0]).unlink()
        found = find_unlinked(scan_processes({st.st_dev}), st.st_dev, (), base_name)
        assert st.st_ino not in {each.identity[1] for each in found}


def test_what_the_directory_has_is_not_unlinked(name: str) -> None:
    """Whatever its path looks like."""
    odd = name + " (deleted)"
    path_of(odd).write_bytes(bytes(PAGE))
    st = path_of(odd).stat()
    with mapper(odd, f"keep({READ})") as pid:
        for named in ({st.st_ino}, {1, st.st_ino}):
            found = find_unlinked(scan_processes({st.st_dev}), st.st_dev, named, base_name)
            assert st.st_ino not in {each.identity[1] for each in found}
        path_of(odd).unlink()
        found = find_unlinked(scan_processes({st.st_dev}), st.st_dev, {1}, base_name)
        (gone,) = [each for each in found if each.identity[1] == st.st_ino]
        assert (gone.name, [each.pid for each in gone.holders]) == (odd.encode(), [pid])
