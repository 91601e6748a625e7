"""C source text to tokens that know their line: comments, directives and macros are gone after this.

The system's own headers are not read. What could depend on them is refused:
this is for headers that need little, where no compiler is there.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn

from shmctl.core.errors import InputError
from shmctl.core.layouts import cconstants, cpredefined
from shmctl.core.layouts.values import escape, quote

HEADER_MAX = 16 << 20
"""The longest header that is read, in bytes: what /dev/zero holds would take all the memory."""
SETTLE = "a C compiler would know (package gcc); --define sets a macro, --elf reads a program's own layout"

PACK = "#pack"
"""What begins the text of a token that stands for ``#pragma pack``."""

_MAX_EXPANSION = 100_000
_MAX_DEPTH = 50
_HARMLESS_PRAGMAS = ("GCC", "clang", "STDC", "message", "mark", "region", "endregion", "weak", "omp", "once")


class Token(NamedTuple):
    """A word or a mark of C, and where it stands: a file's name and a line from 1."""

    text: str
    file: str
    line: int


class Macro(NamedTuple):
    """A macro's parameters (None: it takes none) and what it expands to."""

    parameters: Sequence[str] | None
    body: Sequence[Token]


def refuse(where: Token, message: str, hint: str | None = None) -> NoReturn:
    """Raise InputError for the line on which ``where`` stands: ``point.h:7: …``."""
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
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_PACK = re.compile(r"\(((?P<push>push)|(?P<pop>pop))?(,[A-Za-z_]\w*)?,?(?P<number>[0-9]+)?\)")


class Reader:
    """Reads texts in the order in which a compiler would, with one table of macros.

    ``include`` are folders for ``#include``, ``define`` macros as ``NAME`` or ``NAME=VALUE``.
    """

    def __init__(self, include: Sequence[str] = (), define: Sequence[str] = ()) -> None:
        self.macros: dict[str, Macro] = {}
        self.passed: list[str] = []
        self._include = include
        self._once: set[tuple[int, int]] = set()
        self._defined_by_nobody: set[str] = set()
        self._depth = self._expanded = 0
        for definition in define:
            name, _, value = definition.partition("=")
            if not _WORD.fullmatch(name):
                raise InputError(f"{quote(definition)} is not NAME or NAME=VALUE")
            body = [token for token in _scan(value or "1", "--define") if token.text != "\n"]
            self.macros[name] = Macro(None, body)

    def tokens(self, text: str, filename: str) -> Iterator[Token]:
        """The tokens of ``text``, with macros expanded. Raises InputError with file and line."""
        lines = list(_lines(_scan(text, filename)))
        branches = _Branches(_guard(lines), self._condition)
        pending: list[Token] = []
        for line in lines:
            if line[0].text != "#":
                pending += line if branches.active else ()
                continue
            name = line[1].text if len(line) > 1 else ""
            if branches.active and name:
                yield from self._flushed(pending)
            if name and not branches.follow(line) and branches.active:
                yield from self._directive(line, filename)
        branches.close()
        yield from self._flushed(pending)

    def _flushed(self, pending: list[Token]) -> Iterator[Token]:
        yield from self._expand(pending, frozenset())
        pending.clear()

    # -- directives

    def _directive(self, line: Sequence[Token], filename: str) -> Iterator[Token]:
        where, rest = line[1], line[2:]
        match where.text:
            case "define":
                self._define(where, rest)
            case "undef":
                if rest:
                    self.macros.pop(rest[0].text, None)
                    self._defined_by_nobody.add(rest[0].text)
            case "include" | "include_next" | "import":
                yield from self._included(where, rest, filename)
            case "pragma":
                yield from self._pragma(where, rest)
            case "error":
                refuse(where, f"#error {quote(' '.join(token.text for token in rest))}")
            case "warning" | "ident" | "sccs" | "line":
                pass
            case _:
                if not where.text.isdecimal():
                    refuse(where, f"unknown directive #{quote(where.text)}")

    def _define(self, where: Token, rest: Sequence[Token]) -> None:
        if not rest or not _WORD.fullmatch(rest[0].text):
            refuse(where, "#define is followed by no name")
        name, body = rest[0].text, list(rest[1:])
        parameters: list[str] | None = None
        if body and body[0].text == "(" and body[0].file.endswith("\0"):
            end = next((i for i, token in enumerate(body) if token.text == ")"), None)
            if end is None:
                refuse(where, "the parameters of this macro have no end")
            parameters = [token.text for token in body[1:end] if token.text != ","]
            body = body[end + 1 :]
        self.macros[name] = Macro(parameters, [_plain(token) for token in body])

    def _pragma(self, where: Token, rest: Sequence[Token]) -> Iterator[Token]:
        if not rest or rest[0].text in _HARMLESS_PRAGMAS:
            return
        text = "".join(token.text for token in self._expand(rest[1:], frozenset()))
        if rest[0].text != "pack":
            words = " ".join(token.text for token in rest)
            refuse(where, f"#pragma {quote(words)} may change the layout, and is not supported", SETTLE)
        match = _PACK.fullmatch(text)
        if match is None or (match["number"] or "0") not in ("0", "1", "2", "4", "8", "16"):
            refuse(where, f"#pragma pack{quote(text)} is not understood")
        word = match["push"] or match["pop"] or "set"
        yield where._replace(text=f"{PACK} {word} {match['number'] or ''}")

    def _included(self, where: Token, rest: Sequence[Token], filename: str) -> Iterator[Token]:
        words = [token.text for token in self._expand(rest, frozenset())]
        text = "".join(words)
        system = text.startswith("<") and text.endswith(">")
        name = text[1:-1]
        if not name or not (system or text.startswith('"')):
            refuse(where, f"#include {quote(text)} is not understood")
        folders = [*self._include] if system else [os.path.dirname(filename), *self._include]
        for folder in folders:
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

    # -- conditions

    def _condition(self, line: Sequence[Token], guard: str | None) -> bool:
        where, rest = line[1], line[2:]
        if not rest:
            refuse(where, f"#{where.text} is followed by nothing")
        if where.text in ("ifdef", "ifndef"):
            return self._is_defined(rest[0], guard) == (where.text == "ifdef")
        results = {self._evaluated(where, rest, guard, versions) for versions in cpredefined.VERSIONS}
        if len(results) > 1:
            refuse(where, f"#{where.text} depends on the compiler's version", SETTLE)
        return results.pop()

    def _evaluated(
        self, where: Token, rest: Sequence[Token], guard: str | None, versions: Mapping[str, str]
    ) -> bool:
        plain: list[Token] = []
        index = 0
        while index < len(rest):
            token = rest[index]
            index += 1
            if token.text not in ("defined", "__has_include", "__has_attribute"):
                plain.append(token)
                continue
            if token.text != "defined":
                refuse(where, f"{token.text} is not known here", SETTLE)
            bracket = index < len(rest) and rest[index].text == "("
            index += bracket
            if index >= len(rest):
                refuse(where, "defined is followed by no name")
            plain.append(token._replace(text=str(int(self._is_defined(rest[index], guard)))))
            index += 1 + bracket
        saved = self.macros
        self.macros = {
            **saved,
            **{name: Macro(None, [where._replace(text=v)]) for name, v in versions.items()},
        }
        try:
            words = [self._number(token, guard) for token in self._expand(plain, frozenset())]
            return bool(cconstants.evaluate_condition(words))
        except cconstants.NotConstantError as error:
            refuse(where, f"#{where.text}: {error}")
        finally:
            self.macros = saved

    def _number(self, token: Token, guard: str | None) -> str:
        """A name that is left in a condition counts as 0, if it is certain that nobody has defined it."""
        if _WORD.fullmatch(token.text) and token.text not in ("true", "false"):
            self._is_defined(token, guard)
            return "0"
        return token.text

    def _is_defined(self, token: Token, guard: str | None) -> bool:
        name = token.text
        if name in self.macros or name in cpredefined.COMPILER or name in cpredefined.VERSIONS[0]:
            return True
        if name == guard or name in self._defined_by_nobody or name in cpredefined.NEVER:
            return False
        if self.passed or name.startswith("_") or name in cpredefined.LIBRARY:
            because = f": <{escape(self.passed[0])}> is not read" if self.passed else ""
            refuse(token, f"whether {quote(name)} is defined is not known{because}", SETTLE)
        return False

    # -- macros

    def _expand(self, tokens: Sequence[Token], hidden: frozenset[str]) -> Iterator[Token]:
        index = 0
        while index < len(tokens):
            token = tokens[index]
            index += 1
            macro = None if token.text in hidden else self._macro(token)
            if macro is None:
                yield _plain(token)
                continue
            body: Sequence[Token] = macro.body
            if macro.parameters is not None:
                if index >= len(tokens) or tokens[index].text != "(":
                    yield _plain(token)
                    continue
                arguments, index = _arguments(tokens, index, token)
                body = self._substituted(token, macro, arguments)
            self._expanded += len(body)
            if self._expanded > _MAX_EXPANSION:
                refuse(token, f"the macros expand to more than {_MAX_EXPANSION} tokens")
            here = [part._replace(file=token.file, line=token.line) for part in body]
            yield from self._expand(here, hidden | {token.text})

    def _macro(self, token: Token) -> Macro | None:
        macro = self.macros.get(token.text)
        if macro is not None or token.text in self._defined_by_nobody:
            return macro
        value = cpredefined.COMPILER.get(token.text) or cpredefined.LIBRARY.get(token.text)
        return Macro(None, [token._replace(text=value)]) if value is not None else None

    def _substituted(self, where: Token, macro: Macro, arguments: Sequence[Sequence[Token]]) -> list[Token]:
        names = macro.parameters or ()
        if any(part.text in ("#", "##", "__VA_ARGS__") for part in macro.body) or "..." in names:
            refuse(where, f"the macro {quote(where.text)} is too much for this", SETTLE)
        if len(arguments) != len(names) and not (not names and len(arguments) == 1 and not arguments[0]):
            refuse(where, f"the macro {quote(where.text)} takes {len(names)} arguments")
        given = dict(zip(names, arguments, strict=False))
        return [each for part in macro.body for each in given.get(part.text, (part,))]


class _Branches:
    """The ``#if`` groups around a place; ``condition`` says whether one's condition holds."""

    def __init__(self, guard: str | None, condition: Callable[[Sequence[Token], str | None], bool]) -> None:
        self._guard = guard
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
            taken = self.active and self._condition(line, self._guard)
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
            holds = where.text == "else" or self._done[-1] or self._condition(line, self._guard)
            self._active[-1] = holds and not self._done[-1]
            self._done[-1] = self._done[-1] or self.active
        return True

    def close(self) -> None:
        """Refuse a group that is still open."""
        if self._opened:
            refuse(self._opened[-1], f"this #{self._opened[-1].text} is never closed")


def _arguments(tokens: Sequence[Token], index: int, where: Token) -> tuple[list[list[Token]], int]:
    """The arguments of the macro call whose bracket opens at ``index``, and where it ends."""
    arguments: list[list[Token]] = [[]]
    depth = 0
    for at in range(index, len(tokens)):
        text = tokens[at].text
        depth += {"(": 1, ")": -1}.get(text, 0)
        if depth == 0:
            return arguments, at + 1
        if depth == 1 and text == ",":
            arguments.append([])
        elif not (depth == 1 and text == "(" and at == index):
            arguments[-1].append(tokens[at])
    return refuse(where, f"the arguments of {quote(where.text)} have no end")


def _scan(text: str, filename: str) -> Iterator[Token]:
    """All tokens with the ends of lines; a bracket right behind a word is marked, for #define."""
    line, end = 1, -1
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "open":
            refuse(Token("", filename, line), "this comment has no end")
        if match.lastgroup == "token":
            close = match.group() == "(" and match.start() == end
            yield Token(match.group(), filename + "\0" if close else filename, line)
            end = match.end()
        line += match.group().count("\n")


def _plain(token: Token) -> Token:
    return token._replace(file=token.file[:-1]) if token.file.endswith("\0") else token


def _lines(tokens: Iterator[Token]) -> Iterator[list[Token]]:
    line: list[Token] = []
    for token in tokens:
        if token.text != "\n":
            line.append(token)
        elif line:
            yield line
            line = []
    if line:
        yield line


def _guard(lines: Sequence[Sequence[Token]]) -> str | None:
    """The macro that keeps a file from being read twice: its #ifndef is first, and its #endif last."""
    if len(lines) < 3:
        return None
    first, second = ([token.text for token in line] for line in lines[:2])
    named = first[1:2] == ["ifndef"] and second[1:2] == ["define"] and first[2:3] == second[2:3]
    if first[:1] != ["#"] or second[:1] != ["#"] or not named:
        return None
    depth = 0
    for index, line in enumerate(lines):
        words = [token.text for token in line[:2]]
        if words[0] == "#" and len(words) > 1:
            depth += words[1] in ("if", "ifdef", "ifndef")
            depth -= words[1] == "endif"
            if not depth:
                return first[2] if index == len(lines) - 1 else None
    return None


def text_of(raw: bytes) -> str:
    """A source file's bytes as text, with newlines alone."""
    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")
