"""Page output that is longer than the screen, as git does."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from shutil import get_terminal_size, which
from types import FrameType
from typing import TYPE_CHECKING

from shmctl.core.rights import FIXED_PATH, is_on_behalf
from shmctl.render.output import Buffer, Output

if TYPE_CHECKING:
    from subprocess import Popen

_DEFAULT = "less"
_HARMLESS = ("LESS", "LESSCHARSET")
# Quit if it fits on one screen, show colours as such, leave the screen as it is at the end.
_LESS = "FRX"
_NOT_RUN = (126, 127)


@contextmanager
def paged(output: Output) -> Iterator[Output]:
    """An output to write to instead of ``output``; at the end a pager shows it, if it is too long.

    That is $PAGER, or less; none where TERM says that the terminal cannot move its cursor, or
    PAGER is empty or ``cat``, or is not there. The user may leave the pager at any time: nothing
    is an error then.

    With the rights of another user it is less alone, in its secure mode.
    """
    argv = _argv()
    if argv is None or output.stream is not sys.stdout:
        yield output
        return
    buffer = Buffer(output.stream)
    yield output._replace(stream=buffer)
    text = buffer.getvalue()
    if text.count("\n") < get_terminal_size().lines or not _show(argv, text):
        output.stream.write(text)


def _argv() -> list[str] | None:
    """What to run: a command for the shell, or on behalf of another user less itself."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return None
    command = os.environ.get("PAGER", _DEFAULT).strip()
    if is_on_behalf():
        less = which(_DEFAULT, path=FIXED_PATH) if command == _DEFAULT else None
        return [less] if less else None
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError):
        return None
    there = "=" in program or which(os.path.expanduser(program)) is not None
    return ["sh", "-c", command] if there and program != "cat" else None


def _environment() -> dict[str, str]:
    environment = {"LESS": _LESS, "LV": "-c", **os.environ}
    if not is_on_behalf():
        return environment
    # Without what starts programs, writes files, or takes its secure mode back (LESSOPEN, LESSKEY ...).
    kept = {k: v for k, v in environment.items() if not k.startswith("LESS") or k in _HARMLESS}
    return {**kept, "LESSSECURE": "1", "LESSHISTFILE": "-"}


def _show(argv: Sequence[str], text: str) -> bool:
    """Run the pager until the user has seen enough; False if it could not be run."""
    sys.stdout.flush()
    sys.stderr.flush()
    with _keyboard_left_to_the_pager(), _running(argv, _environment()) as pager:
        _feed(pager, text.encode(sys.stdout.encoding, sys.stdout.errors or "strict"))
    return pager.returncode not in _NOT_RUN


def _feed(pager: "Popen[bytes]", data: bytes) -> None:
    assert pager.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
    with suppress(BrokenPipeError), pager.stdin:
        rest = memoryview(data)
        while rest:
            rest = rest[pager.stdin.write(rest) :]


@contextmanager
def _keyboard_left_to_the_pager() -> Iterator[None]:
    """Ctrl-C reaches every program of the terminal; what it means here is the pager's to say."""
    # Handlers, for a signal that is ignored is so in the pager as well.
    handlers = {number: signal.signal(number, _do_nothing) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _do_nothing(signal_number: int, frame: FrameType | None) -> None:
    pass


@contextmanager
def _running(argv: Sequence[str], environment: Mapping[str, str]) -> Iterator["Popen[bytes]"]:
    """A pager, which goes before we do; one that is ended by us leaves the terminal in a mode of its own."""
    import subprocess
    import termios

    fd = sys.stdout.fileno()
    settings = termios.tcgetattr(fd)
    # Without a buffer: what a pager that is left did not take must not be written again.
    pager = subprocess.Popen(argv, stdin=subprocess.PIPE, env=environment, bufsize=0)  # noqa: S603 - the user's own
    try:
        yield pager
        pager.wait()
    except BaseException:
        pager.terminate()
        pager.wait()
        termios.tcsetattr(fd, termios.TCSADRAIN, settings)
        raise
