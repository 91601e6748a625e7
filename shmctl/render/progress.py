"""A progress bar for copies that take more than a second, on a terminal only."""

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from shmctl.core.objects.streams import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_DELAY = 1.0


@contextmanager
def progress_bar(description: str, total: int | None, *, wanted: bool) -> Iterator[Progress]:
    """A function to call with the bytes copied so far, out of ``total`` where that is known.

    Nothing shows unless it is ``wanted``, standard error is a terminal, and a second has passed.
    """
    if not (wanted and sys.stderr.isatty()):
        yield lambda _: None
        return
    with ExitStack() as stack:
        yield _Bar(stack, description, total).update


class _Bar:
    def __init__(self, stack: ExitStack, description: str, total: int | None) -> None:
        self._stack = stack
        self._description = description
        self._total = total
        self._start = time.monotonic()
        self._display: RichProgress | None = None

    def update(self, done: int) -> None:
        if self._display is None:
            if time.monotonic() - self._start < _DELAY:
                return
            self._display = self._stack.enter_context(_display())
            self._display.add_task(self._description, total=self._total)
        self._display.update(self._display.task_ids[0], completed=done)


def _display() -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Speed

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        Speed(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
