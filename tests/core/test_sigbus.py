import os
import signal
import subprocess
import sys
import threading

import pytest

from shmctl.core import posix
from shmctl.core.errors import ShmError
from shmctl.core.names import parse_name
from shmctl.core.objects.mapping import Mapping
from shmctl.core.sigbus import BusGuard
from tests.support import path_of

BOTH = posix.PROT_READ | posix.PROT_WRITE


def test_every_fault_of_many_is_survived(name: str) -> None:
    with path_of(name).open("xb+", buffering=0) as file:
        for round_number in range(300):
            file.truncate(100)
            with Mapping(file.fileno(), 8, 8, BOTH, parse_name(name)) as mapping:
                mapping.store(0, round_number.to_bytes(8, sys.byteorder))
                assert mapping.load(0, 8) == round_number.to_bytes(8, sys.byteorder)
                file.truncate(0)
                with pytest.raises(ShmError, match="shrunk"):
                    mapping.load(0, 8)


def test_faults_in_several_threads_at_once(names: list[str]) -> None:
    problems: list[str] = []

    def shrink_and_read(name: str) -> None:
        with path_of(name).open("xb+", buffering=0) as file:
            for _ in range(100):
                file.truncate(5000)
                with Mapping(file.fileno(), 0, 5000, BOTH, parse_name(name)) as mapping:
                    mapping.store(4096, b"abc")
                    file.truncate(10)
                    try:
                        mapping.load(4096, 3)
                    except ShmError:
                        continue
                    problems.append(name)

    threads = [threading.Thread(target=shrink_and_read, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


@pytest.mark.parametrize("guarded", [True, False])
def test_a_fault_elsewhere_still_kills(name: str, guarded: bool) -> None:
    code = f"""
import ctypes, mmap, os
from shmctl.core.sigbus import BusGuard
fd = os.open("/dev/shm{name}", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 4096)
memory = mmap.mmap(fd, 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
os.ftruncate(fd, 0)
with BusGuard(address + (0 if {guarded} else 1 << 20), 4096) as guard:
    memory[0]
assert guard.tripped
"""
    status = subprocess.run([sys.executable, "-c", code], check=False).returncode
    assert status == (0 if guarded else -signal.SIGBUS)


def test_the_handler_that_was_there_before_comes_back(name: str) -> None:
    code = """
import faulthandler, os, signal
faulthandler.enable()
from shmctl.core.sigbus import BusGuard
with BusGuard(4096, 1):
    pass
os.kill(os.getpid(), signal.SIGBUS)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGBUS
    assert b"Fatal Python error: Bus error" in done.stderr


def test_a_guard_covers_whole_pages_and_no_more() -> None:
    guard = BusGuard(posix.PAGE_SIZE, 1)
    covered = [
        guard.covers(address) for address in (posix.PAGE_SIZE - 1, posix.PAGE_SIZE, 2 * posix.PAGE_SIZE)
    ]
    assert covered == [False, True, False]
    assert guard.covers(2 * posix.PAGE_SIZE - 1)


def test_aligned_scalars_never_tear(name: str) -> None:
    """A reader in another process sees only whole values while they are stored as fast as can be."""
    path_of(name).write_bytes(bytes(16))
    reader = f"""
import ctypes, mmap, os, sys
memory = mmap.mmap(os.open("/dev/shm{name}", os.O_RDWR), 16)
field = ctypes.c_uint32.from_buffer(memory, 8)
print(1, flush=True)
seen = set()
while 3 not in seen:
    seen.add(field.value)
print(*sorted(seen - {{0, 3, 0xFFFFFFFF, 0x01010101}}))
"""
    process = subprocess.Popen([sys.executable, "-c", reader], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    it = parse_name(name)
    fd = posix.shm_open(it, os.O_RDWR)
    with posix.closing(fd, it), Mapping(fd, 8, 4, BOTH, it) as mapping:
        for _ in range(20_000):
            mapping.store(0, b"\xff\xff\xff\xff")
            mapping.store(0, b"\x01\x01\x01\x01")
        mapping.store(0, (3).to_bytes(4, sys.byteorder))
    odd, _ = process.communicate(timeout=60)
    assert odd.split() == []
