"""C's words, and a place among the tokens of a text: what the parser of declarations stands on."""

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from shmctl.core.errors import InputError
from shmctl.core.layouts import posixtypes
from shmctl.core.layouts.csource import PACK, SETTLE, Token, refuse
from shmctl.core.layouts.model import Type
from shmctl.core.layouts.values import quote

DECLARATION = "declaration"
"""The name of a text that comes from the command line, in messages."""
MAX_DEPTH = 64
MAX_SIZE = (1 << 62) - 1
UNFINISHED = "is not defined yet"
BASE_WORDS = {"signed", "unsigned", "short", "long", "char", "int", "float", "double", "void", "_Bool",
    "bool", "_Complex", "__int128", "__signed__", "__signed", "__complex__"}  # fmt: skip
QUALIFIERS = {"const", "volatile", "restrict", "_Atomic", "__const", "__const__", "__volatile__",
    "__volatile",
    "__restrict", "__restrict__", "__extension__"}  # fmt: skip
STORAGE = {"static", "extern", "register", "auto", "inline", "__inline", "__inline__", "_Thread_local",
    "_Noreturn",
    "typedef", "thread_local", "__thread", "constexpr"}  # fmt: skip
TAGGED = ("struct", "union", "enum")
ATTRIBUTE = ("__attribute__", "__attribute")
ASSERT = ("_Static_assert", "static_assert")
HARMLESS = frozenset(
    [
        "unused",
        "deprecated",
        "noreturn",
        "format",
        "nonnull",
        "pure",
        "const",
        "malloc",
        "warn_unused_result",
        "visibility",
        "cold",
        "hot",
        "leaf",
        "always_inline",
        "noinline",
        "nothrow",
        "returns_nonnull",
        "alloc_size",
        "sentinel",
        "used",
        "weak",
        "may_alias",
        "unavailable",
        "designated_init",
        "constructor",
        "destructor",
        "access",
        "flatten",
        "artificial",
        "gnu_inline",
        "format_arg",
        "nonstring",
    ]
)
KEYWORDS = {*BASE_WORDS, *QUALIFIERS, *STORAGE, *TAGGED, *ATTRIBUTE, *ASSERT, "_Alignas", "alignas",
    "sizeof", "typeof", "__typeof__", "_BitInt", "asm", "__asm__", "__asm"}  # fmt: skip


# Headers of C and POSIX: the macros that they define begin with two underscores, or are known.
KNOWN_HEADERS = frozenset(
    [
        "assert.h",
        "complex.h",
        "ctype.h",
        "dirent.h",
        "errno.h",
        "fcntl.h",
        "fenv.h",
        "float.h",
        "inttypes.h",
        "iso646.h",
        "limits.h",
        "locale.h",
        "math.h",
        "mqueue.h",
        "netinet/in.h",
        "poll.h",
        "pthread.h",
        "sched.h",
        "semaphore.h",
        "setjmp.h",
        "signal.h",
        "stdalign.h",
        "stdarg.h",
        "stdatomic.h",
        "stdbool.h",
        "stddef.h",
        "stdint.h",
        "stdio.h",
        "stdlib.h",
        "stdnoreturn.h",
        "string.h",
        "strings.h",
        "sys/ipc.h",
        "sys/mman.h",
        "sys/resource.h",
        "sys/select.h",
        "sys/sem.h",
        "sys/shm.h",
        "sys/socket.h",
        "sys/stat.h",
        "sys/time.h",
        "sys/types.h",
        "sys/uio.h",
        "sys/un.h",
        "sys/wait.h",
        "threads.h",
        "time.h",
        "uchar.h",
        "unistd.h",
        "wchar.h",
        "wctype.h",
        "arpa/inet.h",
        "pwd.h",
        "grp.h",
    ]
)


class Void(NamedTuple):
    """What has no size: void, a function, a type that is only declared. It may be pointed to."""

    name: str
    why: str


AnyType = Type | Void


class FalseError(InputError):
    """A static assertion that is false."""


class Cursor:
    """A place among tokens, and the names that the text has defined up to there."""

    def __init__(self, tokens: Sequence[Token], passed: Sequence[str] = ()) -> None:
        self._tokens = tokens
        self._passed = passed
        self._at = 0
        self._depth = 0
        self._pack = 0
        self._packs: list[int] = []
        self._typedefs: dict[str, AnyType] = {}
        self._tags: dict[str, AnyType] = {}
        self._constants: dict[str, int] = {}
        self._failed: dict[str, InputError] = {}
        self._doubtful: dict[str, Token] = {}
        self.last: AnyType | None = None

    # -- tokens

    def _token(self) -> Token:
        if self._at < len(self._tokens):
            return self._tokens[self._at]
        return self._tokens[-1]._replace(text="") if self._tokens else Token("", DECLARATION, 1)

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
            token = self._token()
            if self._is_word(token.text) and token.text not in KEYWORDS:
                self._refuse(
                    f"not understood at {quote(token.text)}",
                    token,
                    f"if it is a macro of another header: {SETTLE}",
                )
            self._refuse(
                f"not understood at {quote(token.text)}" if token.text else "it ends too early", token
            )

    def _matching(self) -> int:
        """The index behind the bracketed group at hand."""
        depth = 0
        for index in range(self._at, len(self._tokens)):
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(self._tokens[index].text, 0)
            if depth <= 0:
                return index + 1
        return self._refuse("a bracket is never closed")

    def _skip_to(self, *ends: str) -> None:
        depth = 0
        while self._at < len(self._tokens):
            text = self._next()
            if depth == 0 and text in ends:
                return
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text, 0)
            self._at += 1

    def _pragma(self) -> bool:
        if not self._next().startswith(PACK):
            return False
        where = self._token()
        _, word, *number = self._word().split()
        value = int(number[0]) if number else None
        if word == "push":
            self._packs.append(self._pack)
        elif word == "pop":
            if not self._packs:
                self._refuse("#pragma pack(pop) has no push before it", where)
            self._pack = self._packs.pop()
        elif value is None:
            value = 0
        self._pack = self._pack if value is None else value
        return True

    @staticmethod
    def _is_word(text: str) -> bool:
        return text.isascii() and (text[:1].isalpha() or text[:1] == "_")

    def _is_type(self, text: str) -> bool:
        return (
            text in BASE_WORDS
            or text in TAGGED
            or text in QUALIFIERS
            or text in self._typedefs
            or (text in posixtypes.NAMES and text not in self._constants)
        )

    def _refuse(self, message: str, where: Token | None = None, hint: str | None = None) -> NoReturn:
        refuse(where or self._token(), message, hint)
