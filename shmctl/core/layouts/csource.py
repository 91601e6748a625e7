"""C source text to tokens that know their line: comments, directives and macros are gone after this.

Text without a directive needs no preprocessor; the other goes through pcpp.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from shmctl.core.errors import InputError
from shmctl.core.layouts.values import escape, quote


class Token(NamedTuple):
    """A word or a mark of C, and where it stands: a file's name and a line from 1."""

    text: str
    file: str
    line: int


def refuse(where: Token, message: str, hint: str | None = None) -> NoReturn:
    """Raise InputError for the line on which ``where`` stands: ``point.h:7: …``."""
    raise InputError(f"{escape(where.file)}:{where.line}: {message}", hint)


# What headers take from the system's own, which are not read, and what gcc itself defines.
_PREDEFINED = {
    "__linux__": "1", "__unix__": "1", "__gnu_linux__": "1", "__STDC__": "1", "__STDC_VERSION__": "201112L",
    "__GNUC__": "12", "__GNUC_MINOR__": "2", "__LP64__": "1", "_LP64": "1", "__WORDSIZE": "64",
    "__CHAR_BIT__": "8", "CHAR_BIT": "8", "__SIZEOF_INT__": "4", "__SIZEOF_LONG__": "8",
    "__SIZEOF_POINTER__": "8", "__SIZEOF_LONG_LONG__": "8", "__SIZEOF_SHORT__": "2", "__SIZEOF_SIZE_T__": "8",
    "__ORDER_LITTLE_ENDIAN__": "1234", "__ORDER_BIG_ENDIAN__": "4321", "__BYTE_ORDER__": "1234",
    "__LITTLE_ENDIAN": "1234", "__BIG_ENDIAN": "4321", "__BYTE_ORDER": "1234",
    "PATH_MAX": "4096", "NAME_MAX": "255", "PIPE_BUF": "4096", "BUFSIZ": "8192", "HOST_NAME_MAX": "64",
    "IFNAMSIZ": "16", "INET_ADDRSTRLEN": "16", "INET6_ADDRSTRLEN": "46", "UCHAR_MAX": "255",
    "SCHAR_MAX": "127", "SHRT_MAX": "32767", "USHRT_MAX": "65535", "INT_MAX": "2147483647",
    "UINT_MAX": "4294967295U", "LONG_MAX": "9223372036854775807L", "ULONG_MAX": "18446744073709551615UL",
    "INT8_MAX": "127", "UINT8_MAX": "255", "INT16_MAX": "32767", "UINT16_MAX": "65535",
    "INT32_MAX": "2147483647", "UINT32_MAX": "4294967295U", "INT64_MAX": "9223372036854775807L",
    "UINT64_MAX": "18446744073709551615UL", "SIZE_MAX": "18446744073709551615UL",
}  # fmt: skip

_TOKEN = re.compile(
    r"""
    (?P<skip>   \\\n | \s+ | //[^\n]* | /\*.*?\*/ )
  | (?P<open>   /\* )
  | (?P<token>  [A-Za-z_]\w* | \.?[0-9](?:[eEpP][+-]|[\w.])*
              | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
              | \.\.\. | << | >> | <= | >= | == | != | && | \|\| | -> | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_]\w*")


def tokenize(text: str, filename: str) -> list[Token]:
    """The tokens of ``text``, with macros expanded and ``#include "…"`` read from beside ``filename``.

    System includes are left out. Raises InputError with file and line for
    what no preprocessor would take.
    """
    if "#" in text or not _PREDEFINED.keys().isdisjoint(_WORD.findall(text)):
        return list(_preprocess(text, filename))
    return list(_scan(text, filename))


def _scan(text: str, filename: str) -> Iterator[Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "token":
            yield Token(match.group(), filename, line)
        elif match.lastgroup == "open":
            refuse(Token("", filename, line), "this comment has no end")
        line += match.group().count("\n")


def _preprocess(text: str, filename: str) -> Iterator[Token]:
    machine = _machine(filename)
    for name, value in _PREDEFINED.items():
        machine.define(f"{name} {value}")
    try:
        machine.parse(text if text.endswith("\n") else text + "\n", filename)
        while (raw := machine.token()) is not None:
            if not raw.value.isspace():
                yield Token(raw.value, machine.shown(raw.source), raw.lineno)
    except (InputError, RecursionError):
        raise
    except Exception:  # pcpp meets malformed directives with whatever its own code raises
        refuse(machine.position(), f"not understood: {_line_of(text, machine, filename)}")


def _line_of(text: str, machine: Any, filename: str) -> str:
    where = machine.position()
    lines = text.splitlines()
    inside = where.file == filename and 1 <= where.line <= len(lines)
    return quote(lines[where.line - 1].strip()) if inside else "this directive"


_MAX_EXPANSION = 100_000

# Pragmas that change no layout. Any that could, or that nobody here knows, is refused, save pack.
_HARMLESS_PRAGMAS = ("GCC", "clang", "STDC", "message", "mark", "region", "endregion", "weak", "omp")


def _machine(filename: str) -> Any:  # noqa: C901 - the methods of one class
    """A pcpp preprocessor that says nothing itself and raises InputError."""
    import pcpp

    top = os.path.abspath(filename)

    class Machine(pcpp.Preprocessor):  # type: ignore[misc]  # pcpp ships no types
        directive = Token("", filename, 1)
        expanded = 0

        def shown(self, path: str | None) -> str:
            """The path of a file as the user would write it: beside ``filename``."""
            if not path or path == top:
                return filename
            return os.path.join(os.path.dirname(filename), os.path.relpath(path, os.path.dirname(top)))

        def position(self) -> Token:
            return self.directive

        def expand_macros(self, tokens: Any, expanding_from: Any = ()) -> Any:
            # Macros of macros of macros make much of little.
            self.expanded += len(tokens) if expanding_from else 0
            if self.expanded > _MAX_EXPANSION:
                where = Token("", self.shown(tokens[0].source), tokens[0].lineno)
                refuse(where, f"the macros expand to more than {_MAX_EXPANSION} tokens")
            return super().expand_macros(tokens, [*expanding_from])

        def on_error(self, file: str, line: int, msg: str) -> None:
            refuse(Token("", self.shown(file), line), quote(msg.partition(" due to ")[0].strip()))

        def on_directive_handle(self, directive: Any, toks: Any, ifpassthru: bool, precedingtoks: Any) -> Any:
            self.directive = Token(directive.value, self.shown(directive.source), directive.lineno)
            if directive.value in ("if", "ifdef", "ifndef", "define", "include", "undef") and not toks:
                refuse(self.directive, f"#{directive.value} is followed by nothing")
            return super().on_directive_handle(directive, toks, ifpassthru, precedingtoks)

        def on_directive_unknown(
            self, directive: Any, toks: Any, ifpassthru: bool, precedingtoks: Any
        ) -> bool | None:
            name, rest = directive.value, "".join(tok.value for tok in toks)
            if name == "error":
                refuse(self.directive, f"#error {quote(rest)}")
            if name == "pragma":
                return _pragma_is_dropped(self.directive, rest)
            if name in ("warning", "ident", "sccs", "line") or name.isdecimal():
                return True
            return refuse(self.directive, f"unknown directive #{quote(name)}")

        def on_include_not_found(
            self, is_malformed: bool, is_system_include: bool, curdir: str, includepath: str
        ) -> None:
            if is_malformed:
                refuse(self.directive, f"#include {quote(includepath)} is not understood")
            if not is_system_include:
                refuse(self.directive, f"cannot read {quote(includepath)}, looked for beside this file")
            raise pcpp.OutputDirective(pcpp.Action.IgnoreAndRemove)

        def on_file_open(self, is_system_include: bool, includepath: str) -> Any:
            if is_system_include:
                raise FileNotFoundError
            if self.include_depth > 50:
                refuse(self.directive, "too many #include lines: does a file include itself?")
            # a FIFO would block for ever
            if not stat.S_ISREG(os.stat(includepath).st_mode):
                raise FileNotFoundError
            return open(includepath, encoding="utf-8-sig", errors="surrogateescape")

    machine = Machine()
    # pcpp searches the folder of the file that includes; it learns of the first file's folder only so
    machine.add_path(os.path.dirname(top))
    # these would turn a path into one relative to the working directory
    machine.rewrite_paths = []
    return machine


def _pragma_is_dropped(where: Token, text: str) -> bool | None:
    """True for a pragma without effect on layout, None to let ``pack`` through; others are refused."""
    words = text.replace("(", " ").split()
    if not words or words[0] in _HARMLESS_PRAGMAS:
        return True
    if words[0] == "pack":
        return None
    return refuse(where, f"#pragma {quote(text)} may change the layout, and is not supported")


def render(tokens: Iterable[Token], files: list[str]) -> str:
    """``tokens`` as text whose line directives name each file by its index in ``files``, which grows."""
    parts: list[str] = []
    file, line = "", 0
    for token in tokens:
        if (token.file, token.line) != (file, line):
            file, line = token.file, token.line
            if file not in files:
                files.append(file)
            parts.append(f'\n# {line} "{files.index(file)}"\n')
        parts.append(token.text if token.text == "." else f" {token.text} ")
    return "".join(parts) + "\n"
