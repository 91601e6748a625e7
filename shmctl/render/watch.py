"""Repeat a view: in place on a terminal, frame after frame in a pipe."""

import os
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shmctl.core.polling import readable_within
from shmctl.render.output import Buffer, Output

_QUIT_KEYS = b"qQ\x03"


_SECONDS_BETWEEN_SAMPLES = 0.05


def watch(
    output: Output,
    seconds: float,
    draw: Callable[[Output], None],
    separator: str = "\n",
    sample: Callable[[], None] | None = None,
) -> None:
    """Let ``draw`` write its view every ``seconds``, until q is typed or the reader goes away.

    On a terminal what has changed since the last frame is shown in reverse.
    In a pipe ``separator`` stands between two frames. ``sample`` is called
    often in between.
    """
    if output.terminal:
        _watch_terminal(output, seconds, draw, sample)
        return
    between = ""
    while True:
        output.stream.write(between + _frame(output, draw))
        output.stream.flush()
        between = separator
        _pass(seconds, _never, sample)


def _pass(seconds: float, wait: Callable[[float], bool], sample: Callable[[], None] | None) -> bool:
    """Let ``wait`` pass some seconds, sampling often; whether it tells to end."""
    if sample is None:
        return wait(seconds)
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if wait(min(left, _SECONDS_BETWEEN_SAMPLES)):
            return True
        sample()
    return False


def _frame(output: Output, draw: Callable[[Output], None]) -> str:
    """A whole frame before any of it is shown."""
    buffer = Buffer(output.stream)
    draw(output._replace(stream=buffer))
    return buffer.getvalue()


def _watch_terminal(
    output: Output, seconds: float, draw: Callable[[Output], None], sample: Callable[[], None] | None
) -> None:
    from rich.live import Live
    from rich.text import Text

    from shmctl.render.table import console

    screen = console(output)
    previous: list[str] | None = None
    with _single_keys() as wait, Live(console=screen, screen=True, auto_refresh=False) as live:
        while True:
            lines = _frame(output, draw).splitlines()
            shown = lines[: max(1, screen.height - 1)]
            texts = [Text.from_ansi(line) for line in shown]
            for index, text in enumerate(texts):
                if previous is not None and (index >= len(previous) or previous[index] != shown[index]):
                    text.stylize("reverse")
            footer = Text(f"every {seconds:g} s, q ends", style="dim")
            live.update(Text("\n").join([*texts, footer]), refresh=True)
            previous = shown
            if _pass(seconds, wait, sample):
                return


@contextmanager
def _single_keys() -> Iterator[Callable[[float], bool]]:
    """A function that waits some seconds and returns whether a key was typed that ends the view."""
    if not sys.stdin.isatty():
        yield _never
        return
    fd = sys.stdin.fileno()
    settings = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield lambda seconds: _quits(fd, seconds)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, settings)


def _never(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _quits(fd: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if not readable_within(fd, left):
            return False
        keys = os.read(fd, 100)
        if not keys or any(key in _QUIT_KEYS for key in keys):
            return True
    return False
