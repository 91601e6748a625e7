"""A declaration's specifiers, declarators and attributes: ``unsigned long (*a)[3]`` to a name and a type."""

from collections.abc import Callable, Sequence

from shmctl.core.layouts import posixtypes, scalars
from shmctl.core.layouts.abi import Alignment
from shmctl.core.layouts.cexpressions import Expressions
from shmctl.core.layouts.csource import SETTLE, Token, refuse
from shmctl.core.layouts.ctokens import (
    ATTRIBUTE,
    BASE_WORDS,
    HARMLESS,
    KEYWORDS,
    KNOWN_HEADERS,
    MAX_DEPTH,
    MAX_SIZE,
    QUALIFIERS,
    STORAGE,
    TAGGED,
    AnyType,
    Void,
)
from shmctl.core.layouts.model import ArrayType, RecordType, ScalarType, Type
from shmctl.core.layouts.values import escape, quote

_SPELLINGS = {"__signed__": "signed", "__signed": "signed", "__complex__": "_Complex"}


class _Specifiers:
    """What the specifiers of a declaration have said so far."""

    def __init__(self, words: list[str], storage: set[str]) -> None:
        self.words = words
        self.storage = storage
        self.attributes = Alignment()
        self.found: AnyType | None = None
        self.defined: RecordType | None = None


class Declarators(Expressions):
    """Reads the declaration at hand."""

    last: AnyType | None = None
    _flexible: ArrayType | None = None

    def _tagged(self) -> tuple[AnyType, bool]:
        raise NotImplementedError

    def _declaration(
        self, declare: Callable[[str | None, AnyType, Alignment, set[str], Token], None]
    ) -> AnyType:
        """One declaration up to its semicolon or body; ``declare`` is told of each declarator."""
        start = self._token()
        type_, attributes, storage, defined = self._specifiers()
        if self._next() in (";", ""):
            return type_
        while True:
            where = self._token()
            name, full = self._declarator(type_)
            own = self._attributes(attributes)
            if defined is not None and not storage and name == where.text:
                self._doubt(defined, where)
            if self._next() == "{":
                return full
            if self._take("="):
                self._skip_to(",", ";")
            declare(name, full, own, storage, start)
            if not self._take(","):
                return full if not storage else self.last or full

    def _doubt(self, defined: RecordType, where: Token) -> None:
        """``struct s {…} WORD;`` may be a variable, or a macro that some header defines."""
        looks = (
            where.text.isupper()
            or where.text.startswith("_")
            or "pack" in where.text
            or "align" in where.text
        )
        if looks or any(name not in KNOWN_HEADERS for name in self._passed):
            self._doubtful[defined.name] = where

    def _specifiers(self) -> tuple[AnyType, Alignment, set[str], RecordType | None]:
        """Type, attributes, storage classes, and the record that is defined here, if one is."""
        said = _Specifiers([], set())
        where = self._token()
        while self._says_how(said) or self._says_what(said, where):
            pass
        found = self._arithmetic(said.words, where) if said.words else said.found
        if found is None:
            self._refuse(f"not understood at {quote(self._next() or where.text)}", where)
        if "_Atomic" in said.storage:
            found = self._atomic(found, where)
            said.storage.discard("_Atomic")
        return found, said.attributes, said.storage, said.defined

    def _says_how(self, said: "_Specifiers") -> bool:
        """Take in a storage class, a qualifier or attributes, if they are next."""
        text = self._next()
        if text in STORAGE or (text in QUALIFIERS and not (text == "_Atomic" and self._peek() == "(")):
            said.storage |= {text} if text in STORAGE or text == "_Atomic" else set()
            self._at += 1
            return True
        if text not in ATTRIBUTE and text not in ("_Alignas", "alignas", "__declspec", "[", "asm", "__asm__"):
            return False
        start = self._at
        said.attributes = self._attributes(said.attributes)
        return self._at > start

    def _says_what(self, said: "_Specifiers", where: Token) -> bool:
        """Take in a part of the type, if one is next."""
        text = self._next()
        if text == "_Atomic":
            self._at += 2
            said.found = self._atomic(self._type_name(), where)
            self._expect(")")
        elif said.found is not None:
            return False
        elif text in TAGGED and not said.words:
            said.found, is_new = self._tagged()
            said.defined = said.found if is_new and isinstance(said.found, RecordType) else None
        elif text in BASE_WORDS:
            said.words.append(_SPELLINGS.get(text, text))
            self._at += 1
        elif not said.words and self._is_word(text):
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

    def _atomic(self, type_: AnyType, where: Token) -> AnyType:
        if not isinstance(type_, ScalarType) and not isinstance(type_, Void):
            self._refuse("an _Atomic struct, union or array is not supported", where, SETTLE)
        if isinstance(type_, ScalarType) and type_.size > 8:
            self._refuse(f"an _Atomic {type_.name} is not supported", where, SETTLE)
        return type_

    def _builtin(self, name: str) -> Type | None:
        """A type of the system's headers, unless one that is not read may define it otherwise."""
        found = posixtypes.lookup(name)
        unknown = next((passed for passed in self._passed if passed not in KNOWN_HEADERS), None)
        if found is not None and name in posixtypes.GLIBCS and unknown is not None:
            self._refuse(
                f"what {name} is may be said by <{escape(unknown)}>, which is not read", None, SETTLE
            )
        return found

    def _typedef_name(self) -> AnyType:
        token = self._token()
        found = self._typedefs.get(token.text)
        if found is None:
            if token.text in self._failed:
                raise self._failed[token.text]
            found = self._builtin(token.text)
            if token.text in ("FILE", "DIR", "va_list"):
                found = Void(token.text, "has no size")
        if found is None:
            if token.text in ("typeof", "__typeof__", "_BitInt", "__typeof", "typeof_unqual"):
                self._refuse(f"{token.text} is not supported", token, SETTLE)
            self._refuse(
                f"unknown type {quote(token.text)}", token, f"a typedef before it would do; {SETTLE}"
            )
        self._at += 1
        return found

    def _declarator(self, type_: AnyType) -> tuple[str | None, AnyType]:
        """The name and the whole type of a declarator; no name for an abstract one."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"more than {MAX_DEPTH} pointers and arrays in one declaration")
        pointers = 0
        while self._next() == "*" or self._next() in QUALIFIERS or self._next() in ATTRIBUTE:
            if self._take("*"):
                pointers += 1
                if pointers > MAX_DEPTH:
                    self._refuse(f"more than {MAX_DEPTH} pointers and arrays in one declaration")
                type_ = scalars.address(pointer_name(type_))
            elif self._next() in ATTRIBUTE:
                if self._attributes(Alignment()) != Alignment():
                    self._refuse("packed and aligned are not supported within a declarator", None, SETTLE)
            else:
                self._at += 1
        name: str | None = None
        inner: int | None = None
        if self._next() == "(" and self._is_nested():
            inner = self._at
            self._at = self._matching()
        elif self._is_word(self._next()) and self._next() not in KEYWORDS:
            name = self._word()
        type_ = self._suffixes(type_)
        if inner is not None:
            after = self._at
            self._at = inner + 1
            name, type_ = self._declarator(type_)
            self._expect(")")
            self._at = after
        self._depth -= 1
        return name, type_

    def _is_nested(self) -> bool:
        text = self._peek()
        if text in ("*", "(") or text in ATTRIBUTE or text in QUALIFIERS:
            return True
        return self._is_word(text) and text not in KEYWORDS and not self._is_type(text)

    def _suffixes(self, type_: AnyType) -> AnyType:
        lengths: list[int | None] = []
        is_function = False
        while self._next() in ("[", "("):
            if self._next() == "(":
                self._at = self._matching()
                is_function = True
                continue
            if self._peek() == "[":
                self._refuse("[[…]] attributes are not supported: they may change the layout", None, SETTLE)
            self._at += 1
            lengths.append(None if self._next() == "]" else self._length())
            self._expect("]")
            if len(lengths) > MAX_DEPTH:
                self._refuse(f"more than {MAX_DEPTH} pointers and arrays in one declaration")
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
        while self._next() in ("static", "const", "restrict", "volatile"):
            self._at += 1
        length = self._constant("an array's length")
        if length < 0:
            self._refuse(f"an array's length cannot be {length}")
        return length

    def _type_name(self) -> AnyType:
        type_, attributes, _, _ = self._specifiers()
        name, full = self._declarator(type_)
        if name is not None or attributes != Alignment():
            self._refuse(f"not understood at {quote(name or self._next())}")
        return full

    def _attributes(self, so_far: Alignment) -> Alignment:
        """``so_far``, and what the attributes at hand add. Refuses those that may change a layout."""
        while True:
            text = self._next()
            if text in ATTRIBUTE:
                so_far = self._gnu_attribute(so_far)
            elif text in ("_Alignas", "alignas"):
                self._at += 1
                self._expect("(")
                align = self._alignment(is_type=self._is_type(self._next()))
                so_far = so_far._replace(aligned=max(so_far.aligned, align))
                self._expect(")")
            elif text in ("asm", "__asm__", "__asm"):
                self._at += 1
                self._at = self._matching()
            elif text == "__declspec":
                self._refuse("__declspec is not supported: it may change the layout", None, SETTLE)
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
                    align = self._alignment(is_type=False)
                    self._expect(")")
                so_far = so_far._replace(aligned=max(so_far.aligned, align))
            elif name in HARMLESS:
                if self._next() == "(":
                    self._at = self._matching()
            elif name != ",":
                self._refuse(
                    f"__attribute__(({quote(name)})) is not supported: it may change the layout",
                    where,
                    SETTLE,
                )
            self._take(",")
        self._expect(")")
        self._expect(")")
        return so_far

    def _alignment(self, *, is_type: bool) -> int:
        if is_type:
            type_ = self._type_name()
            if isinstance(type_, Void):
                self._refuse("an alignment of a type without size")
            return type_.align
        align = self._constant("an alignment")
        if align < 0 or align & (align - 1) or align > 1 << 28:
            self._refuse(f"an alignment cannot be {align}")
        return align


_ORDER = (
    "signed",
    "unsigned",
    "short",
    "long",
    "__int128",
    "char",
    "int",
    "float",
    "double",
    "_Bool",
    "bool",
    "_Complex",
)


def arranged(words: Sequence[str]) -> str:
    """The words of an arithmetic type in C's usual order, without those that say nothing."""
    left = sorted((word for word in words), key=lambda word: _ORDER.index(word) if word in _ORDER else 99)
    if {"signed", "unsigned"} <= set(left) or any(
        left.count(word) > (2 if word == "long" else 1) for word in left
    ):
        return ""
    if "short" in left or "long" in left:
        left = [word for word in left if word != "int"]
    if "char" not in left and "signed" in left:
        left = [word for word in left if word != "signed"] or ["int"]
    if left == ["unsigned"]:
        left = ["unsigned", "int"]
    left = ["bool" if word == "_Bool" else word for word in left]
    return "double _Complex" if left == ["_Complex"] else " ".join(left)


def pointer_name(type_: AnyType) -> str:
    """What a pointer to ``type_`` is called."""
    if isinstance(type_, Void) and type_.why == "function":
        return f"{type_.name} (*)()"
    return type_.name + ("*" if type_.name.endswith("*") else " *")


def named(type_: AnyType, name: str) -> AnyType:
    """``type_`` under a typedef's name."""
    if isinstance(type_, Void):
        return type_ if type_.why == "function" else type_._replace(name=name)
    return type_ if isinstance(type_, ArrayType) else type_._replace(name=name)


def aligned(type_: AnyType, attributes: Alignment, where: Token) -> AnyType:
    """``type_`` with a typedef's attributes."""
    if attributes == Alignment():
        return type_
    if attributes.packed or isinstance(type_, Void | ArrayType):
        refuse(where, "packed is supported only beside the braces of a struct or union", SETTLE)
    return type_._replace(align=attributes.aligned or type_.align)
