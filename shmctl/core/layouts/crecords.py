"""Definitions of structs, unions and enums: their members, laid out."""

from shmctl.core.layouts import posixtypes, scalars
from shmctl.core.layouts.abi import Alignment, RecordBuilder
from shmctl.core.layouts.cdeclarators import Declarators
from shmctl.core.layouts.csource import PACK, SETTLE, Token, refuse
from shmctl.core.layouts.ctokens import ASSERT, KEYWORDS, MAX_DEPTH, MAX_SIZE, UNFINISHED, AnyType, Void
from shmctl.core.layouts.model import ArrayType, RecordType, ScalarType, named_members
from shmctl.core.layouts.values import quote


class Records(Declarators):
    """Reads the definition at hand."""

    def _definition_of(self, name: str, text: str) -> AnyType:
        raise NotImplementedError

    def _tagged(self) -> tuple[AnyType, bool]:
        """``struct s``, ``enum {…}`` and so on; and whether it is defined here."""
        keyword = self._word()
        attributes = self._attributes(Alignment())
        where = self._token()
        tag = self._word() if self._is_word(self._next()) and self._next() not in KEYWORDS else ""
        attributes = self._attributes(attributes)
        if keyword == "enum" and self._next() == ":":
            self._refuse("an enum with a type of its own is not supported", where, SETTLE)
        name = f"{keyword} {tag}".strip()
        if self._next() != "{":
            if not tag:
                self._refuse(f"not understood at {quote(self._next())}")
            if attributes != Alignment():
                self._refuse("packed and aligned are supported only where the type is defined", where)
            return self._reference(keyword, tag), False
        if tag and not isinstance(self._tags.get(name, Void("", "")), Void):
            self._refuse(f"{quote(name)} is defined twice", where)
        if tag:
            self._tags[name] = Void(name, UNFINISHED)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} deep")
        type_ = self._enum(name, attributes) if keyword == "enum" else self._record(name, keyword, attributes)
        self._depth -= 1
        if tag:
            self._tags[name] = type_
        return type_, True

    def _reference(self, keyword: str, tag: str) -> AnyType:
        name = f"{keyword} {tag}"
        if name not in self._tags:
            text = posixtypes.structure(tag) if keyword == "struct" else None
            if text is not None and tag not in self._failed:
                return self._definition_of(name, text)
            if tag in self._failed:
                return Void(name, f"is not understood: {self._failed[tag]}")
        return self._tags.get(name, Void(name, "is not defined"))

    def _enum(self, name: str, attributes: Alignment) -> ScalarType:
        self._expect("{")
        value, labels = -1, dict[str, int]()
        while self._next() != "}":
            where = self._token()
            label = self._word()
            if not self._is_word(label) or label in KEYWORDS:
                self._refuse(f"not understood at {quote(label)}", where)
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
        attributes = self._attributes(attributes)
        if attributes != Alignment():
            self._refuse("an enum that is packed or aligned is not supported", None, SETTLE)
        low, high = min(labels.values()), max(labels.values())
        size = 4 if low >= -1 << 31 and high < 1 << (31 if low < 0 else 32) else 8
        return scalars.integer(name, size, low < 0)._replace(labels=labels)

    def _record(self, name: str, keyword: str, attributes: Alignment) -> RecordType:
        # Attributes may stand behind the brace, and decide what is in front of it.
        ahead = self._at
        self._at = self._matching()
        where = self._token()
        attributes = self._attributes(attributes)
        after = self._at
        self._at = ahead
        builder = RecordBuilder(keyword, packed=attributes.packed, pack=self._pack)
        if self._pack and attributes.aligned:
            self._refuse("aligned under #pragma pack is not supported", where, SETTLE)
        self._expect("{")
        flexible: Token | None = None
        while not self._take("}"):
            if self._next().startswith(PACK):
                self._refuse("#pragma pack inside a structure is not supported", None, SETTLE)
            if self._take(";"):
                continue
            if flexible is not None and keyword == "struct":
                self._refuse("an array without a length has to be the last member", flexible)
            flexible = self._members(builder) or flexible
        self._at = after
        record = builder.finished(name, keyword, attributes.aligned)
        self._check_record(record, where)
        return record

    def _check_record(self, record: RecordType, where: Token) -> None:
        _check_names(record, where)
        if not record.size or not any(True for _ in named_members(record)):
            self._refuse("a structure without a member that has a size is not supported", where, SETTLE)

    def _members(self, builder: RecordBuilder) -> Token | None:
        """One declaration of members; the token of one that is an array without a length."""
        if self._next() in ASSERT:
            self._static_assert()
            return None
        start = self._token()
        type_, attributes, storage, defined = self._specifiers()
        if storage:
            self._refuse(f"not understood at {quote(min(storage))}", start)
        if self._take(";"):
            if isinstance(type_, RecordType) and defined is not None and " " not in type_.name:
                builder.add("", type_, attributes)
            elif defined is None and not isinstance(type_, RecordType) and not _is_enum(type_):
                self._refuse("this declares no member: a name is missing", start)
            return None
        flexible: Token | None = None
        while True:
            where = self._token()
            name, full = ("", type_) if self._next() == ":" else self._declarator(type_)
            if self._take(":"):
                self._bit_field(builder, name or "", full, attributes, where)
            else:
                own = self._attributes(attributes)
                self._member(builder, name, full, own, where)
                if isinstance(full, ArrayType) and self._is_flexible(full):
                    flexible = where
            if not self._take(","):
                self._expect(";")
                return flexible

    def _is_flexible(self, type_: ArrayType) -> bool:
        return type_ is self._flexible

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
        if (
            not isinstance(type_, ScalarType)
            or type_.kind not in ("int", "uint", "bool", "char")
            or type_.size > 8
        ):
            self._refuse(f"{shown} cannot be a bit-field: its type is no integer", where)
        if own.aligned or type_.align != type_.size:
            self._refuse("an aligned bit-field is not supported", where, SETTLE)
        most = 1 if type_.kind == "bool" else type_.size * 8
        if not (0 if not name else 1) <= width <= most:
            self._refuse(f"the width of {shown} cannot be {width}: 1 to {most}", where)
        builder.add_bits(name, type_, width, own)


def _is_enum(type_: AnyType) -> bool:
    return isinstance(type_, ScalarType) and bool(type_.labels)


def _check_names(record: RecordType, where: Token) -> None:
    seen = set[str]()
    for member in named_members(record):
        if member.name in seen:
            refuse(where, f"duplicate member {quote(member.name)}")
        seen.add(member.name)
