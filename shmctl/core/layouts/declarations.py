"""C declarations, read by shmctl itself: what they say is laid out, and what they leave open is refused.

A parser of declarations only: what stands between a file's declarations that
no type needs, such as functions, is passed over, and so is a declaration that
is not understood until something needs it.
"""

import os
from collections.abc import Callable, Iterator, Sequence

from shmctl.core.errors import InputError, UnknownTypeError
from shmctl.core.layouts import posixtypes
from shmctl.core.layouts.abi import Alignment, RecordBuilder
from shmctl.core.layouts.cdeclarators import aligned, arranged, named
from shmctl.core.layouts.crecords import Records
from shmctl.core.layouts.csource import PACK, SETTLE, Reader, Token, refuse
from shmctl.core.layouts.ctokens import (
    ASSERT,
    ATTRIBUTE,
    BASE_WORDS,
    DECLARATION,
    MAX_DEPTH,
    MAX_SIZE,
    TAGGED,
    UNFINISHED,
    AnyType,
    FalseError,
    Void,
)
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.model import ArrayType, RecordType, Type
from shmctl.core.layouts.values import escape, quote

_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}

WHERE = "--header FILE or --elf FILE say where a type is defined"


class Unit(Records):
    """The types of a text. ``tokens`` come from `Reader`, ``passed`` are the headers that it did not read."""

    def __init__(self, tokens: Sequence[Token], passed: Sequence[str] = ()) -> None:
        super().__init__(tokens, passed)
        if os.uname().machine not in posixtypes.MACHINES:
            raise InputError(f"the layout of C's types on {os.uname().machine} is not known here", SETTLE)

    def _definition_of(self, name: str, text: str) -> AnyType:
        unit = Unit(list(Reader().tokens(text, DECLARATION)))
        unit.read()
        return unit.named(name)

    def read(self) -> None:
        """Read all declarations; what is not understood counts when it is needed."""
        while self._at < len(self._tokens):
            start = self._at
            if self._pragma() or self._take(";"):
                continue
            end = self._end_of_declaration()
            try:
                self._external(end)
            except InputError as error:
                for token in self._tokens[start:end]:
                    self._failed.setdefault(token.text, error)
                self._tags = {
                    tag: known for tag, known in self._tags.items() if known != Void(tag, UNFINISHED)
                }
                if self._tokens[start].text in ASSERT and isinstance(error, FalseError):
                    raise
                self.last = None
                self.problem = error
            self._at = end

    problem: InputError | None = None

    def _external(self, end: int) -> None:
        if self._next() in ASSERT:
            self._static_assert()
            return
        self.last = None
        self.last = self._declaration(self._declared_at_file_scope)
        if self._at < end and self._next() == "{":
            self._at = end  # a function
            return
        if not self._take(";") and self._at < end:
            self._refuse("not understood at " + quote(self._next()))

    def _declared_at_file_scope(
        self, name: str | None, type_: AnyType, attributes: Alignment, storage: set[str], where: Token
    ) -> None:
        if "typedef" not in storage:
            return
        if name is None:
            self._refuse("a typedef without a name", where)
        known = self._typedefs.get(name)
        typed = named(aligned(type_, attributes, where), name)
        if known is not None and known != typed:
            self._refuse(f"{quote(name)} is defined in two ways", where)
        self._typedefs[name] = typed
        if self.last is None or (isinstance(typed, RecordType) and not isinstance(self.last, RecordType)):
            self.last = typed  # of "typedef struct {…} name, *pointer;" the structure is meant

    def _end_of_declaration(self) -> int:
        """Where the declaration at hand ends: after its semicolon, or after a function's body."""
        depth = 0
        in_attribute = is_function = False
        for index in range(self._at, len(self._tokens)):
            text = self._tokens[index].text
            if text == "{" and depth == 0:
                is_function = self._tokens[index - 1].text == ")" and not in_attribute
            depth += _BRACKETS.get(text, 0)
            self._check_depth(depth, index)
            if depth == 0 and (text == ";" or (text == "}" and is_function)):
                return index + 1
            if depth == 0:
                in_attribute = text in ATTRIBUTE or (text == ")" and in_attribute)
        if depth:
            self._refuse("a bracket is never closed", self._tokens[-1])
        return len(self._tokens)

    def _check_depth(self, depth: int, index: int) -> None:
        if depth > 4 * MAX_DEPTH:
            self._refuse(f"nested more than {4 * MAX_DEPTH} deep", self._tokens[index])
        if depth < 0:
            self._refuse(f"this {self._tokens[index].text} closes nothing", self._tokens[index])

    def named(self, name: str) -> Type:
        """The type called ``name``: a typedef, ``struct s``, or a bare tag. Raises InputError."""
        words = name.split()
        known = [self._typedefs.get(name), *(self._tags.get(f"{kind} {name}") for kind in TAGGED)]
        found: AnyType | None = next(
            (type_ for type_ in known if type_ is not None and not isinstance(type_, Void)), None
        )
        if words and words[0] in TAGGED:
            found = self._tags.get(" ".join(words))
        if found is None and name in self._failed:
            raise self._failed[name]
        if found is None and words and words[-1] in self._failed and words[0] in TAGGED:
            raise self._failed[words[-1]]
        if found is None:
            found = self._base_type(words)
        if found is None or isinstance(found, Void):
            raise UnknownTypeError(f"no complete type is called {quote(name)}", self._hint())
        self.check(found)
        return found

    def _base_type(self, words: Sequence[str]) -> AnyType | None:
        if len(words) == 1:
            found = self._builtin(words[0])
            if found is not None:
                return found
        return posixtypes.arithmetic(arranged(words)) if set(words) <= BASE_WORDS else None

    def _hint(self) -> str:
        names = [*self._typedefs, *self._tags]
        shown = [name for name in names if not isinstance((self._typedefs | self._tags)[name], Void)]
        return f"it has {', '.join(map(quote, shown[:40]))}" if shown else WHERE

    def check(self, type_: Type) -> None:
        """Refuse a type with a part that is doubtful, or that is too large for memory."""
        if type_.size > MAX_SIZE:
            raise InputError(f"{quote(type_.name)} cannot be laid out: it is too large")
        for part in _records(type_):
            where = self._doubtful.get(part.name)
            if where is not None:
                refuse(
                    where,
                    f"{quote(where.text)} after }} may be an attribute of {quote(part.name)}, "
                    "from a header that is not read",
                    SETTLE,
                )

    # -- members inline

    def inline(self) -> Type:
        """The type of a text from the command line: members inline, a definition at its end, or a name."""
        statements = list(self._statements())
        if not statements:
            raise InputError("the declaration is empty", "for example: 'int id; double value'")
        kinds = [kind for _, _, kind in statements]
        if "member" in kinds or kinds.count("anonymous") > 1:
            return self._inline_members(statements)
        self.read()
        if kinds[-1] == "name":
            start, end, _ = statements[-1]
            return self.named(" ".join(token.text for token in self._tokens[start:end] if token.text != ";"))
        if self.problem is not None and self.last is None:
            raise self.problem
        if self.last is None or isinstance(self.last, Void):
            raise InputError("the last declaration defines no type", "for example: 'int id; double value'")
        self.check(self.last)
        return self.last

    def _statements(self) -> Iterator[tuple[int, int, str]]:
        """Where each declaration begins and ends, and what it is."""
        while self._at < len(self._tokens):
            if self._next() == ";" or self._next().startswith(PACK):
                self._at += 1
                continue
            start, end = self._at, self._end_of_declaration()
            words = [token.text for token in self._tokens[start:end] if token.text != ";"]
            yield start, end, self._kind(words)
            self._at = end
        self._at = 0

    def _kind(self, words: Sequence[str]) -> str:
        """``typedef``, ``definition`` (of a tag), ``anonymous`` (record), ``name`` or ``member``."""
        if words[0] == "typedef" or words[0] in ASSERT:
            return "typedef"
        plain = all(self._is_word(word) for word in words)
        if plain and (
            len(words) == 1 or set(words) <= BASE_WORDS or (len(words) == 2 and words[0] in TAGGED)
        ):
            return "name"
        if words[0] not in TAGGED:
            return "member"
        if words[-1] == "}":
            return "anonymous" if words[0] != "enum" and _is_nameless(words) else "definition"
        return "definition" if words[-1] == ")" and "}" in words else "member"

    def _inline_members(self, statements: Sequence[tuple[int, int, str]]) -> RecordType:
        builder: RecordBuilder | None = None
        flexible: Token | None = None
        for start, end, kind in statements:
            while self._at < start:
                where, before = self._token(), self._pack
                if not self._pragma():
                    self._at += 1
                elif builder is not None and self._pack != before:
                    refuse(where, "#pragma pack between members is not supported", SETTLE)
            if kind in ("member", "anonymous", "name"):
                if flexible is not None:
                    refuse(flexible, "an array without a length has to be the last member")
                builder = builder or RecordBuilder("struct", packed=False, pack=self._pack)
                flexible = self._members(builder)
            else:
                self._external(end)
                self._at = end
        assert builder is not None  # noqa: S101 - one of the kinds was a member's
        record = builder.finished("struct", "struct", 0)
        self._check_record(record, self._tokens[-1])
        self.check(record)
        return record


def from_declaration(text: str, include: Sequence[str] = (), define: Sequence[str] = ()) -> Layout:
    """The layout that a DECL gives: members inline, a definition at the end of the text, a type's name.

    Raises InputError with the line for what is not understood, or would be laid out wrongly.
    """
    return _guarded(lambda: _inline(text, include, define))


def from_header(
    text: str, type_name: str, filename: str, include: Sequence[str] = (), define: Sequence[str] = ()
) -> Layout:
    """The layout of the type ``type_name`` that the header ``filename``, whose text is ``text``, defines."""
    return _guarded(lambda: _header(text, " ".join(type_name.split()), filename, include, define))


def _inline(text: str, include: Sequence[str], define: Sequence[str]) -> Layout:
    reader = Reader(include, define)
    tokens = list(reader.tokens(text, DECLARATION))
    if tokens and tokens[-1].text != ";":
        tokens.append(tokens[-1]._replace(text=";"))
    type_ = Unit(tokens, reader.passed).inline()
    return Layout(type_, type_.name, DECLARATION)


def _header(text: str, name: str, filename: str, include: Sequence[str], define: Sequence[str]) -> Layout:
    reader = Reader(include, define)
    unit = Unit(list(reader.tokens(text, filename)), reader.passed)
    unit.read()
    try:
        type_ = unit.named(name)
    except UnknownTypeError as error:
        hint = "it defines no type" if error.hint == WHERE else error.hint
        raise InputError(f"{escape(filename)}: {error}", hint) from None
    return Layout(type_, type_.name, escape(filename))


def _is_nameless(words: Sequence[str]) -> bool:
    """Whether ``struct`` or ``union``, and perhaps attributes, are followed by members at once."""
    index = 1
    while words[index] in ATTRIBUTE:
        depth, index = 0, index + 1
        while index < len(words):
            depth += {"(": 1, ")": -1}.get(words[index], 0)
            index += 1
            if depth == 0:
                break
    return words[index] == "{"


def _guarded(read: Callable[[], Layout]) -> Layout:
    """Nesting beyond what recursion can follow becomes InputError, wherever it is met."""
    try:
        return read()
    except (RecursionError, MemoryError, OverflowError) as error:
        raise InputError("the declaration is too large or too deeply nested") from error


def _records(type_: Type) -> Iterator[RecordType]:
    """Each record within a type once, however often it occurs."""
    seen: set[int] = set()
    left = [type_]
    while left:
        part = left.pop()
        if isinstance(part, ArrayType):
            left.append(part.item)
        elif isinstance(part, RecordType) and id(part) not in seen:
            seen.add(id(part))
            yield part
            left.extend(member.type for member in reversed(part.members))
