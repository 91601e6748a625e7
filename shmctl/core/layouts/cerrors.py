"""What is wrong with a C text that the parser does not take: the sentence and the line."""

import re
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

from shmctl.core.errors import InputError
from shmctl.core.layouts import posixtypes
from shmctl.core.layouts.csource import Token, refuse
from shmctl.core.layouts.values import quote

P = ParamSpec("P")
R = TypeVar("R")

_LOCATION = re.compile(r"([0-9]+):([0-9]+)(?::[0-9]+)?: ?(.*)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
# in the order in which cffi understands them
SPECIFIERS = (
    "signed", "unsigned", "short", "long", "char", "int", "float", "double", "void", "_Bool", "_Complex",
)  # fmt: skip
_QUALIFIERS = {"const", "volatile", "restrict", "_Atomic"}
_STORAGE = {"static", "extern", "register", "auto", "inline", "_Thread_local", "_Noreturn", "typedef"}
_KEYWORDS = {*SPECIFIERS, *_QUALIFIERS, *_STORAGE, "struct", "union", "enum", "_Static_assert"}


def refuse_parse(message: str, tokens: list[Token], files: list[str]) -> NoReturn:
    """Raise InputError for pycparser's ``message``; ``files`` are the names behind its numbers."""
    unknown = _unknown_type(tokens)
    if unknown is not None:
        hint = "the system's own headers are not read; a typedef before it would do"
        refuse(unknown, f"unknown type {quote(unknown.text)}", hint)
    match = _LOCATION.fullmatch(message)
    if match is None:
        stray = _stray_storage(tokens)
        refuse(stray or tokens[-1], f"not understood at {stray.text}" if stray else "not understood")
    where = Token("", files[int(match[1])], int(match[2]))
    if match[3].startswith("before:"):
        refuse(where, f"not understood at {quote(match[3].removeprefix('before:').strip())}")
    refuse(where, quote(match[3]))


def _unknown_type(tokens: list[Token]) -> Token | None:
    """The word that stands where a type must, and is none: the parser itself gives no line for it."""
    known = {*posixtypes.TYPE_NAMES, *_KEYWORDS}
    in_enum = in_typedef = False
    starts = True
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        word = _WORD.fullmatch(token.text) is not None
        follows = after is not None and (after.text == "*" or _WORD.fullmatch(after.text) is not None)
        if starts and word and follows and token.text not in known and not in_enum:
            return token
        in_enum = token.text == "enum" or (in_enum and token.text not in ("}", ";"))
        in_typedef = token.text == "typedef" or (in_typedef and token.text != ";")
        if in_typedef and word and before is not None and not starts:
            known.add(token.text)
        starts = token.text in ";{}" or (starts and token.text in _QUALIFIERS | _STORAGE)
    return None


def _stray_storage(tokens: list[Token]) -> Token | None:
    """A storage class inside braces, for which the parser gives no line."""
    depth = 0
    for token in tokens:
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        if depth and token.text in _STORAGE:
            return token
    return None


def guarded(parse: Callable[P, R]) -> Callable[P, R]:
    """Nesting beyond what a parser's recursion can follow becomes InputError, wherever it is met."""

    @wraps(parse)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return parse(*args, **kwargs)
        except (RecursionError, MemoryError, OverflowError) as error:
            raise InputError("the declaration is too large or too deeply nested") from error

    return call
