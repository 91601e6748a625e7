"""From DWARF's entries to the model: each type as its compiler laid it out, or refused with the reason."""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from shmctl.core.errors import InputError
from shmctl.core.layouts import scalars
from shmctl.core.layouts.dwarf import Entry, Place
from shmctl.core.layouts.dwarfnames import (
    ADDRESSES,
    RECORDS,
    entry_at,
    is_c,
    language,
    name_of,
    spelled,
    target_of,
)
from shmctl.core.layouts.dwarfnumbers import At, Tag, uleb
from shmctl.core.layouts.elf import DamagedError
from shmctl.core.layouts.model import LOCKS, ArrayType, Member, RecordType, Type
from shmctl.core.layouts.records import (
    as_known,
    inferred_alignment,
    natural_alignment,
    plain_name,
    with_alignment,
    without_doubles,
)
from shmctl.core.layouts.scalartype import Kind, ScalarType
from shmctl.core.layouts.values import quote

QUALIFIERS = frozenset(
    (Tag.CONST, Tag.VOLATILE, Tag.RESTRICT, Tag.ATOMIC, Tag.IMMUTABLE, Tag.SHARED, Tag.PACKED)
)
_FORTRAN = frozenset((0x07, 0x08, 0x0E, 0x22, 0x23, 0x2D))
_ADA = frozenset((0x03, 0x0D, 0x2E, 0x2F))
# DW_ATE_*: what a base type's bytes are (DWARF 5, section 7.8).
_ADDRESS, _BOOLEAN, _COMPLEX, _FLOAT, _SIGNED, _SIGNED_CHAR, _UNSIGNED, _UNSIGNED_CHAR, _UTF = (
    1, 2, 3, 4, 5, 6, 7, 8, 0x10,
)  # fmt: skip
_MOST_DEPTH = 200
_MOST_WORK = 1 << 18
_MOST_SIZE = 1 << 47


class NotHereError(InputError):
    """The type is declared in this file and defined elsewhere."""


class Builder:
    """Builds types, each once. ``find_elsewhere`` gives the definition of a record that is only declared."""

    def __init__(self, find_elsewhere: Callable[[Place, Entry], Place | None]) -> None:
        self._find_elsewhere = find_elsewhere
        self._built: dict[tuple[int, bool, int], Type | None] = {}
        self._work = 0
        self._depth = 0

    def build(self, place: Place) -> Type:
        """The type that the entry at ``place`` describes. Raises InputError, DamagedError."""
        key = (id(place.unit.file), place.unit.in_types, place.offset)
        if key in self._built:
            known = self._built[key]
            if known is None:
                raise DamagedError("a type has itself for a part")
            return known
        self._work += 1
        self._depth += 1
        if self._work > _MOST_WORK or self._depth > _MOST_DEPTH:
            raise InputError("the type is too large or too deeply nested")
        self._built[key] = None
        try:
            type_ = self._type(place)
        except BaseException:
            del self._built[key]
            raise
        finally:
            self._depth -= 1
        if type_.size > _MOST_SIZE:
            raise DamagedError(f"a type of {type_.size} bytes")
        self._built[key] = type_
        return type_

    def _type(self, place: Place) -> Type:  # noqa: PLR0911 - a return for each kind of type
        entry = entry_at(place)
        tag = entry.tag
        if tag in QUALIFIERS or tag == Tag.SUBRANGE:
            return self._qualified(place, entry)
        if tag in (Tag.TYPEDEF, Tag.TEMPLATE_ALIAS):
            return self._typedef(place, entry)
        if tag in RECORDS:
            return self._record(place, entry, RECORDS[tag])
        if tag == Tag.BASE:
            return self._base(place, entry)
        if tag == Tag.ENUMERATION:
            return self._enumeration(place, entry)
        if tag == Tag.ARRAY:
            return self._array(place, entry)
        if tag in ADDRESSES or tag == Tag.POINTER_TO_MEMBER:
            return self._address(place, entry)
        if tag == Tag.STRING and At.STRING_LENGTH not in entry.attributes:
            size = entry.number(At.BYTE_SIZE) or 0
            return ScalarType(f"character({size})", size, "", "text", 1, place.unit.file.endian)
        raise InputError(f"a type of a kind that has no fixed layout in C's terms (DWARF tag {tag:#x})")

    # -- what leads to another type

    def _qualified(self, place: Place, entry: Entry) -> Type:
        target = target_of(place, entry)
        if target is None:
            raise InputError("a part of it has the type void")
        type_ = self.build(target)
        align = entry.number(At.ALIGNMENT)
        return with_alignment(type_, align) if align else type_

    def _typedef(self, place: Place, entry: Entry) -> Type:
        name = name_of(place, entry)
        target = target_of(place, entry)
        if target is None:
            raise InputError(f"{quote(name)} is void")
        type_ = self.build(target)
        align = entry.number(At.ALIGNMENT)
        if align:
            type_ = with_alignment(type_, align)
        if isinstance(type_, ArrayType):
            return type_
        if name in LOCKS and not type_.lock:
            return type_._replace(name=name, lock=name)
        return type_ if _says_more(type_.name, name) else type_._replace(name=name)

    # -- scalars

    def _base(self, place: Place, entry: Entry) -> ScalarType:
        name = plain_name(name_of(place, entry))
        bits = entry.number(At.BIT_SIZE)
        size = entry.number(At.BYTE_SIZE)
        size = (bits + 7) // 8 if size is None and bits is not None else size or 0
        encoding = entry.number(At.ENCODING) or 0
        endian = place.unit.file.endian
        if entry.number(At.ENDIANITY) in (1, 2):
            endian = "big" if entry.number(At.ENDIANITY) == 1 else "little"
        align = entry.number(At.ALIGNMENT) or natural_alignment(size, place.unit.file.elf.machine, encoding)
        if not size:
            raise InputError(f"{quote(name)} has no size")
        kind, code = self._meaning(name, encoding, size, place.unit.file.elf.machine)
        return ScalarType("bool" if name == "_Bool" else name, size, code, kind, align, endian)

    @staticmethod
    def _meaning(name: str, encoding: int, size: int, machine: int) -> tuple[Kind, str]:
        if encoding == _FLOAT:
            return scalars.float_meaning(size, machine, name)
        if encoding == _BOOLEAN:
            return ("bool", "") if size == 1 else ("uint", "")
        if encoding in (_SIGNED_CHAR, _UNSIGNED_CHAR) and size == 1 and name == "char":
            return "char", "b" if encoding == _SIGNED_CHAR else "B"
        if encoding in (_SIGNED, _SIGNED_CHAR):
            return "int", ""
        if encoding in (_UNSIGNED, _UNSIGNED_CHAR, _UTF):
            return "uint", ""
        return ("address", "") if encoding == _ADDRESS else ("opaque", "")

    def _address(self, place: Place, entry: Entry) -> ScalarType:
        size = entry.number(At.BYTE_SIZE)
        if entry.tag == Tag.SUBROUTINE:
            raise InputError("a part of it is a function")
        name = spelled(place)
        if entry.tag == Tag.POINTER_TO_MEMBER:
            target = target_of(place, entry)
            code = target is not None and entry_at(target).tag == Tag.SUBROUTINE
            size = size or place.unit.address_size * (2 if code else 1)
            return ScalarType(name, size, "", "opaque", place.unit.address_size)
        size = size or place.unit.address_size
        return ScalarType(name, size, "", "address", size, place.unit.file.endian)

    def _enumeration(self, place: Place, entry: Entry) -> Type:
        name = name_of(place, entry)
        shown = f"enum {name}".strip() if is_c(place) or not name else name
        if At.DECLARATION in entry.attributes and At.BYTE_SIZE not in entry.attributes:
            return self._elsewhere(place, entry, shown)
        target = target_of(place, entry)
        base = self.build(target) if target else None
        size = entry.number(At.BYTE_SIZE) or (base.size if base else 0)
        if not size:
            raise InputError(f"{quote(shown)} has no size")
        raw = [
            (name_of(Place(place.unit, child.offset), item), item.number(At.CONST_VALUE))
            for child, item in islice(place.unit.file.children(place), 1 << 16)
            if item.tag == Tag.ENUMERATOR
        ]
        encoding = entry.number(At.ENCODING)
        if isinstance(base, ScalarType):
            signed = base.signed
        elif encoding is not None:
            signed = encoding in (_SIGNED, _SIGNED_CHAR)
        else:
            signed = any(value is not None and value < 0 for _, value in raw)
        limit = 1 << size * 8
        labels = {
            label: value % limit - (limit if signed and value % limit >= limit >> 1 else 0)
            for label, value in raw
            if value is not None
        }
        align = entry.number(At.ALIGNMENT) or natural_alignment(size, place.unit.file.elf.machine, _SIGNED)
        return ScalarType(shown, size, "", "int" if signed else "uint", align, place.unit.file.endian, labels)

    # -- arrays

    def _array(self, place: Place, entry: Entry) -> Type:
        target = target_of(place, entry)
        if target is None:
            raise DamagedError("an array of nothing")
        for attribute in (At.DATA_LOCATION, At.ALLOCATED, At.ASSOCIATED):
            if attribute in entry.attributes:
                raise InputError("a part of it is an array that is allocated elsewhere")
        item = self.build(target)
        stride = entry.number(At.BYTE_STRIDE)
        if At.STRIDE_SIZE in entry.attributes or (stride is not None and stride != item.size):
            raise InputError("a part of it is an array whose items are not one behind the other")
        lengths = [
            self._length(place, child)
            for _, child in place.unit.file.children(place)
            if child.tag in (Tag.SUBRANGE, Tag.ENUMERATION)
        ]
        if len(lengths) > 1 and (language(place) in _FORTRAN or entry.number(At.ORDERING) == 1):
            raise InputError("a part of it is an array of several dimensions, stored by columns")
        if not lengths:
            raise DamagedError("an array without bounds")
        for length in reversed(lengths):
            item = ArrayType(item, length)
        if At.GNU_VECTOR in entry.attributes:
            return with_alignment(item, entry.number(At.ALIGNMENT) or item.size)
        align = entry.number(At.ALIGNMENT)
        return with_alignment(item, align) if align else item

    def _length(self, place: Place, bounds: Entry) -> int:
        count = bounds.attributes.get(At.COUNT)
        upper = bounds.attributes.get(At.UPPER_BOUND)
        lower = bounds.number(At.LOWER_BOUND)
        if lower is None:
            lower = 1 if language(place) in _FORTRAN | _ADA else 0
        if count is not None:
            length: int | None = None if _is_dynamic(count) else bounds.number(At.COUNT)
        elif upper is None:
            return 0  # a flexible array
        else:
            value = None if _is_dynamic(upper) else bounds.number(At.UPPER_BOUND)
            if value is not None and place.unit.address_size in (4, 8) and value + 1 in (1 << 32, 1 << 64):
                value = -1  # GCC's way of saying that a[0] has no element
            length = None if value is None else value + 1 - lower
        if length is None:
            raise InputError("a part of it is an array whose length is not constant")
        if not 0 <= length <= _MOST_SIZE:
            raise DamagedError("an array's length is out of range")
        return length

    # -- records

    def _record(self, place: Place, entry: Entry, keyword: str) -> Type:
        name = name_of(place, entry)
        shown = f"{keyword} {name}".strip() if is_c(place) or not name else name
        signature = entry.attributes.get(At.SIGNATURE)
        if signature is not None:
            return self.build(place.unit.file.target(place.unit, *signature))
        size = entry.number(At.BYTE_SIZE)
        if entry.attributes.get(At.DECLARATION) or size is None:
            return self._elsewhere(place, entry, shown)
        members = without_doubles(list(self._members(place, size, keyword == "union")))
        align = entry.number(At.ALIGNMENT) or inferred_alignment(size, members)
        record = RecordType(shown, keyword, size, align, tuple(members), "", place.unit.file.endian)
        return as_known(record, name)

    def _elsewhere(self, place: Place, entry: Entry, shown: str) -> Type:
        found = self._find_elsewhere(place, entry)
        if found is None or found == place:
            raise NotHereError(
                f"{quote(shown)} is declared in this file, and defined elsewhere",
                "clang leaves out what it takes to be elsewhere unless it gets -fstandalone-debug",
            )
        return self.build(found)

    def _members(self, place: Place, size: int, is_union: bool) -> Iterator[Member]:
        for count, (child_place, child) in enumerate(place.unit.file.children(place)):
            if count > _MOST_WORK:
                raise DamagedError("a type has too many members")
            if child.tag in (Tag.VARIANT_PART, Tag.VARIANT):
                raise InputError(
                    "a part of it is an enum with data, or a variant: its layout depends on its value"
                )
            if child.tag not in (Tag.MEMBER, Tag.INHERITANCE):
                continue
            if At.DECLARATION in child.attributes or At.EXTERNAL in child.attributes:
                continue  # static
            yield self._member(child_place, child, size, is_union)

    def _member(self, place: Place, entry: Entry, size: int, is_union: bool) -> Member:
        name = name_of(place, entry)
        if entry.attributes.get(At.VIRTUALITY, (0, 0))[1] and entry.tag == Tag.INHERITANCE:
            raise InputError("it has a virtual base class, whose place is known at run time only")
        target = target_of(place, entry)
        if target is None:
            raise DamagedError("a member without a type")
        try:
            type_ = self.build(target)
        except InputError as error:
            if isinstance(error, _MemberError):
                raise
            raise _MemberError(f"{quote(name or 'a base class')}: {error}", error.hint) from None
        width = entry.number(At.BIT_SIZE)
        offset = self._offset(place, entry, type_, width, is_union)
        bits = type_.size * 8 if width is None else width
        if offset < 0 or offset + bits > size * 8 or (width is None and offset % 8):
            raise DamagedError(f"the member {quote(name)} lies outside of its type")
        if entry.tag == Tag.INHERITANCE and isinstance(type_, RecordType) and not type_.lock:
            return Member("", offset, None, type_)
        name = re.sub(r"\W", "_", name or (type_.name if entry.tag == Tag.INHERITANCE else ""))
        align = entry.number(At.ALIGNMENT)
        return Member(name, offset, width, with_alignment(type_, align) if align else type_)

    def _offset(self, place: Place, entry: Entry, type_: Type, width: int | None, is_union: bool) -> int:
        """The member's offset from the record's start, in bits."""
        bits = entry.number(At.DATA_BIT_OFFSET)
        if bits is not None:
            return bits
        _, value = entry.attributes.get(At.MEMBER_LOCATION, (0, 0))
        if isinstance(value, bytes):
            if not value or value[0] != 0x23:  # DW_OP_plus_uconst
                raise InputError("it has a part whose place is known at run time only")
            value, _ = uleb(value + b"\0", 1)
        if width is None:
            return value * 8
        first = entry.number(At.BIT_OFFSET)
        if first is None:
            return value * 8
        storage = (entry.number(At.BYTE_SIZE) or type_.size) * 8
        if first >= 1 << 31:
            first -= 1 << (64 if first >= 1 << 63 else 32)
        if place.unit.file.endian == "big":
            return value * 8 + first
        return value * 8 + storage - first - width


class _MemberError(InputError):
    """A refusal that already names its member."""


def _is_dynamic(value: tuple[int, int | bytes]) -> bool:
    form, _ = value
    return form in (0x18, 0x09, 0x0A, 0x03, 0x04, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15)


def _says_more(name: str, typedef: str) -> bool:
    """Whether a type keeps its name under a typedef: Rust's and C++'s own aliases would hide what it is."""
    return name.startswith("std::") and not typedef.endswith("_t")
