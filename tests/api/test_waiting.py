"""Waiting, locks and semaphores between real processes and between threads."""

import copy
import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import shmctl
from tests.api.programs import python, run_python
from tests.support import done, path_of

JOB = "int data; int new_data;"
SQUARE = f"""
import shmctl, sys
job = shmctl.Struct({JOB!r})
while True:
    shmctl.wait(sys.argv[1], "new_data == 1", struct=job, timeout=30)
    with shmctl.open(sys.argv[1], writable=True) as box:
        data = job.get(box, "data")
        job.write(box, data=data * data, new_data=2)
    if not data:
        break
"""


def test_two_processes_in_step(name: str) -> None:
    job = shmctl.Struct(JOB)
    with subprocess.Popen([sys.executable, "-c", SQUARE, name]) as process:
        try:
            answers = []
            with shmctl.create(name, size=job.size) as box:
                for number in (3, -4, 0):
                    job.write(box, data=number, new_data=1)
                    answers += shmctl.wait(name, "new_data == 2", "data >= 0", struct=job, timeout=30)
            assert answers == [2, 9, 2, 16, 2, 0]
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_scalar_conditions(name: str) -> None:
    with shmctl.create(name, size=16) as box:
        box.write((300).to_bytes(4, "little"), offset=4)
        assert shmctl.wait(name, "> 299", "& 0x4", type="int32", offset=4, timeout=30) == [300, 300]
        with pytest.raises(TimeoutError) as caught:
            shmctl.wait(name, "== 1", type="int32", timeout=0.05)
        assert isinstance(caught.value, shmctl.ShmError)
        assert "timed out after 0.05 s" in str(caught.value)


def test_what_becomes_of_the_object(name: str) -> None:
    def later(action: object) -> threading.Thread:
        thread = threading.Timer(0.05, action)  # type: ignore[arg-type]
        thread.start()
        return thread

    timer = later(lambda: shmctl.create(name, size=8).close())
    assert shmctl.wait(name, timeout=30) == []
    timer.join()
    shmctl.wait(name, until="unused", timeout=30)
    timer = later(lambda: done("write", name, "x"))
    shmctl.wait(name, until="changed", timeout=30)
    timer.join()
    with shmctl.open(name), pytest.raises(TimeoutError):
        shmctl.wait(name, until="unused", timeout=0.05)
    timer = later(lambda: shmctl.unlink(name))
    shmctl.wait(name, until="gone", timeout=30)
    timer.join()


def test_waits_that_make_no_sense(name: str) -> None:
    struct = shmctl.Struct("int x;")
    calls: tuple[Callable[[], object], ...] = (
        lambda: shmctl.wait(name, "== 1"),
        lambda: shmctl.wait(name, type="int32"),
        lambda: shmctl.wait(name, struct=struct),
        lambda: shmctl.wait(name, "x == 1", struct=struct, type="int32"),
        lambda: shmctl.wait(name, "y == 1", struct=struct),
        lambda: shmctl.wait(name, "== 1", type="nothing"),
        lambda: shmctl.wait(name, "x == 1", struct=struct, until="gone"),
        lambda: shmctl.wait(name, until="never"),  # type: ignore[arg-type]
        lambda: shmctl.wait(name, until="gone", length=3),
        lambda: shmctl.wait(name, offset=3),
        lambda: shmctl.wait(name, "== 1", type="int8", offset=-1),
    )
    for call in calls:
        with pytest.raises(ValueError):
            call()


def test_sentences_in_the_words_of_the_library(name: str) -> None:
    with pytest.raises(ValueError, match=r"^until='gone' takes no condition$"):
        shmctl.wait(name, "== 1", type="int", until="gone")
    with pytest.raises(ValueError, match=r"^a condition needs type or struct$"):
        shmctl.wait(name, "== 1")
    with pytest.raises(ValueError, match=r"^length goes with until='changed'$"):
        shmctl.wait(name, length=0)


# Durations

ENDLESS = [float("inf"), 1e10, 1e20, 1e300, 2**2000]


@pytest.mark.parametrize("timeout", ENDLESS, ids=str)
def test_the_longest_timeouts_wait(name: str, timeout: float) -> None:
    """What comes a moment later still ends them."""

    def soon(action: Callable[[], object]) -> threading.Timer:
        timer = threading.Timer(0.05, action)
        timer.start()
        return timer

    def store() -> None:
        with shmctl.open(name, writable=True) as box:
            box.write(b"1")

    timer = soon(lambda: shmctl.create(name, size=8).close())
    shmctl.wait(name, timeout=timeout, interval=timeout)
    timer.join()
    timer = soon(store)
    assert shmctl.wait(name, f"== {ord('1')}", type="int8", timeout=timeout) == [ord("1")]
    timer.join()
    held = shmctl.lock(name)
    held.__enter__()
    timer = soon(lambda: held.__exit__(None, None, None))
    with shmctl.lock(name, timeout=timeout):
        timer.join()
    semaphore = shmctl.Semaphore.create(name)
    timer = soon(semaphore.post)
    semaphore.wait(timeout)
    timer.join()
    assert shmctl.leaks(name, min_age=timeout)[0].verdict == "kept"


def test_no_number_is_no_duration(name: str) -> None:
    """Comparisons with NaN are false: a wait would never end, and every object be old enough to go."""
    shmctl.create(name, size=8).close()
    semaphore = shmctl.Semaphore.create(name)
    nan = float("nan")
    for call in (
        lambda: shmctl.wait(name + "-", timeout=nan),
        lambda: shmctl.wait(name, interval=nan),
        lambda: shmctl.lock(name, timeout=nan).__enter__(),
        lambda: semaphore.wait(nan),
        lambda: shmctl.leaks(name, min_age=nan),
    ):
        with pytest.raises(ValueError, match="not a number"):
            call()


@pytest.mark.parametrize("timeout", [0, -1, float("-inf")])
def test_a_time_that_is_up_allows_one_look(name: str, timeout: float) -> None:
    shmctl.create(name, size=8).close()
    semaphore = shmctl.Semaphore.create(name, 1)
    shmctl.wait(name, "== 0", type="int8", timeout=timeout)
    with shmctl.lock(name, timeout=timeout):
        semaphore.wait(timeout)
    for call in (
        lambda: shmctl.wait(name + "-", timeout=timeout),
        lambda: shmctl.wait(name, "== 1", type="int8", timeout=timeout),
        lambda: semaphore.wait(timeout),
    ):
        with pytest.raises(TimeoutError, match="timed out after 0 s"):
            call()


# Locks


def test_a_lock_keeps_threads_and_processes_apart(name: str) -> None:
    with shmctl.create(name, size=8) as box:
        add = f"""
import shmctl, sys
with shmctl.open({name!r}, writable=True) as box:
    for _ in range(100):
        with shmctl.lock({name!r}):
            box.write((int.from_bytes(box.read(), "little") + 1).to_bytes(8, "little"))
"""
        processes = [subprocess.Popen([sys.executable, "-c", add]) for _ in range(2)]
        threads = [threading.Thread(target=exec, args=(add, {})) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [process.wait(60) for process in processes] == [0, 0]
        assert int.from_bytes(box.read(), "little") == 400


def test_a_lock_is_the_one_of_the_command(name: str) -> None:
    shmctl.create(name, size=8).close()
    with shmctl.lock(name):
        with pytest.raises(TimeoutError), shmctl.lock(name, timeout=0):
            raise AssertionError
        with pytest.raises(TimeoutError), shmctl.lock(name, shared=True, timeout=0.02):
            raise AssertionError
    with shmctl.lock(name, shared=True), shmctl.lock(name, shared=True, timeout=0):
        pass
    assert done("lock", "--nonblock", name, "--", "echo", "free") == "free\n"


def test_a_lock_goes_with_the_body(name: str) -> None:
    shmctl.create(name, size=8).close()
    with pytest.raises(ZeroDivisionError), shmctl.lock(name):
        raise ZeroDivisionError
    with shmctl.lock(name, timeout=0):
        pass


# Semaphores


def test_a_semaphore_is_the_one_of_the_command(name: str) -> None:
    semaphore = shmctl.Semaphore.create(name, 2, mode=0o600)
    assert done("sem", "value", name) == "2\n"
    with semaphore:
        assert semaphore.value == 1
    done("sem", "post", name)
    assert shmctl.Semaphore(name.encode()).value == 3
    assert (semaphore.name, semaphore.closed) == (name, False)
    semaphore.unlink()
    assert not path_of("/sem." + name[1:]).exists()
    with pytest.raises(FileNotFoundError):
        shmctl.Semaphore(name)


def test_a_semaphore_that_exists(name: str) -> None:
    shmctl.Semaphore.create(name, 1)
    with pytest.raises(FileExistsError):
        shmctl.Semaphore.create(name)
    assert shmctl.Semaphore.create(name, 5, exist_ok=True).value == 1
    for value in (-1, 2**31):
        with pytest.raises(ValueError):
            shmctl.Semaphore.create(name, value, exist_ok=True)


def test_a_semaphore_is_waited_for(name: str) -> None:
    semaphore = shmctl.Semaphore.create(name)
    for timeout in (0, 0.05, -1):
        with pytest.raises(TimeoutError) as caught:
            semaphore.wait(timeout)
        assert isinstance(caught.value, shmctl.ShmError)
        assert caught.value.errno == errno.ETIMEDOUT
    post = f"import shmctl; shmctl.Semaphore({name!r}).post()"
    with subprocess.Popen([sys.executable, "-c", post]):
        semaphore.wait(30)
    assert semaphore.value == 0


def test_ctrl_c_ends_a_wait(name: str) -> None:
    shmctl.Semaphore.create(name)
    shmctl.create(name, size=8).close()
    source = """
import os, shmctl, signal, sys, threading
name, what = sys.argv[1:]
shmctl.wait(name, "== 0", type="int8")  # loads modules: a signal in an import leaves a file open
threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    if what == "semaphore":
        shmctl.Semaphore(name).wait(30)
    elif what == "value":
        shmctl.wait(name, "== 1", type="int8", timeout=30)
    elif what == "lock":
        with shmctl.lock(name), shmctl.lock(name):
            pass
    else:
        shmctl.wait(name + "-other", timeout=30)
except KeyboardInterrupt:
    print("interrupted")
"""
    for what in ("semaphore", "value", "lock", "name"):
        assert python(source, name, what) == "interrupted\n", what


def test_a_semaphore_closes(name: str) -> None:
    semaphore = shmctl.Semaphore.create(name, 1)
    semaphore.close()
    semaphore.close()
    assert semaphore.closed
    for call in (semaphore.post, semaphore.wait, lambda: semaphore.value, semaphore.__enter__):
        with pytest.raises(ValueError, match="it is closed"):
            call()
    assert ("sem." + name[1:]) not in Path("/proc/self/maps").read_text()
    forgotten = shmctl.Semaphore(name)
    assert ("sem." + name[1:]) in Path("/proc/self/maps").read_text()
    del forgotten
    assert ("sem." + name[1:]) not in Path("/proc/self/maps").read_text()


def test_a_semaphore_is_not_pickled(name: str) -> None:
    semaphore = shmctl.Semaphore.create(name)
    for refused in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            refused(semaphore)


def test_a_semaphore_in_a_forked_child(name: str) -> None:
    source = """
import os, shmctl, sys
semaphore = shmctl.Semaphore.create(sys.argv[1])
pid = os.fork()
if pid == 0:
    semaphore.post()
    sys.exit()
semaphore.wait(30)
print(os.waitpid(pid, 0)[1], semaphore.value)
"""
    assert python(source, name) == "0 0\n"


def test_waiting_for_a_semaphore_hides_no_fault_elsewhere(name: str) -> None:
    """Another thread's SIGBUS has to kill: were it survived, its data would be lost in silence."""
    source = """
import shmctl, sys, threading, time
name = sys.argv[1]
semaphore = shmctl.Semaphore.create(name)
box = shmctl.create(name, 8192)
view = box.buffer
threading.Thread(target=semaphore.wait, args=(30,), daemon=True).start()
time.sleep(0.1)
box2 = shmctl.open(name, writable=True)
box2.resize(0)
view[4096]
"""
    assert run_python(source, name, options=("-W", "ignore")).status == -signal.SIGBUS


@pytest.mark.parametrize("tail", ["", "-\n ü"])
def test_a_semaphore_cut_short_is_an_error(name: str, tail: str) -> None:
    name += tail
    semaphore = shmctl.Semaphore.create(name)
    os.truncate(path_of("/sem." + name[1:]), 0)
    with pytest.raises(shmctl.ShmError, match="its file was shrunk"):
        semaphore.post()
    assert semaphore.closed
    with pytest.raises(shmctl.ShmError, match="too small"):
        shmctl.Semaphore(name)


def test_an_interval_is_kept(name: str) -> None:
    """A sleeping wait costs little of the processor, a spinning one most of its time."""
    shmctl.create(name, size=8).close()
    spent = {}
    for spin in (False, True):
        before = time.thread_time()
        with pytest.raises(TimeoutError):
            shmctl.wait(name, "== 1", type="int8", timeout=0.3, interval=0.02, spin=spin)
        spent[spin] = time.thread_time() - before
    assert spent[False] < spent[True]
