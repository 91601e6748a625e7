"""A declaration's specifiers, declarators and attributes: ``unsigned long (*a)[3]`` to a name and a type."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.layouts import posixtypes, scalars
from shmctl.core.layouts.abi import Alignment
from shmctl.core.layouts.cconstants import Constants, NotConstantError
from shmctl.core.layouts.ctokens import MAX_DEPTH, SETTLE, Token, is_word, refuse
from shmctl.core.layouts.cwords import (
    ALIGNAS,
    ATTRIBUTE,
    BASE_WORDS,
    HARMLESS,
    KEYWORDS,
    KNOWN_HEADERS,
    QUALIFIERS,
    REFUSED,
    STORAGE,
    TAGGED,
)
from shmctl.core.layouts.model import ArrayType, RecordType, Type
from shmctl.core.layouts.scalartype import ScalarType
from shmctl.core.layouts.values import quote

MAX_SIZE = (1 << 62) - 1


class Void(NamedTuple):
    """What has no size: void, a function, a type that is only declared. It may be pointed to."""

    name: str
    why: str


AnyType = Type | Void


class Specifiers:
    """What the specifiers of a declaration say."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.storage: set[str] = set()
        self.attributes = Alignment()
        self.found: AnyType | None = None
        self.defines = False
        """Whether a struct, union or enum is defined there."""

    @property
    def type(self) -> AnyType:
        """The type."""
        assert self.found is not None  # noqa: S101 - _specifiers has seen to it
        return self.found


Declare = Callable[[Specifiers, Token, str | None, AnyType, Alignment], None]
"""Takes what a declarator declares: where it begins, its name, its type, and its attributes."""


class Declarators(Constants):
    """Reads the declaration at hand. ``passed`` are the headers that have not been read."""

    def __init__(self, tokens: Sequence[Token], passed: Sequence[str] = ()) -> None:
        super().__init__(tokens)
        self._foreign = next((name for name in passed if name not in KNOWN_HEADERS), None)
        self._typedefs: dict[str, AnyType] = {}
        self._tags: dict[str, AnyType] = {}
        self._defined: list[str] = []  # those of the declaration at hand
        self._constants: dict[str, int] = {}
        self._failed: dict[str, InputError] = {}
        self._flexible: ArrayType | None = None

    def _tagged(self) -> tuple[AnyType, bool]:
        raise NotImplementedError

    def _is_type(self, text: str) -> bool:
        if text in BASE_WORDS or text in TAGGED or text in QUALIFIERS or text in self._typedefs:
            return True
        return text in posixtypes.NAMES and text not in self._constants

    def _constant(self, what: str) -> int:
        where = self._token()
        try:
            return self._value().value
        except NotConstantError as error:
            self._refuse(f"{what}: {error}", where, SETTLE)

    # -- specifiers

    def _specifiers(self) -> Specifiers:
        said, where = Specifiers(), self._token()
        while self._modifier(said) or self._type_word(said):
            pass
        if said.words:
            said.found = self._arithmetic(said.words, where)
        if said.found is None:
            self._stop(self._token() if self._next() else where)
        if "_Atomic" in said.storage:
            said.storage.discard("_Atomic")
            if not isinstance(said.found, ScalarType | Void) or getattr(said.found, "size", 0) > 8:
                self._refuse("an _Atomic struct, union or array is not supported", where, SETTLE)
        return said

    def _modifier(self, said: Specifiers) -> bool:
        """Take a storage class, a qualifier or attributes, if they are next."""
        text = self._next()
        if text in STORAGE or (text in QUALIFIERS and not (text == "_Atomic" and self._peek() == "(")):
            said.storage |= {text} if text in STORAGE or text == "_Atomic" else set()
            self._at += 1
            return True
        start = self._at
        said.attributes = self._attributes(said.attributes)
        return self._at > start

    def _type_word(self, said: Specifiers) -> bool:
        """Take a part of the type, if one is next."""
        text = self._next()
        if said.found is not None:
            return False
        if text == "_Atomic":
            self._at += 2
            said.found = self._type_name()
            said.storage.add("_Atomic")
            self._expect(")")
        elif text in BASE_WORDS:
            said.words.append(text)
            self._at += 1
        elif said.words:
            return False
        elif text in TAGGED:
            said.found, said.defines = self._tagged()
        elif is_word(text):
            said.found = self._typedef_name()
        else:
            return False
        return True

    def _arithmetic(self, words: list[str], where: Token) -> AnyType:
        if words == ["void"]:
            return Void("void", "void")
        found = posixtypes.arithmetic(arranged(words))
        if found is None:
            self._refuse(f"{quote(' '.join(words))} is not a type", where)
        return found

    def _builtin(self, name: str) -> AnyType | None:
        """A type of the system's headers, unless one that is not read may define it otherwise."""
        if name in posixtypes.GLIBCS and self._foreign is not None:
            self._refuse(f"<{quote(self._foreign)}>, which is not read, may say what {name} is", None, SETTLE)
        if name in ("FILE", "DIR", "va_list"):
            return Void(name, "has no size")
        return posixtypes.lookup(name)

    def _typedef_name(self) -> AnyType:
        text = self._next()
        found = self._typedefs.get(text)
        if found is None and text in self._failed:
            raise self._failed[text]
        if text in REFUSED:
            self._refuse(f"{text} is not supported", None, SETTLE)
        found = found or self._builtin(text)
        if found is None:
            self._refuse(f"unknown type {quote(text)}", None, f"a typedef before it would do; {SETTLE}")
        self._at += 1
        return found

    # -- declarators

    def _declaration(self, declare: Declare) -> Specifiers:
        """One declaration up to its semicolon or body; ``declare`` gets each declarator."""
        said = self._specifiers()
        while self._next() not in (";", ""):
            where = self._token()
            name, full = self._declarator(said.type)
            own = self._attributes(said.attributes)
            if self._next() not in (",", ";", "=", "{", ":", ""):
                self._stop()  # perhaps an attribute
            declare(said, where, name, full, own)
            if self._take("="):
                self._skip_to(",", ";")
            if self._next() == "{" or not self._take(","):
                break
        return said

    def _declarator(self, type_: AnyType) -> tuple[str | None, AnyType]:
        """The name and the whole type of a declarator; no name for an abstract one."""
        name: str | None = None
        inner: int | None = None
        with self._deeper():
            type_ = self._pointers(type_)
            if self._next() == "(" and self._is_nested():
                inner = self._at
                self._at = self._matching()
            elif is_word(self._next()) and self._next() not in KEYWORDS:
                name = self._word()
            type_ = self._suffixes(type_)
            if inner is not None:
                after, self._at = self._at, inner + 1
                name, type_ = self._declarator(type_)
                self._expect(")")
                self._at = after
        return name, type_

    def _pointers(self, type_: AnyType) -> AnyType:
        pointers = 0
        while self._next() == "*" or self._next() in QUALIFIERS or self._next() in ATTRIBUTE:
            if self._next() in ATTRIBUTE:
                if self._attributes(Alignment()) != Alignment():
                    self._refuse("packed and aligned are not supported within a declarator", None, SETTLE)
            elif self._word() == "*":
                pointers += 1
                self._check_count(pointers)
                type_ = scalars.address(_pointer_name(type_))
        return type_

    def _check_count(self, count: int) -> None:
        if count > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} pointers and arrays in one declaration")

    def _is_nested(self) -> bool:
        text = self._peek()
        if text in ("*", "(") or text in ATTRIBUTE or text in QUALIFIERS:
            return True
        return is_word(text) and text not in KEYWORDS and not self._is_type(text)

    def _suffixes(self, type_: AnyType) -> AnyType:
        lengths: list[int | None] = []
        is_function = False
        while self._next() == "(" or (self._next() == "[" and self._peek() != "["):
            if self._next() == "(":
                self._at = self._matching()
                is_function = True
                continue
            self._at += 1
            lengths.append(None if self._next() == "]" else self._length())
            self._expect("]")
            self._check_count(len(lengths))
        if is_function:
            return Void(type_.name, "function")
        return self._arrays(type_, lengths) if lengths else type_

    def _arrays(self, type_: AnyType, lengths: Sequence[int | None]) -> ArrayType:
        if isinstance(type_, Void):
            why = "is a function" if type_.why == "function" else type_.why
            self._refuse(f"an array cannot be laid out: {quote(type_.name)} {why}")
        if None in lengths[1:]:
            self._refuse("only the first length of an array can be left out")
        if type_.size % type_.align:
            self._refuse(f"an array of {quote(type_.name)}, whose alignment is greater than its size")
        item: Type = type_
        for length in reversed(lengths):
            item = ArrayType(item, length or 0)
            if item.size > MAX_SIZE:
                self._refuse("an array cannot be laid out: it is too large")
        assert isinstance(item, ArrayType)  # noqa: S101 - there is a length at least
        if lengths[0] is None:
            self._flexible = item
        return item

    def _length(self) -> int:
        length = self._constant("an array's length")
        if length < 0:
            self._refuse(f"an array's length cannot be {length}")
        return length

    def _type_name(self) -> AnyType:
        said = self._specifiers()
        name, full = self._declarator(said.type)
        if name is not None or said.attributes != Alignment():
            self._stop()
        return full

    # -- attributes

    def _attributes(self, so_far: Alignment) -> Alignment:
        """``so_far``, and what the attributes at hand add. Refuses those that may change a layout."""
        while True:
            text = self._next()
            if text in ATTRIBUTE:
                so_far = self._gnu_attribute(so_far)
            elif text in ALIGNAS:
                self._at += 1
                self._expect("(")
                so_far = so_far._replace(aligned=max(so_far.aligned, self._alignment()))
                self._expect(")")
            elif text == "[" and self._peek() == "[":
                self._refuse("[[…]] attributes are not supported: they may change the layout", None, SETTLE)
            else:
                return so_far

    def _gnu_attribute(self, so_far: Alignment) -> Alignment:
        where = self._token()
        self._at += 1
        if self._next() != "(" or self._peek() != "(":
            self._refuse("__attribute__ must be followed by ((…))", where)
        self._at += 2
        while self._next() not in (")", ""):
            name = self._word().strip("_")
            if name == "packed":
                so_far = so_far._replace(packed=True)
            elif name == "aligned":
                align = 16
                if self._take("("):
                    align = self._alignment()
                    self._expect(")")
                so_far = so_far._replace(aligned=max(so_far.aligned, align))
            elif name in HARMLESS:
                self._at = self._matching() if self._next() == "(" else self._at
            elif name != ",":
                self._refuse(f"__attribute__(({quote(name)})) is not supported", where, SETTLE)
            self._take(",")
        self._expect(")")
        self._expect(")")
        return so_far

    def _alignment(self) -> int:
        if self._is_type(self._next()):
            type_ = self._type_name()
            if isinstance(type_, Void):
                self._refuse("an alignment of a type without size")
            return type_.align
        align = self._constant("an alignment")
        if align < 0 or align & (align - 1) or align > 1 << 28:
            self._refuse(f"an alignment cannot be {align}")
        return align


_ORDER = ("signed", "__signed__", "unsigned", "short", "long", "__int128", "char", "int", "float", "double",
    "void", "_Bool", "bool", "_Complex")  # fmt: skip


def arranged(words: Sequence[str]) -> str:
    """The words of an arithmetic type in C's usual order, without those that say nothing."""
    left = sorted(words, key=_ORDER.index)
    left = ["signed" if word == "__signed__" else word for word in left]
    if "signed" in left and not set(left) - {"signed", "short", "long", "int", "__int128"}:
        left.remove("signed")
    if "int" in left and {"short", "long"} & set(left) and "double" not in left:
        left.remove("int")
    text = " ".join(left) or "int"
    return {"unsigned": "unsigned int", "_Bool": "bool", "_Complex": "double _Complex"}.get(text, text)


def _pointer_name(type_: AnyType) -> str:
    if isinstance(type_, Void) and type_.why == "function":
        return f"{type_.name} (*)()"
    return type_.name + ("*" if type_.name.endswith("*") else " *")


def named(type_: AnyType, name: str, attributes: Alignment, where: Token) -> AnyType:
    """``type_`` under a typedef's name, with the typedef's attributes."""
    if attributes != Alignment():
        if attributes.packed or isinstance(type_, Void | ArrayType):
            refuse(where, "packed is supported only beside the braces of a struct or union", SETTLE)
        type_ = type_._replace(align=attributes.aligned or type_.align)
    if isinstance(type_, ArrayType) or (isinstance(type_, Void) and type_.why == "function"):
        return type_
    return type_._replace(name=name)


def is_nameless(type_: AnyType) -> bool:
    """Whether it is a struct or union without a tag."""
    return isinstance(type_, RecordType) and type_.name == type_.keyword
