"""C declarations, read by shmctl itself: what they say is laid out, and what they leave open is refused.

What no type needs, such as functions, is passed over, and so is a declaration that is not understood
until something needs it.
"""

import os
from collections.abc import Callable, Iterator, Sequence

from shmctl.core.errors import InputError, UnknownTypeError
from shmctl.core.layouts import posixtypes
from shmctl.core.layouts.abi import Alignment, RecordBuilder
from shmctl.core.layouts.cdeclarators import (
    MAX_SIZE,
    AnyType,
    Specifiers,
    Void,
    arranged,
    is_nameless,
    named,
)
from shmctl.core.layouts.crecords import FalseError, Records, doubt
from shmctl.core.layouts.csource import Reader
from shmctl.core.layouts.ctokens import PACK, SETTLE, Token, refuse
from shmctl.core.layouts.cwords import ALIGNAS, ASSERT, ATTRIBUTE, BASE_WORDS, TAGGED
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.model import ArrayType, RecordType, Type
from shmctl.core.layouts.values import escape, quote

WHERE = "--header FILE or --elf FILE says where a type is defined"
_DECLARATION = "declaration"


class _MembersError(Exception):
    """The text from the command line declares members, not types alone."""


class Unit(Records):
    """The types of a text. ``tokens`` come from `Reader`, ``passed`` are the headers that it did not read."""

    def __init__(self, tokens: Sequence[Token], passed: Sequence[str] = ()) -> None:
        super().__init__(tokens, passed)
        self._passed = passed
        self._packs: list[int] = []
        self._doubtful: dict[str, Token] = {}
        self._last: AnyType | None = None
        if os.uname().machine not in posixtypes.MACHINES:
            raise InputError(f"the layout of C's types on {os.uname().machine} is not known here", SETTLE)

    def _definition_of(self, name: str, text: str) -> AnyType:
        unit = Unit(list(Reader().tokens(text, _DECLARATION)))
        unit.read()
        return unit.named(name)

    # -- a header

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
                if self._tokens[start].text in ASSERT and isinstance(error, FalseError):
                    raise
                for token in self._tokens[start:end]:
                    self._failed.setdefault(token.text, error)
                # What stands behind a definition may change it: an attribute that is not known.
                for tag in self._defined:
                    self._tags.pop(tag, None)
            self._defined.clear()
            self._at = end

    def _external(self, end: int) -> None:
        if self._next() in ASSERT:
            self._static_assert()
            return
        self._declaration(self._declared)
        if self._at < end and self._next() != "{" and not self._take(";"):
            self._stop()

    def _end_of_declaration(self) -> int:
        """Where the declaration at hand ends: after its semicolon, or after a function's body."""
        at, is_function = self._at, False
        while self._at < len(self._tokens):
            text = self._next()
            if text in ("(", "[", "{"):
                is_function = (
                    text == "{" and self._tokens[self._at - 1].text == ")" and not self._in_attribute()
                )
                self._at = self._matching()
            else:
                self._at += 1
            if text == ";" or (text == "{" and is_function):
                break
        end, self._at = self._at, at
        return end

    def _in_attribute(self) -> bool:
        """Whether the bracket before the brace at hand is that of ``struct __attribute__((…)) {``."""
        depth = 0
        for index in range(self._at - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(self._tokens[index].text, 0)
            if not depth:
                return self._tokens[index - 1].text in ATTRIBUTE + ALIGNAS
        return False

    def _declared(
        self, said: Specifiers, where: Token, name: str | None, type_: AnyType, attributes: Alignment
    ) -> None:
        if "typedef" not in said.storage:
            if said.defines and not said.storage and name == where.text:
                self._doubt(said.type, where)
            return
        if name is None:
            self._refuse("a typedef without a name", where)
        known, typed = self._typedefs.get(name), named(type_, name, attributes, where)
        if known is not None and known != typed:
            self._refuse(f"{quote(name)} is defined in two ways", where)
        self._typedefs[name] = typed
        if self._last is None or (isinstance(typed, RecordType) and not isinstance(self._last, RecordType)):
            self._last = typed  # of "typedef struct {…} name, *pointer;" the structure is meant

    def _doubt(self, defined: AnyType, where: Token) -> None:
        """``struct s {…} WORD;`` may be a variable, or a macro that some header defines."""
        text = where.text
        if text.isupper() or text.startswith("_") or "pack" in text or "align" in text or self._foreign:
            self._doubtful[defined.name] = where

    def _pragma(self) -> bool:
        if not self._next().startswith(PACK):
            return False
        where = self._token()
        _, word, *number = self._word().split()
        if word == "push":
            self._packs.append(self._pack)
        elif word == "pop":
            if not self._packs:
                self._refuse("#pragma pack(pop) has no push before it", where)
            self._pack = self._packs.pop()
        if number or word == "set":
            self._pack = int(number[0]) if number else 0
        return True

    # -- the type that is wanted

    def named(self, name: str) -> Type:
        """The type called ``name``: a typedef, ``struct s``, or a bare tag. Raises InputError."""
        *keyword, last = name.split() or [""]
        if keyword and keyword[0] in TAGGED:
            known = [self._tags.get(name)]
        else:
            known = [self._typedefs.get(name), *(self._tags.get(f"{kind} {name}") for kind in TAGGED)]
        found = next((type_ for type_ in known if type_ is not None and not isinstance(type_, Void)), None)
        if found is None and last in self._failed:
            raise self._failed[last]
        return self.checked(found or self._base_type(name.split()), name)

    def _base_type(self, words: Sequence[str]) -> AnyType | None:
        if words and set(words) <= BASE_WORDS:
            return posixtypes.arithmetic(arranged(words))
        return self._builtin(words[0]) if len(words) == 1 else None

    def checked(self, type_: AnyType | None, name: str) -> Type:
        """``type_``, if it is complete, has no part that is doubtful, and is not too large for memory."""
        if type_ is None or isinstance(type_, Void):
            names = {**self._typedefs, **self._tags}
            shown = [quote(known) for known, each in names.items() if not isinstance(each, Void)]
            hint = f"it has {', '.join(shown[:40])}" if shown else WHERE
            raise UnknownTypeError(f"no complete type is called {quote(name)}", hint)
        if type_.size > MAX_SIZE:
            raise InputError(f"{quote(type_.name)} cannot be laid out: it is too large")
        for part in _records(type_):
            if part.name in self._doubtful:
                doubt(part.name, self._doubtful[part.name])
        return type_

    # -- a text from the command line

    def inline(self) -> Type:
        """The type of a text: its members, its last definition, or a name. Raises InputError."""
        if all(token.text == ";" or token.text.startswith(PACK) for token in self._tokens):
            raise InputError("the declaration is empty", "for example: 'int id; double value'")
        try:
            last = self._definitions()
        except _MembersError:
            return Unit(self._tokens, self._passed).members()
        if last is None or (isinstance(last, Void) and last.why == "function"):
            raise InputError("the last declaration defines no type", "for example: 'int id; double value'")
        return self.checked(last, last.name)

    def _definitions(self) -> AnyType | None:
        """The last type that is defined or named. Raises _MembersError at the first member."""
        last, nameless = None, 0
        while self._at < len(self._tokens):
            if self._pragma() or self._take(";"):
                continue
            if self._next() in ASSERT:
                self._static_assert()
                continue
            self._last = None
            said = self._declaration(self._declared_inline)
            self._expect(";")
            last = self._last if "typedef" in said.storage else said.type
            nameless += "typedef" not in said.storage and said.defines and is_nameless(said.type)
            if nameless > 1:
                raise _MembersError
        return last

    def _declared_inline(
        self, said: Specifiers, where: Token, name: str | None, type_: AnyType, attributes: Alignment
    ) -> None:
        if "typedef" not in said.storage:
            raise _MembersError
        self._declared(said, where, name, type_, attributes)

    def members(self) -> RecordType:
        """The structure whose members the text declares."""
        builder = RecordBuilder("struct", packed=False, pack=self._pack)
        flexible: Token | None = None
        changed: Token | None = None
        while self._at < len(self._tokens):
            where = self._token()
            if self._pragma():
                changed = where
                continue
            if self._take(";"):
                continue
            if where.text == "typedef":
                self._declaration(self._declared)
                self._expect(";")
                continue
            if builder.is_empty:
                builder = RecordBuilder("struct", packed=False, pack=self._pack)
            elif changed is not None:
                refuse(changed, "#pragma pack between members is not supported", SETTLE)
            if flexible is not None:
                refuse(flexible, "an array without a length has to be the last member")
            changed, flexible = None, self._members(builder) or flexible
        record = self._finished(builder, "struct", "struct", 0, self._tokens[-1])
        self.checked(record, "struct")
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
    tokens = list(reader.tokens(text, _DECLARATION))
    if tokens and tokens[-1].text != ";":
        tokens.append(tokens[-1]._replace(text=";"))
    type_ = Unit(tokens, reader.passed).inline()
    return Layout(type_, type_.name, _DECLARATION)


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


def _guarded(read: Callable[[], Layout]) -> Layout:
    """Nesting beyond what recursion can follow becomes InputError, wherever it is met."""
    try:
        return read()
    except (RecursionError, MemoryError, OverflowError):
        raise InputError("the declaration is too large or too deeply nested") from None


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
