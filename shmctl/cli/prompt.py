"""The prompt of ``batch``: line editing, history and completion."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape as glob_escape
from glob import glob

import click
from click.shell_completion import CompletionItem

from shmctl.cli.batch import split_words
from shmctl.cli.completion.candidates import PARTIAL
from shmctl.cli.completion.shells import candidates
from shmctl.core.errors import InputError
from shmctl.core.user_files import state_file

_PROMPT = "shmctl> "
_HISTORY_LENGTH = 1000
_LAST_WORD = re.compile(r"(?:\\.|[^\s\\])*$", re.DOTALL)
_SPECIAL = re.compile(r"([^\w@%+=:,./-])")


@contextmanager
def line_editor(root: click.Context) -> Iterator[Callable[[], str | None]]:
    """Yield a function that reads a line; it returns None at the end of input."""
    try:
        import readline
    except ImportError:  # Python may be built without readline
        yield _ask
        return
    history = state_file("history")
    if history:
        with suppress(OSError):
            readline.read_history_file(history)
    readline.set_history_length(_HISTORY_LENGTH)
    readline.set_completer_delims(" \t\n")
    readline.set_completer(_Completer(root))
    readline.parse_and_bind("tab: complete")
    try:
        yield _ask
    finally:
        if history:
            with suppress(OSError):
                os.makedirs(os.path.dirname(history), mode=0o700, exist_ok=True)
                readline.write_history_file(history)


def _ask() -> str | None:
    try:
        line = input(_PROMPT)
    except EOFError:
        click.echo()
        return None
    return None if line.split() in (["exit"], ["quit"]) else line


class _Completer:
    """Completes the last word of the line as the shells' completion does."""

    def __init__(self, root: click.Context) -> None:
        self._root = root
        self._found: list[str] = []

    def __call__(self, text: str, state: int) -> str | None:
        """The completion number ``state`` of ``text``, which is what follows the last white space."""
        import readline

        if state == 0:
            before = readline.get_line_buffer()[: readline.get_endidx()]
            self._found = self._complete(before, readline.get_begidx())
        return self._found[state] if state < len(self._found) else None

    def _complete(self, before: str, begin: int) -> list[str]:
        """Return the completions from ``begin`` on, escaped as the line needs it."""
        last = _LAST_WORD.search(before)
        start = last.start() if last else len(before)
        try:
            words = split_words(before[:start])
            incomplete = "".join(split_words(before[start:]))
        except InputError:
            return []
        items = candidates(self._root.command, words, incomplete, self._root.obj)
        values = [value for item in items for value in _values(item, incomplete)]
        escaped = [_SPECIAL.sub(r"\\\1", value)[begin - start :] for value in values]
        return [f"{escaped[0]} "] if len(escaped) == 1 and not _goes_on(items[0], values[0]) else escaped


def _values(item: CompletionItem, incomplete: str) -> list[str]:
    if item.type in ("plain", PARTIAL):
        return [item.value] if item.value.isprintable() else []
    # The path so far, which may follow --input=.
    option = incomplete.removesuffix(item.value)
    paths = sorted(glob(glob_escape(item.value) + "*"))
    return [option + path + ("/" if os.path.isdir(path) else "") for path in paths]


def _goes_on(item: CompletionItem, value: str) -> bool:
    return item.type == PARTIAL or value.endswith("/")
