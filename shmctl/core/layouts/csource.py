"""C source text to tokens: comments, directives and macros without arguments are gone after this.

This is for headers that need little, where no compiler is there: the system's own
headers are not read, and what could depend on them is refused.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from shmctl.core.errors import InputError
from shmctl.core.layouts.cconstants import Constants, NotConstantError
from shmctl.core.layouts.ctokens import PACK, SETTLE, Token, is_word, lines_of, refuse
from shmctl.core.layouts.cwords import COMPILER, LIBRARY, NEVER
from shmctl.core.layouts.values import quote

HEADER_MAX = 16 << 20
"""The longest header that is read, in bytes: what /dev/zero holds would take all the memory."""

_MAX_EXPANSION = 100_000
_MAX_DEPTH = 50
_HARMLESS_PRAGMAS = ("GCC", "clang", "STDC", "message", "mark", "region", "endregion", "weak", "omp", "once")
_PACK = re.compile(r"\(((?P<push>push)|(?P<pop>pop))?(,[A-Za-z_]\w*)?,?(?P<number>0|1|2|4|8|16)?\)")


class Reader:
    """Reads texts in the order in which a compiler would, with one table of macros.

    ``include`` are folders for ``#include``, ``define`` macros as ``NAME`` or ``NAME=VALUE``. ``passed``
    are the headers that it has not read.
    """

    def __init__(self, include: Sequence[str] = (), define: Sequence[str] = ()) -> None:
        self.passed: list[str] = []
        self._include = include
        self._macros: dict[str, Sequence[Token] | None] = {}  # None: it takes arguments
        self._undefined: set[str] = set()
        self._once: set[tuple[int, int]] = set()
        self._depth = self._expanded = 0
        for definition in define:
            name, _, value = definition.partition("=")
            if not is_word(name):
                raise InputError(f"{quote(definition)} is not NAME or NAME=VALUE")
            self._macros[name] = next(lines_of(value or "1", "--define"), [])

    def tokens(self, text: str, filename: str) -> Iterator[Token]:
        """The tokens of ``text``, with macros expanded. Raises InputError with file and line."""
        lines = list(lines_of(text, filename))
        guard = _guard(lines)
        branches = _Branches(lambda line: self._condition(line, guard))
        for line in lines:
            if line[0].text != "#":
                if branches.active:
                    yield from self._expand(line)
            elif len(line) > 1 and not branches.follow(line) and branches.active:
                yield from self._directive(line[1], line[2:], filename)
        branches.close()

    # -- directives

    def _directive(self, where: Token, rest: Sequence[Token], filename: str) -> Iterator[Token]:
        match where.text:
            case "define":
                self._define(where, rest)
            case "undef":
                for token in rest[:1]:
                    self._macros.pop(token.text, None)
                    self._undefined.add(token.text)
            case "include":
                yield from self._included(where, rest, filename)
            case "pragma":
                yield from self._pragma(where, rest)
            case "error":
                refuse(where, f"#error {quote(' '.join(token.text for token in rest))}")
            case "warning" | "ident" | "line":
                pass
            case text if not text.isdecimal():
                refuse(where, f"unknown directive #{quote(text)}", SETTLE)

    def _define(self, where: Token, rest: Sequence[Token]) -> None:
        if not rest or not is_word(rest[0].text):
            refuse(where, "#define is followed by no name")
        name, body = rest[0], rest[1:]
        takes = body and body[0].text == "(" and body[0].offset == name.offset + len(name.text)
        self._macros[name.text] = None if takes else body

    def _pragma(self, where: Token, rest: Sequence[Token]) -> Iterator[Token]:
        if not rest or rest[0].text in _HARMLESS_PRAGMAS:
            return
        text = "".join(token.text for token in self._expand(rest[1:]))
        if rest[0].text != "pack":
            words = quote(" ".join(token.text for token in rest))
            refuse(where, f"#pragma {words} may change the layout, and is not supported", SETTLE)
        match = _PACK.fullmatch(text)
        if match is None:
            refuse(where, f"#pragma pack{quote(text)} is not understood")
        yield where._replace(text=f"{PACK} {match['push'] or match['pop'] or 'set'} {match['number'] or ''}")

    def _included(self, where: Token, rest: Sequence[Token], filename: str) -> Iterator[Token]:
        text = "".join(token.text for token in self._expand(rest))
        name, system = text[1:-1], text.startswith("<") and text.endswith(">")
        if not name or not (system or text.startswith('"')):
            refuse(where, f"#include {quote(text)} is not understood")
        for folder in [*([] if system else [os.path.dirname(filename)]), *self._include]:
            path = os.path.join(folder, name)
            content = self._file(where, path)
            if content is not None:
                yield from self._nested(where, content, path)
                return
        if not system:
            refuse(where, f"cannot read {quote(name)}, looked for beside this file")
        if "pack" in name:
            refuse(where, f"<{quote(name)}> is not read, and may change the packing", SETTLE)
        self.passed.append(name)

    def _nested(self, where: Token, content: str, path: str) -> Iterator[Token]:
        if self._depth >= _MAX_DEPTH:
            refuse(where, "too many #include lines: does a file include itself?")
        self._depth += 1
        yield from self.tokens(content, path)
        self._depth -= 1

    def _file(self, where: Token, path: str) -> str | None:
        """The text of an included file; empty for one that is read once; None where it is not there."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError):
            return None
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return None
            identity = (status.st_dev, status.st_ino)
            if identity in self._once:
                return ""
            raw = file.read(HEADER_MAX + 1)
        if len(raw) > HEADER_MAX:
            refuse(where, f"{quote(path)} has more than {HEADER_MAX >> 20} MiB")
        if re.search(rb"^\s*#\s*pragma\s+once\b", raw, re.MULTILINE):
            self._once.add(identity)
        return text_of(raw)

    # -- conditions and macros

    def _condition(self, line: Sequence[Token], guard: str | None) -> bool:
        where, rest = line[1], line[2:]
        if not rest:
            refuse(where, f"#{where.text} is followed by nothing")
        if where.text in ("ifdef", "ifndef"):
            return self._is_defined(rest[0], guard) == (where.text == "ifdef")
        words = [
            token._replace(text="0")  # a name that nobody has defined
            if is_word(token.text) and not self._is_defined(token, guard)
            else token
            for token in self._expand(list(self._without_defined(rest, guard)))
        ]
        try:
            return _Condition(words).holds()
        except NotConstantError as error:
            refuse(where, f"#{where.text}: {error}")

    def _without_defined(self, tokens: Sequence[Token], guard: str | None) -> Iterator[Token]:
        rest = iter(tokens)
        for token in rest:
            if token.text != "defined":
                yield token
                continue
            name = next(rest, token)
            if name.text == "(":
                name = next(rest, token)
                next(rest, None)
            if not is_word(name.text) or name is token:
                refuse(token, "defined is followed by no name")
            yield token._replace(text=str(int(self._is_defined(name, guard))))

    def _is_defined(self, token: Token, guard: str | None) -> bool:
        """Whether a macro is defined, if that is certain; else refuse."""
        name = token.text
        if name in self._macros or name in COMPILER:
            return True
        if name == guard or name in self._undefined or name in NEVER:
            return False
        if self.passed or name.startswith("_") or name in LIBRARY:
            because = f": <{quote(self.passed[0])}> is not read" if self.passed else ""
            refuse(token, f"whether {quote(name)} is defined is not known{because}", SETTLE)
        return False

    def _expand(self, tokens: Sequence[Token], hidden: frozenset[str] = frozenset()) -> Iterator[Token]:
        for token, after in zip_longest(tokens, tokens[1:]):
            body = [token] if token.text in hidden else self._body(token)
            if body is None:
                called = after is None or after.text == "("
                yield token._replace(text=f"#{token.text}") if called else token
            elif len(body) == 1 and body[0] is token:
                yield token
            else:
                self._expanded += len(body)
                if self._expanded > _MAX_EXPANSION:
                    refuse(token, f"the macros expand to more than {_MAX_EXPANSION} tokens")
                here = [part._replace(file=token.file, line=token.line) for part in body]
                yield from self._expand(here, hidden | {token.text})

    def _body(self, token: Token) -> Sequence[Token] | None:
        """What a token stands for: itself, if it is no macro; None for a macro that takes arguments."""
        name = token.text
        if name in self._macros:
            return self._macros[name]
        value = None if name in self._undefined else COMPILER.get(name)
        value = value or LIBRARY.get(name)
        return [token if value is None else token._replace(text=value)]


class _Condition(Constants):
    _all_wide = True

    def holds(self) -> bool:
        value = self._value().value
        if self._next():
            raise NotConstantError("not understood as a constant expression")
        return bool(value)


class _Branches:
    """The ``#if`` groups around a place; ``condition`` says whether one's condition holds."""

    def __init__(self, condition: Callable[[Sequence[Token]], bool]) -> None:
        self._condition = condition
        self._opened: list[Token] = []
        self._active = [True]  # whether the branch at hand is taken
        self._done = [True]  # whether one of the group's has been

    @property
    def active(self) -> bool:
        """Whether what stands here counts."""
        return self._active[-1]

    def follow(self, line: Sequence[Token]) -> bool:
        """Whether ``line`` is a condition's directive, which is followed."""
        where = line[1]
        if where.text in ("if", "ifdef", "ifndef"):
            taken = self.active and self._condition(line)
            self._opened.append(where)
            self._done.append(taken or not self.active)
            self._active.append(taken)
            return True
        if where.text not in ("elif", "else", "endif"):
            return False
        if not self._opened:
            refuse(where, f"#{where.text} without #if")
        if where.text == "endif":
            del self._active[-1], self._done[-1], self._opened[-1]
        else:
            holds = not self._done[-1] and (where.text == "else" or self._condition(line))
            self._active[-1] = holds
            self._done[-1] = self._done[-1] or holds
        return True

    def close(self) -> None:
        """Refuse a group that is still open."""
        if self._opened:
            refuse(self._opened[-1], f"this #{self._opened[-1].text} is never closed")


def _guard(lines: Sequence[Sequence[Token]]) -> str | None:
    """The macro that keeps a file from being read twice: its #ifndef is first, and its #endif last."""
    directives = [[token.text for token in line[1:3]] for line in lines if line[0].text == "#" and line[1:]]
    edges = [line[0].text for line in (*lines[:2], *lines[-1:])]
    opening = [["ifndef", *directives[0][1:]], ["define", *directives[0][1:]]] if directives else []
    if edges != ["#"] * 3 or directives[:2] != opening or len(opening[0]) != 2:
        return None
    depth = 0
    for number, (word, *_) in enumerate(directives, 1):
        depth += (word in ("if", "ifdef", "ifndef")) - (word == "endif")
        if not depth:
            return directives[0][1] if number == len(directives) else None
    return None


def text_of(raw: bytes) -> str:
    """A source file's bytes as text, with newlines alone."""
    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")
