"""Thousands of command lines that nobody would write, through the real error boundary.

None may end in a traceback, an internal error, a signal, a hang, or a status outside the table; messages
begin as messages do; what --json prints is JSON; no run leaves a descriptor open or takes much memory.

SHMCTL_FUZZ=100000 tries as many; they are the same ones each time, unless SHMCTL_FUZZ_SEED is a number.
"""

import os
import subprocess

import pytest

from tests.support import environment, python_for_all

pytestmark = [pytest.mark.needs_root, pytest.mark.long]
COUNT = int(os.environ.get("SHMCTL_FUZZ", "10000"))
SECONDS = 600 + COUNT // 10
START = f"""
import sys
sys.path.append({os.getcwd()!r})
from tests.fuzz.driver import main
sys.exit(main())
"""


def started(*args: str) -> "subprocess.Popen[str]":
    """The driver in a mount and a PID namespace of its own: nothing of the host can be reached from there."""
    enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"]
    script = 'mount -t tmpfs -o size=16m,mode=1777 tmpfs /dev/shm && exec "$@"'
    argv = [*enter, script, "sh", python_for_all(), "-c", START, *args]
    return subprocess.Popen(argv, cwd="/", stderr=subprocess.PIPE, text=True, env=environment())


def test_command_lines() -> None:
    """Half of them as root, half as user nobody, at the same time."""
    half = str(COUNT // 2)
    with started(half) as root, started(half, "nobody") as nobody:
        try:
            ended = [process.communicate(timeout=SECONDS)[1] for process in (root, nobody)]
        finally:
            root.kill()
            nobody.kill()
    assert [process.returncode for process in (root, nobody)] == [0, 0], "\n\n".join(ended)
    assert ended == [f"{half} command lines\n"] * 2
