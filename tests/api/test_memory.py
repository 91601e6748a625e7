"""Objects made, opened, read, written, resized and closed from Python."""

import copy
import errno
import gc
import os
import pickle
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

import shmctl
from tests.api.programs import python, run_python
from tests.support import (
    NOBODY,
    as_nobody,
    compile_c,
    done,
    in_tiny_shm,
    path_of,
    python_for_all,
    run_command,
)


def test_what_is_made_here_is_what_others_see(name: str) -> None:
    with shmctl.create(name, size=100, mode=0o640) as box:
        assert (box.name, box.size, box.writable, box.created) == (name, 100, True, True)
        assert box.read() == bytes(100)
        box.write(b"hello", offset=8)
    assert path_of(name).read_bytes() == bytes(8) + b"hello" + bytes(87)
    assert done("stat", "--format", "%s %a", name) == "100 640\n"


def test_an_existing_name_is_refused_or_opened(name: str) -> None:
    with shmctl.create(name, size=10, mode=0o644) as box:
        box.write(b"0123456789")
    with pytest.raises(FileExistsError) as caught:
        shmctl.create(name)
    assert isinstance(caught.value, shmctl.ShmError)
    assert (caught.value.errno, caught.value.call) == (errno.EEXIST, "shm_open")
    with shmctl.create(name, mode=0o600, exist_ok=True) as box:
        assert (box.created, box.size, box.stat().mode) == (False, 10, 0o644)
    with shmctl.create(name, size=12, exist_ok=True) as box:
        assert box.read() == b"0123456789\0\0"


def test_the_spellings_of_a_name(name: str) -> None:
    shmctl.create(name.removeprefix("/")).close()
    for spelling in (name, f"/dev/shm{name}", name.encode()):
        with shmctl.open(spelling) as box:
            assert box.name == name


def test_a_name_that_is_not_utf8(name: str) -> None:
    raw = name.encode() + b"-\xff \n"
    with shmctl.create(raw, size=3) as box:
        assert os.fsencode(box.name) == raw
    (info,) = shmctl.list(raw)
    assert os.fsencode(info.name) == raw
    shmctl.unlink(info.name)


@pytest.mark.parametrize("text", ["", "/", "/a/b", "a\0b", "x" * 256])
def test_names_that_cannot_be(text: str) -> None:
    for function in (shmctl.create, shmctl.open, shmctl.stat, shmctl.unlink, shmctl.holders):
        with pytest.raises(ValueError, match="invalid object name"):
            function(text)


def test_a_read_only_object(name: str) -> None:
    shmctl.create(name, size=16).close()
    with shmctl.open(name) as box:
        assert not box.writable
        for refused in (partial(box.write, b"x"), partial(box.write, bytes(16)), partial(box.resize, 1)):
            with pytest.raises(PermissionError, match="open for reading only"):
                refused()
        assert box.buffer.readonly
    assert path_of(name).read_bytes() == bytes(16)


def test_errors_are_also_what_python_raises(name: str) -> None:
    for function in (shmctl.open, shmctl.stat, shmctl.unlink, shmctl.holders):
        with pytest.raises(FileNotFoundError) as caught:
            function(name)
        assert isinstance(caught.value, shmctl.ShmError)
        again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - it is our own
        assert type(again) is type(caught.value)
        assert (str(again), again.name) == (str(caught.value), name.encode())


@pytest.mark.needs_root
def test_somebody_elses_object_is_a_permission_error(name: str) -> None:
    shmctl.create(name, size=1).close()
    source = f"import shmctl\ntry: shmctl.open({name!r})\nexcept PermissionError as e: print(e.symbol)"
    assert run_command(as_nobody([python_for_all(), "-c", source])).text == "EACCES\n"
    os.chown(path_of(name), NOBODY, NOBODY)
    assert shmctl.stat(name).owner == "nobody"


def test_planted_things_neither_block_nor_lead_elsewhere(name: str, tmp_path: Path) -> None:
    os.mkfifo(path_of(name))
    with pytest.raises(shmctl.ShmError, match="it is a FIFO"):
        shmctl.open(name)
    path_of(name).unlink()
    (tmp_path / "victim").write_text("untouched")
    path_of(name).symlink_to(tmp_path / "victim")
    with pytest.raises(shmctl.ShmError, match="it is a symbolic link"):
        shmctl.create(name, size=0, exist_ok=True)
    assert (tmp_path / "victim").read_text() == "untouched"


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9, 4096, 3 << 20])
def test_every_length_comes_back(name: str, length: int) -> None:
    data = os.urandom(length)
    with shmctl.create(name, size=length + 5) as box:
        box.write(data, offset=5)
        assert box.read(5, length) == data
        assert box.read() == bytes(5) + data


def test_what_takes_a_buffer_can_be_written(name: str) -> None:
    import array

    with shmctl.create(name, size=64) as box:
        box.write(array.array("d", [1.5, 2.5]))
        box.write(bytearray(b"abc"), offset=32)
        box.write(memoryview(b"0123456789")[::1], offset=40)
        box.write(b"", offset=64)
        assert box.read(0, 16) == array.array("d", [1.5, 2.5]).tobytes()
        assert box.read(32, 3) == b"abc"
        assert box.read(40, 10) == b"0123456789"
        with pytest.raises(TypeError):
            box.write("text")  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [5, 50])
def test_what_does_not_fit_stores_nothing(name: str, length: int) -> None:
    with shmctl.create(name, size=length) as box:
        with pytest.raises(shmctl.ShmError) as caught:
            box.write(b"x" * length, offset=1)
        assert caught.value.errno == errno.EFBIG
        with pytest.raises(shmctl.ShmError, match=f"it has {length} bytes"):
            box.read(1, length)
        with pytest.raises(shmctl.ShmError):
            box.read(length + 1)
        assert box.read() == bytes(length)
        assert box.read(length) == b""


def test_numbers_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="size -1"):
        shmctl.create(name, size=-1)
    with pytest.raises(ValueError, match="size"):
        shmctl.create(name, size=2**63)
    for size in (1.5, "1"):
        with pytest.raises(TypeError, match="as an integer"):
            shmctl.create(name, size)  # type: ignore[arg-type]
    assert not path_of(name).exists()
    with shmctl.create(name, size=4) as box:
        for call in (
            lambda: box.read(-1),
            lambda: box.read(0, -1),
            lambda: box.write(b"x", offset=-1),
            lambda: box.resize(-1),
            lambda: box.resize(2**63),
        ):
            with pytest.raises(ValueError, match="invalid"):
                call()
        with pytest.raises(shmctl.ShmError):
            box.write(b"xx", offset=2**63 - 1)


def test_resize(name: str) -> None:
    with shmctl.create(name, size=4) as box, shmctl.open(name) as other:
        box.write(b"1234")
        box.resize(8)
        assert other.read() == b"1234\0\0\0\0"
        box.resize(2)
        assert (other.size, other.read()) == (2, b"12")
        box.resize(1 << 20, reserve=True)
        assert box.stat().allocated >= 1 << 20


def test_a_closed_object_raises_value_error(name: str) -> None:
    box = shmctl.create(name, size=8)
    box.close()
    box.close()
    assert box.closed
    assert repr(box) == f"<shmctl.SharedMemory {name!r}, closed>"
    for call in (
        box.read,
        box.stat,
        box.fileno,
        box.__enter__,
        lambda: box.size,
        lambda: box.buffer,
        lambda: box.write(b"x"),
        lambda: box.resize(1),
        lambda: shmctl.Struct("int x;").read(box),
    ):
        with pytest.raises(ValueError, match="it is closed"):
            call()


def test_descriptors_are_closed(name: str) -> None:
    before = os.listdir("/proc/self/fd")
    with shmctl.create(name, size=8) as box:
        box.buffer[0] = 1
    for _ in range(3):
        with pytest.raises(FileExistsError):
            shmctl.create(name)
    shmctl.open(name).close()
    assert os.listdir("/proc/self/fd") == before


def test_descriptors_are_not_inherited(name: str) -> None:
    with shmctl.create(name) as box:
        assert not os.get_inheritable(box.fileno())


def test_an_object_that_is_forgotten_warns_and_closes(name: str) -> None:
    fd = shmctl.create(name, size=8).fileno  # keeps it alive
    number = fd()
    with pytest.warns(ResourceWarning, match=f"unclosed <shmctl.SharedMemory '{name}'"):
        del fd
        gc.collect()
    with pytest.raises(OSError):
        os.fstat(number)
    assert path_of(name).exists()


def test_a_body_that_raises_leaves_nothing_half_made(name: str) -> None:
    with pytest.raises(ZeroDivisionError), shmctl.create(name, size=8) as box:
        box.write(bytes([1 // box.read()[0]]))
    assert box.closed
    assert not path_of(name).exists()


def test_a_body_that_raises_leaves_what_was_there(name: str) -> None:
    shmctl.create(name, size=8).close()
    for opened in (partial(shmctl.create, name, exist_ok=True), partial(shmctl.open, name)):
        with pytest.raises(ZeroDivisionError), opened() as box:
            raise ZeroDivisionError
        assert box.closed
    assert path_of(name).exists()


def test_a_body_that_raises_leaves_somebody_elses_object(name: str) -> None:
    with pytest.raises(ZeroDivisionError), shmctl.create(name, size=8):
        shmctl.unlink(name)
        path_of(name).write_bytes(b"another")
        raise ZeroDivisionError
    assert path_of(name).read_bytes() == b"another"


def test_leaving_on_purpose_keeps_the_object(name: str) -> None:
    python("import shmctl, sys\nwith shmctl.create(sys.argv[1], 8): sys.exit()", name)
    assert path_of(name).exists()


def test_ctrl_c_in_the_body_removes_what_was_made(name: str) -> None:
    source = """
import os, shmctl, signal, sys
try:
    with shmctl.create(sys.argv[1], 8):
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""
    assert python(source, name) == "interrupted\n"
    assert not path_of(name).exists()


def test_signals_are_as_they_were(name: str) -> None:
    """Making an object holds signals back for a moment; what the program blocks stays its own affair."""
    with shmctl.create(name):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    assert signal.pthread_sigmask(signal.SIG_SETMASK, before) == before | {signal.SIGTERM}


def test_a_forked_child_shares_the_memory_and_removes_nothing(name: str) -> None:
    source = """
import os, shmctl, sys
with shmctl.create(sys.argv[1], 8) as box:
    if os.fork() == 0:
        box.write(b"child")
        raise SystemExit
    os.wait()
    if os.fork() == 0:
        sys.excepthook = lambda *_: None
        raise RuntimeError("in the child")
    os.wait()
    print(box.read())
"""
    assert python(source, name) == "b'child\\x00\\x00\\x00'\n"
    assert path_of(name).exists()


def test_threads(name: str) -> None:
    """Each thread has eight bytes of its own and counts in them, through one object."""
    with shmctl.create(name, size=8 * 8) as box:

        def count(slot: int) -> None:
            for _ in range(200):
                number = int.from_bytes(box.read(slot * 8, 8), "little")
                box.write((number + 1).to_bytes(8, "little"), offset=slot * 8)

        threads = [threading.Thread(target=count, args=(slot,)) for slot in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert box.buffer.cast("Q").tolist() == [200] * 8


def test_a_child_forked_while_threads_use_objects(name: str) -> None:
    """Whatever the threads were about, the child can go on: it waits for no lock of theirs."""
    source = """
import os, shmctl, signal, sys, threading
with shmctl.create(sys.argv[1], 8) as box:
    done = threading.Event()
    def work():
        while not done.is_set():
            box.read(0, 8)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    statuses = set()
    for _ in range(100):
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            box.write(box.read(0, 8))
            os._exit(0)
        statuses.add(os.waitpid(pid, 0)[1])
        if statuses != {0}:
            break
    done.set()
    for thread in threads:
        thread.join()
    print(statuses)
"""
    result = run_python(source, name, options=("-W", "ignore"))  # Python 3.12 warns of forks beside threads
    assert (result.text, result.errors) == ("{0}\n", "")


def test_pickling_and_copying_are_refused(name: str) -> None:
    with shmctl.create(name) as box:
        for refused in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="give its name"):
                refused(box)


def test_c_on_the_other_side(name: str, tmp_path: Path) -> None:
    double = """
    #include <fcntl.h>
    #include <stddef.h>
    #include <stdint.h>
    #include <sys/mman.h>
    int main(int argc, char **argv)
    {
        int fd = shm_open(argv[1], O_RDWR, 0);
        int64_t *numbers = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (numbers == MAP_FAILED) return 3;
        for (int i = 0; i < 512; i++) numbers[i] *= 2;
        return 0;
    }
    """
    with shmctl.create(name, size=4096) as box:
        box.write(b"".join(n.to_bytes(8, "little") for n in range(512)))
        assert run_command([compile_c(double, tmp_path), name]).status == 0
        assert box.buffer.cast("q").tolist() == [2 * n for n in range(512)]


SHRUNK = """
import shmctl, sys
box = shmctl.create(sys.argv[1], 1 << 20)
box.write(b"x" * (1 << 20))
with shmctl.open(sys.argv[1], writable=True) as other:
    other.resize(10)
for refused in (lambda: box.read(0, 8000), lambda: box.write(b"y", 8000), lambda: box.read(8000, 8)):
    try:
        refused()
    except shmctl.ShmError as error:
        print(error.symbol)
box.close()
"""


def test_an_object_shrunk_by_another_is_an_error(name: str) -> None:
    assert python(SHRUNK, name).split() == ["EINVAL", "EFBIG", "EINVAL"]


FULL = """
import errno, shmctl
def refused(action):
    try:
        action()
    except shmctl.ShmError as error:
        return error.symbol
print(refused(lambda: shmctl.create("/a", 2 << 20, reserve=True)), shmctl.list())
box = shmctl.create("/b", 2 << 20)
print(refused(lambda: box.write(bytes(2 << 20))))
print(refused(lambda: box.resize(3 << 20, reserve=True)), box.size)
box.resize(4096, reserve=True)
with shmctl.create("/c", (1 << 20) - 4096, reserve=True):
    pass
box.resize(8192)
print(refused(lambda: box.write(b"1", 4096)), box.read(4096, 4))
print(refused(lambda: box.write(bytes(4096), 4096)))
box.close()
"""


@pytest.mark.needs_root
def test_a_full_dev_shm_is_an_error() -> None:
    result = in_tiny_shm(f"exec {python_for_all()} -c '{FULL}'")
    assert result.text.splitlines() == [
        "ENOSPC []",
        "ENOSPC",
        f"ENOSPC {2 << 20}",
        "ENOSPC b'\\x00\\x00\\x00\\x00'",
        "ENOSPC",
    ], result


def test_it_runs_with_warnings_as_errors_in_development_mode(name: str) -> None:
    source = "import shmctl, sys\nwith shmctl.create(sys.argv[1], 8) as box: box.buffer[0] = 1"
    result = run_python(source, name, options=("-X", "dev"))
    assert (result.status, result.errors) == (0, "")
