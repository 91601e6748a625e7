"""Definitions of structs, unions and enums, their members laid out; ``sizeof``, ``offsetof``, assertions."""

from shmctl.core.errors import InputError
from shmctl.core.layouts import posixtypes, scalars
from shmctl.core.layouts.abi import Alignment, RecordBuilder
from shmctl.core.layouts.cconstants import Int, NotConstantError, fitted
from shmctl.core.layouts.cdeclarators import (
    MAX_SIZE,
    AnyType,
    Declarators,
    Specifiers,
    Void,
    is_nameless,
)
from shmctl.core.layouts.ctokens import PACK, SETTLE, Token, is_word, refuse
from shmctl.core.layouts.cwords import ASSERT, KEYWORDS
from shmctl.core.layouts.model import RecordType, named_members
from shmctl.core.layouts.scalartype import ScalarType
from shmctl.core.layouts.values import escape, quote


class FalseError(InputError):
    """A static assertion that is false."""


class Records(Declarators):
    """Reads the definition at hand."""

    _pack = 0
    """What ``#pragma pack`` says, in bytes; 0: nothing."""

    def _definition_of(self, name: str, text: str) -> AnyType:
        raise NotImplementedError

    def _tagged(self) -> tuple[AnyType, bool]:
        """``struct s``, ``enum {…}`` and so on; and whether it is defined here."""
        keyword = self._word()
        attributes = self._attributes(Alignment())
        where = self._token()
        tag = self._word() if is_word(self._next()) and self._next() not in KEYWORDS else ""
        attributes = self._attributes(attributes)
        name = f"{keyword} {tag}".strip()
        if keyword == "enum" and self._next() == ":":
            self._refuse("an enum with a type of its own is not supported", where, SETTLE)
        if self._next() != "{":
            if not tag:
                self._stop()
            if attributes != Alignment():
                self._refuse("packed and aligned are supported only where the type is defined", where)
            return self._reference(name, keyword, tag), False
        if tag and not isinstance(self._tags.get(name, Void("", "")), Void):
            self._refuse(f"{quote(name)} is defined twice", where)
        if tag:
            self._tags[name] = Void(name, "is not defined yet")
            self._defined.append(name)
        with self._deeper():
            make = self._enum if keyword == "enum" else self._record
            type_ = make(name, keyword, attributes)
        if tag:
            self._tags[name] = type_
        return type_, True

    def _reference(self, name: str, keyword: str, tag: str) -> AnyType:
        if name not in self._tags:
            if tag in self._failed:
                return Void(name, f"is not understood: {self._failed[tag]}")
            text = posixtypes.structure(tag) if keyword == "struct" else None
            if text is not None:
                return self._definition_of(name, text)
        return self._tags.get(name, Void(name, "is not defined"))

    def _enum(self, name: str, _: str, attributes: Alignment) -> ScalarType:
        self._expect("{")
        value, labels = -1, dict[str, int]()
        while self._next() != "}":
            where = self._token()
            label = self._word()
            if not is_word(label) or label in KEYWORDS:
                self._stop(where)
            self._attributes(Alignment())
            value = self._constant("an enumerator") if self._take("=") else value + 1
            if label in self._constants:
                self._refuse(f"{quote(label)} is defined twice", where)
            self._constants[label] = labels[label] = value
            if not self._take(","):
                break
        self._expect("}")
        if not labels:
            self._refuse("an enum without a name in it")
        if self._attributes(attributes) != Alignment():
            self._refuse("an enum that is packed or aligned is not supported", None, SETTLE)
        low, high = min(labels.values()), max(labels.values())
        size = 4 if low >= -1 << 31 and high < 1 << (31 if low < 0 else 32) else 8
        return scalars.integer(name, size, low < 0)._replace(labels=labels)

    def _record(self, name: str, keyword: str, attributes: Alignment) -> RecordType:
        # Attributes may stand behind the brace, and decide what is in front of it.
        ahead, self._at = self._at + 1, self._matching()
        where = self._token()
        attributes = self._attributes(attributes)
        after, self._at = self._at, ahead
        if self._pack and attributes.aligned:
            self._refuse("aligned under #pragma pack is not supported", where, SETTLE)
        builder = RecordBuilder(keyword, packed=attributes.packed, pack=self._pack)
        flexible: Token | None = None
        while not self._take("}"):
            if self._next().startswith(PACK):
                self._refuse("#pragma pack inside a structure is not supported", None, SETTLE)
            if flexible is not None and keyword == "struct":
                self._refuse("an array without a length has to be the last member", flexible)
            flexible = self._members(builder) or flexible
        self._at = after
        return self._finished(builder, name, keyword, attributes.aligned, where)

    def _finished(
        self, builder: RecordBuilder, name: str, keyword: str, aligned: int, where: Token
    ) -> RecordType:
        record = builder.finished(name, keyword, aligned)
        seen = set[str]()
        for member in named_members(record):
            if member.name in seen:
                self._refuse(f"duplicate member {quote(member.name)}", where)
            seen.add(member.name)
        if not record.size or not seen:
            self._refuse("a structure without a member that has a size is not supported", where, SETTLE)
        return record

    def _members(self, builder: RecordBuilder) -> Token | None:
        """One declaration of members; the token of one that is an array without a length."""
        if self._take(";"):
            return None
        if self._next() in ASSERT:
            self._static_assert()
            return None
        start, flexible = self._token(), None
        said = self._specifiers()
        if said.storage:
            self._refuse(f"not understood at {quote(min(said.storage))}", start)
        if self._take(";"):
            self._without_name(builder, said, start)
            return None
        while True:
            where = self._token()
            name, full = (None, said.type) if self._next() == ":" else self._declarator(said.type)
            if self._take(":"):
                self._bit_field(builder, name or "", full, said.attributes, where)
            else:
                self._member(builder, name, full, self._attributes(said.attributes), where)
                flexible = where if full is self._flexible else flexible
            if not self._take(","):
                self._expect(";")
                return flexible

    def _without_name(self, builder: RecordBuilder, said: Specifiers, start: Token) -> None:
        type_ = said.type
        if said.defines and isinstance(type_, RecordType) and is_nameless(type_):
            builder.add("", type_, said.attributes)
        elif not said.defines and not isinstance(type_, RecordType):
            self._refuse("this declares no member: a name is missing", start)

    def _member(
        self, builder: RecordBuilder, name: str | None, type_: AnyType, attributes: Alignment, where: Token
    ) -> None:
        if name is None:
            self._refuse("this declares no member: a name is missing", where)
        if isinstance(type_, Void):
            if type_.why == "function":
                self._refuse(f"{quote(name)} is a function: only a pointer to one can be a member", where)
            what = "it has no size" if type_.name == "void" else f"{quote(type_.name)} {type_.why}"
            self._refuse(f"{quote(name)} cannot be laid out: {what}", where)
        if self._pack and attributes.aligned:
            self._refuse("aligned under #pragma pack is not supported", where, SETTLE)
        if type_.size > MAX_SIZE:
            self._refuse(f"{quote(name)} cannot be laid out: it is too large", where)
        builder.add(name, type_, attributes)

    def _bit_field(
        self, builder: RecordBuilder, name: str, type_: AnyType, attributes: Alignment, where: Token
    ) -> None:
        width = self._constant("a bit-field's width")
        own = self._attributes(attributes)
        shown = quote(name or "a bit-field")
        kinds = ("int", "uint", "bool", "char")
        if not isinstance(type_, ScalarType) or type_.kind not in kinds or type_.size > 8:
            self._refuse(f"{shown} cannot be a bit-field: its type is no integer", where)
        if own.aligned or type_.align != type_.size:
            self._refuse("an aligned bit-field is not supported", where, SETTLE)
        most = 1 if type_.kind == "bool" else type_.size * 8
        if not (0 if not name else 1) <= width <= most:
            self._refuse(f"the width of {shown} cannot be {width}: 1 to {most}", where)
        builder.add_bits(name, type_, width, own)

    # -- constants

    def _bracketed(self) -> Int:
        if self._is_type(self._next()):
            raise NotConstantError("a cast is not understood here")
        return self._value()

    def _operand(self) -> Int:
        text = self._word()
        if text in ("sizeof", "_Alignof", "alignof", "__alignof__"):
            if self._next() != "(" or not self._is_type(self._peek()):
                raise NotConstantError(f"{text} is understood of a type only")
            self._at += 1
            type_ = self._type_name()
            self._expect(")")
            if isinstance(type_, Void):
                raise NotConstantError(f"{text} of a type without size")
            return Int(type_.size if text == "sizeof" else type_.align, 64, unsigned=True)
        if text in ("offsetof", "__builtin_offsetof"):
            return Int(self._offset(), 64, unsigned=True)
        if text in self._constants:
            return fitted(self._constants[text])
        if is_word(text.removeprefix("#")) and text not in KEYWORDS:
            raise NotConstantError(f"{quote(text)} is not a known constant")
        raise NotConstantError("not understood as a constant expression")

    def _offset(self) -> int:
        from shmctl.core.layouts.layout import Layout

        self._expect("(")
        type_ = self._type_name()
        self._expect(",")
        path = ""
        while self._next() not in (")", ""):
            path += self._word()
        self._expect(")")
        if not isinstance(type_, RecordType):
            raise NotConstantError("offsetof of a type without members")
        place = next(Layout(type_, "", "").places(path), None)
        if place is None or place.offset % 8:
            raise NotConstantError("offsetof of what has no offset")
        return place.offset // 8

    def _static_assert(self) -> None:
        where = self._token()
        self._at += 1
        self._expect("(")
        try:
            holds = bool(self._value().value)
        except NotConstantError:
            holds = True  # of something that is not known here, and need not be
        if not holds:
            message = f": {quote(self._peek())}" if self._next() == "," else ""
            raise FalseError(
                f"{escape(where.file)}:{where.line}: _Static_assert is false of shmctl's layout{message}",
                SETTLE,
            )
        self._skip_to(")")
        self._expect(")")


def doubt(name: str, where: Token) -> None:
    """Refuse ``struct s {…} WORD;``, where WORD may be an attribute that a header defines."""
    refuse(
        where,
        f"{quote(where.text)} after }} may be an attribute of {quote(name)}, from a header that is not read",
        SETTLE,
    )
