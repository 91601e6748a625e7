"""A progress bar for copies that take more than a second, on a terminal only."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from shmctl.core.sizes import human_size
from shmctl.core.transfer import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_DELAY = 1.0


@contextmanager
def progress_bar(description: str, total: int | None, *, color: bool) -> Iterator[Progress]:
    """A function to call with the bytes copied so far, out of ``total`` where that is known.

    Nothing shows on standard error until a second has passed. ``color`` allows
    colour where the environment does.
    """
    with ExitStack() as stack:
        yield _Bar(stack, description, total, color=color).update


class _Bar:
    def __init__(self, stack: ExitStack, description: str, total: int | None, *, color: bool) -> None:
        self._stack = stack
        self._description = description
        self._total = total
        self._color = color
        self._start = time.monotonic()
        self._display: RichProgress | None = None

    def update(self, done: int) -> None:
        elapsed = time.monotonic() - self._start
        if self._display is None:
            if elapsed < _DELAY:
                return
            self._display = self._stack.enter_context(_display(color=self._color))
            self._display.add_task(self._description, total=self._total, rate="")
        # Sizes as everywhere: in three digits, K being 1024.
        of_total = "" if self._total is None else f" of {human_size(self._total)}"
        rate = f"{human_size(done)}{of_total}, {human_size(int(done / elapsed))}/s"
        self._display.update(self._display.task_ids[0], completed=done, rate=rate)


def _display(*, color: bool) -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    # The terminal's own colours only: they are those that its user can read on its background.
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(style="dim", complete_style="green", finished_style="green", pulse_style="green"),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeRemainingColumn(),
        console=Console(stderr=True, no_color=None if color else True),
        transient=True,
    )
