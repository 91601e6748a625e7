"""What the kernel tells of processes."""

import socket
import struct
import subprocess
import threading

import pytest

from shmctl.core import procevents

pytestmark = pytest.mark.needs_root


def messages(listener: socket.socket) -> list[bytes]:
    """All that is pending, as it came."""
    found = []
    while True:
        try:
            found.append(listener.recv(256))
        except BlockingIOError:
            return found


def test_threads_wake_nobody() -> None:
    """A host has many more threads that start and end than processes."""
    with procevents.open_listener() as listener:
        threads = [threading.Thread(target=int) for _ in range(20)]
        for thread in threads:
            thread.start()
            thread.join()
        with subprocess.Popen(["true"]) as process:
            pass
        came = messages(listener)
    assert any(struct.pack("=I", process.pid) in each for each in came)
    ids = [struct.pack("=I", thread.native_id or 0) for thread in threads]
    assert not any(each in message for message in came for each in ids)


def test_a_process_is_forked_runs_a_program_and_ends() -> None:
    with procevents.open_listener() as listener:
        with subprocess.Popen(["true"]) as process:
            pass
        came = [event.change for event in procevents.read_events(listener) if event.pid == process.pid]
    assert came == [procevents.Change.FORK, procevents.Change.EXEC, procevents.Change.EXIT]
