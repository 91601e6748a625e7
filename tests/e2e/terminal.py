"""A real terminal to run shmctl on, that tests can type at and look at while it runs."""

import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Sequence
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import TIMEOUT, Result, environment, shmctl_argv

ESCAPE_SEQUENCE = re.compile(rb"\x1b\[[0-9;]*m")


def without_styles(shown: bytes) -> bytes:
    """What was shown, without the sequences that set colours and attributes, and with bare newlines."""
    return ESCAPE_SEQUENCE.sub(b"", shown).replace(b"\r\n", b"\n")


class Terminal:
    """A process whose standard streams are a terminal of ``columns``; ``shown`` is all that came so far."""

    def __init__(
        self, argv: Sequence[str | bytes], columns: int = 80, env: dict[str, str] | None = None
    ) -> None:
        self.shown = b""
        self.status: int | None = None
        # Without a pager, which would wait for keys where a test lists what other tests have made, too.
        wanted = environment({"TERM": "xterm-256color", "PAGER": "cat", **(env or {})})
        master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.login_tty(slave)
                # With an environment of its own: the readline library puts COLUMNS behind os.environ's back.
                os.execvpe(argv[0], list(argv), wanted)
            finally:
                os._exit(127)
        os.close(slave)
        self.master = master

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.status is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.master)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def until(self, pattern: bytes) -> bytes:
        """Wait until what was shown matches; returns it all."""
        while not re.search(pattern, self.shown):
            assert self._read(), f"it ended without showing {pattern!r}: {self.shown!r}"
        return self.shown

    def look(self, seconds: float) -> None:
        """Take in what is shown within that time, if anything."""
        if select.select([self.master], [], [], seconds)[0]:
            self._read()

    def wait_until_asleep(self) -> None:
        """Wait until the process waits for something."""
        deadline = time.monotonic() + TIMEOUT
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < deadline

    def end(self) -> Result:
        """Wait for the end; all that it showed."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return Result(self.status, self.shown, b"")

    def _read(self) -> bool:
        deadline = time.monotonic() + TIMEOUT
        while not select.select([self.master], [], [], 1)[0]:
            assert time.monotonic() < deadline, f"still running, having shown {self.shown!r}"
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: the last process has closed the terminal
            return False
        self.shown += data
        return bool(data)


def on_terminal(
    *args: str | bytes, columns: int = 80, keys: bytes = b"", env: dict[str, str] | None = None
) -> Result:
    """Run shmctl on a terminal to its end, with ``keys`` typed ahead."""
    with Terminal(shmctl_argv(*args), columns, env) as terminal:
        if keys:
            terminal.type(keys)
        return terminal.end()
