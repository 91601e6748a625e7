"""What holds for every command: the directory, colour, and where output goes."""

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from shmctl.core.models import DEV_SHM, Directory

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from shmctl.core.objects.streams import Progress
    from shmctl.render.output import Output


class Session(NamedTuple):
    """What holds for every command: where the objects live, whether to use colour, what may be read.

    ``scripts`` counts the batches around the command; one whose script comes by standard input has it
    for itself (``script_is_input``).
    """

    directory: Directory = DEV_SHM
    color: str = "auto"
    scripts: int = 0
    script_is_input: bool = False

    @property
    def on_terminal(self) -> bool:
        """Whether tables and panels are wanted: standard output is a terminal, or colour is always wanted.

        A dumb terminal (TERM), which a screen reader or an editor may be, gets what a pipe gets.
        """
        return self.color == "always" or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")

    @property
    def in_color(self) -> bool:
        """Whether to use colour: on a terminal, unless NO_COLOR or a plain TERM says otherwise."""
        if self.color != "auto":
            return self.color == "always"
        return self.on_terminal and not os.environ.get("NO_COLOR")

    def output(self, sizes: str | None = None, *, headings: bool = True) -> "Output":
        """Standard output, with sizes as "bytes", "human", or as suits who reads."""
        from shmctl.render.output import Output

        for_people = self.on_terminal or sys.stdout.isatty()
        human = for_people if sizes is None else sizes == "human"
        return Output(sys.stdout, self.on_terminal, self.in_color, human, headings)

    def paged(self, output: "Output | None" = None) -> "AbstractContextManager[Output]":
        """`output`, through a pager if it turns out to be longer than the screen."""
        from shmctl.render.pager import paged

        return paged(output or self.output())


pass_session = click.make_pass_decorator(Session, ensure=True)


def progress_on(
    description: str, total: int | None, *, wanted: bool = True
) -> "AbstractContextManager[Progress]":
    """A progress bar for a copy of ``total`` bytes; see `progress_bar`."""
    from shmctl.render.progress import progress_bar

    session = click.get_current_context().find_object(Session)
    return progress_bar(description, total, wanted=wanted, color=not session or session.color != "never")
