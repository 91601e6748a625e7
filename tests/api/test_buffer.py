"""The memory itself, as memoryview and numpy see it, and when it may be closed."""

import signal
import sys
from pathlib import Path

import numpy
import pytest

import shmctl
from tests.api.programs import run_python
from tests.support import done, in_tiny_shm, path_of, python_for_all


def test_a_store_in_the_buffer_is_there_at_once(name: str) -> None:
    with shmctl.create(name, size=16) as box:
        box.buffer[3:6] = b"abc"
        assert path_of(name).read_bytes() == b"\0\0\0abc" + bytes(10)
        done("write", name, "--offset", "0", "from outside")
        assert bytes(box.buffer[:12]) == b"from outside"
        assert (box.buffer.nbytes, box.buffer.readonly) == (16, False)


def test_numpy_sees_the_memory_and_not_a_copy(name: str) -> None:
    with shmctl.create(name, size=8 * 1000) as box, shmctl.open(name) as reader:
        array = numpy.frombuffer(box.buffer, dtype=numpy.float64)
        array[:] = numpy.arange(1000)
        seen = numpy.frombuffer(reader.buffer, dtype=numpy.float64)
        assert seen.sum() == 499500
        assert not seen.flags.writeable
        array *= 2
        assert seen[-1] == 1998
        assert numpy.frombuffer(box.read(8, 16), dtype=numpy.float64).tolist() == [2, 4]
        box.write(array[::-1].copy().data)
        assert seen[0] == 1998
        del array, seen


def test_the_object_is_a_buffer_where_python_can_say_so(name: str) -> None:
    with shmctl.create(name, size=8) as box:
        if sys.version_info < (3, 12):
            with pytest.raises(TypeError, match="bytes-like"):
                memoryview(box)  # type: ignore[arg-type]
        else:
            numpy.frombuffer(box, dtype=numpy.uint8)[0] = 7
            with memoryview(box) as view:
                assert view[0] == 7


def test_closing_waits_for_views(name: str) -> None:
    box = shmctl.create(name, size=16)
    array = numpy.frombuffer(box.buffer, dtype=numpy.int32)
    for refused in (box.close, lambda: box.resize(32)):
        with pytest.raises(BufferError, match="views of its buffer are in use"):
            refused()
    assert (box.closed, box.size) == (False, 16)
    array[0] = 5  # still mapped
    del array
    box.resize(32)
    assert box.buffer.nbytes == 32
    assert box.buffer[0] == 5
    view = box.buffer[4:8]
    with pytest.raises(BufferError):
        box.close()
    view.release()
    box.close()
    assert box.closed


def test_an_exception_is_not_hidden_by_views(name: str) -> None:
    array = None
    with pytest.raises(ZeroDivisionError), shmctl.create(name, size=16) as box:
        array = numpy.frombuffer(box.buffer, dtype=numpy.int32)
        raise ZeroDivisionError
    assert box.closed
    assert array is not None
    array[0] = 1  # mapped as long as it lives
    assert name in Path("/proc/self/maps").read_text()
    del array
    assert name not in Path("/proc/self/maps").read_text()


def test_the_buffer_has_the_size_of_the_moment(name: str) -> None:
    with shmctl.create(name) as box:
        assert box.buffer.nbytes == 0
        done("truncate", name, "--size", "100")
        first = box.buffer
        assert first.nbytes == 100
        done("truncate", name, "--size", "+10000")
        assert box.buffer.nbytes == 10100
        box.buffer[99] = 1
        assert first[99] == 1
        first.release()


def status_of_filling(size: str) -> int:
    script = f"""
import shmctl
with shmctl.create("/a", {size}) as box:
    for at in range(0, box.size, 4096):
        box.buffer[at] = 1
"""
    return in_tiny_shm(f"{python_for_all()} -c '{script}'\nexit $?").status


@pytest.mark.needs_root
def test_a_store_beyond_capacity_is_sigbus_as_documented() -> None:
    """And what is documented against it helps: ``reserve``, of which test_memory.py has the error."""
    assert status_of_filling("2 << 20") == 128 + signal.SIGBUS
    assert status_of_filling("1 << 19, reserve=True") == 0


def test_a_load_of_what_was_cut_off_is_sigbus_as_documented(name: str) -> None:
    script = f"""
import shmctl
box = shmctl.create({name!r}, 8192)
view = box.buffer
shmctl.open({name!r}, writable=True).resize(0)
try: box.read(4096, 8)
except shmctl.ShmError: pass
view[4096]
"""
    assert run_python(script, options=("-W", "ignore")).status == -signal.SIGBUS


def test_memory_is_given_back_at_the_end(name: str) -> None:
    with shmctl.create(name, size=8192) as box:
        shmctl.unlink(name)
        box.buffer[0] = 1
        assert box.stat().nlink == 0
        assert name in Path("/proc/self/maps").read_text()
    assert name not in Path("/proc/self/maps").read_text()
