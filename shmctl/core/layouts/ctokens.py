"""C's tokens, each with its file and line, and a place among them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from shmctl.core.errors import InputError
from shmctl.core.layouts.values import escape, quote

SETTLE = "a C compiler would know (package gcc); --define sets a macro, --elf reads a program's own layout"
MAX_DEPTH = 64

PACK = "#pack"
"""Begins the text of a token for ``#pragma pack``. A macro that is not expanded is a token ``#NAME``."""


class Token(NamedTuple):
    """A word or a mark of C: its file's name, its line from 1, and its offset in the text."""

    text: str
    file: str
    line: int
    offset: int = 0


def refuse(where: Token, message: str, hint: str | None = None) -> NoReturn:
    """Raise InputError for the line of ``where``: ``point.h:7: …``."""
    raise InputError(f"{escape(where.file)}:{where.line}: {message}", hint)


_TOKEN = re.compile(
    r"""
    (?P<skip>   \\\n | [^\S\n]+ | //(?:\\\n|[^\n])* | /\*.*?\*/ )
  | (?P<open>   /\* )
  | (?P<token>  [A-Za-z_]\w* | \.?[0-9](?:[eEpP][+-]|[\w.])*
              | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
              | \.\.\. | << | >> | <= | >= | == | != | && | \|\| | -> | \#\# | \n | . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def lines_of(text: str, filename: str) -> Iterator[list[Token]]:
    """Yield the tokens of each line that has any; a line goes on after a backslash."""
    number, line = 1, list[Token]()
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "open":
            refuse(Token("", filename, number), "this comment has no end")
        if match.lastgroup == "token" and match.group() != "\n":
            line.append(Token(match.group(), filename, number, match.start()))
        elif match.group() == "\n" and line:
            yield line
            line = []
        number += match.group().count("\n")
    if line:
        yield line


def is_word(text: str) -> bool:
    """Whether a token's text is a name or a keyword."""
    return text.isascii() and (text[:1].isalpha() or text[:1] == "_")


_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


class Cursor:
    """A place among tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def _token(self) -> Token:
        if self._at < len(self._tokens):
            return self._tokens[self._at]
        return self._tokens[-1]._replace(text="") if self._tokens else Token("", "declaration", 1)

    def _next(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _peek(self) -> str:
        return self._tokens[self._at + 1].text if self._at + 1 < len(self._tokens) else ""

    def _word(self) -> str:
        text = self._next()
        self._at += 1
        return text

    def _take(self, text: str) -> bool:
        found = self._next() == text
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            self._stop()

    def _stop(self, where: Token | None = None) -> NoReturn:
        """Refuse what stands here."""
        where = where or self._token()
        macro = where.text.startswith("#") or is_word(where.text)
        hint = f"if it is a macro: {SETTLE}" if macro else None
        refuse(where, f"not understood at {quote(where.text)}" if where.text else "it ends too early", hint)

    def _refuse(self, message: str, where: Token | None = None, hint: str | None = None) -> NoReturn:
        refuse(where or self._token(), message, hint)

    def _matching(self) -> int:
        """Return the index behind the bracketed group at hand."""
        depth = 0
        for index in range(self._at, len(self._tokens)):
            depth += _BRACKETS.get(self._tokens[index].text, 0)
            if depth <= 0:
                return index + 1
        return self._refuse("a bracket is never closed")

    def _skip_to(self, *ends: str) -> None:
        depth = 0
        while self._at < len(self._tokens) and (depth or self._next() not in ends):
            depth += _BRACKETS.get(self._word(), 0)

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        """Refuse what is nested too deep; recursion follows it."""
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                self._refuse(f"nested more than {MAX_DEPTH} deep")
            yield
        finally:
            self._depth -= 1
