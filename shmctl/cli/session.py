"""The session: settings that all commands share."""

import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

import click

from shmctl.core.models import DEV_SHM, Directory

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from shmctl.core.transfer import Progress
    from shmctl.render.output import Output


class Session(NamedTuple):
    """Where the objects are, whether to use colour, and what standard input holds.

    ``scripts`` is the number of nested batches; ``script_is_input`` is true if standard input holds
    the commands.
    """

    directory: Directory = DEV_SHM
    color: str = "auto"
    scripts: int = 0
    script_is_input: bool = False

    @property
    def on_terminal(self) -> bool:
        """Whether to draw tables and panels: standard output is a terminal, or --color is always.

        A dumb terminal (TERM), such as a screen reader or an editor, gets what a pipe gets.
        """
        return self.color == "always" or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")

    @property
    def in_color(self) -> bool:
        """Whether to use colour: on a terminal, unless NO_COLOR or a plain TERM says otherwise."""
        if self.color != "auto":
            return self.color == "always"
        return self.on_terminal and not os.environ.get("NO_COLOR")

    def output(self, sizes: str | None = None, *, headings: bool = True) -> "Output":
        """Return standard output with sizes as "bytes", "human", or (None) human on a terminal."""
        from shmctl.render.output import Output

        for_people = self.on_terminal or sys.stdout.isatty()
        human = for_people if sizes is None else sizes == "human"
        return Output(sys.stdout, self.on_terminal, self.in_color, human, headings)

    def paged(self, output: "Output | None" = None) -> "AbstractContextManager[Output]":
        """Return `output`, through a pager if it is longer than the screen."""
        if not sys.stdout.isatty():
            return nullcontext(output or self.output())
        from shmctl.render.pager import paged

        return paged(output or self.output())


pass_session = click.make_pass_decorator(Session, ensure=True)


def progress_on(
    description: str, total: int | None, *, wanted: bool = True
) -> "AbstractContextManager[Progress]":
    """Return a progress bar for a copy of ``total`` bytes; see `progress_bar`.

    There is none unless it is ``wanted``, and standard error is a terminal that can move its cursor.
    """
    if not (wanted and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
        return nullcontext(lambda _: None)
    from shmctl.render.progress import progress_bar

    session = click.get_current_context().find_object(Session)
    return progress_bar(description, total, color=not session or session.color != "never")
