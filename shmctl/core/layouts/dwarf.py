"""Debugging information as the file has it: units and entries of DWARF 2 to 5, decoded one by one.

A library has millions of entries, and a question concerns a few hundred: nothing
is decoded but these, and entries in between are stepped over. The packages that
read DWARF for Python decode each one on the way, which takes seconds.
"""

import struct
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, TypeAlias

from shmctl.core.layouts.abbreviations import Abbreviation, read_abbreviation
from shmctl.core.layouts.dwarfnumbers import BLOCKS, CUT, FIXED, INDICES, LEB, OFFSETS, At, Form, sleb, uleb
from shmctl.core.layouts.elf import DamagedError, Elf

Value: TypeAlias = "int | bytes"


_MOST_UNITS = 1 << 20
_MOST_STEPS = 10_000_000
_MOST_CODES = 1 << 16


class Unit(NamedTuple):
    """A unit's header, and its file and section."""

    file: "DebugFile"
    data: bytes
    offset: int
    start: int
    end: int
    version: int
    offset_size: int
    address_size: int
    abbreviations: int
    type: int
    signature: int
    type_offset: int
    in_types: bool = False


class Place(NamedTuple):
    """An entry: its unit, and its offset in the section."""

    unit: Unit
    offset: int


class Entry(NamedTuple):
    """A decoded entry: tag, children, attributes as (form, value), where the next one begins."""

    tag: int
    children: bool
    attributes: dict[int, tuple[int, Value]]
    end: int

    def number(self, attribute: int) -> int | None:
        """An attribute's integer; None where there is none, or none that is constant."""
        value = self.attributes.get(attribute, (0, b""))[1]
        return value if isinstance(value, int) else None


class DebugFile:
    """The debugging sections of an ELF file, read when they are needed."""

    def __init__(self, elf: Elf) -> None:
        self.elf = elf
        self.order = elf.order
        self.endian = elf.endian
        self.alternate: DebugFile | None = None
        self._steps = 0
        self._sections: dict[bytes, bytes] = {}
        self._abbreviations: dict[tuple[int, int, int, int], dict[int, Abbreviation]] = {}
        self._rows: dict[object, tuple[bytes, Abbreviation]] = {}
        self._string_bases: dict[tuple[bool, int], int] = {}
        self.source_files: dict[int, list[str]] = {}
        self.searches: dict[bytes, object] = {}
        """What is known of where names stand."""
        self._languages: dict[tuple[bool, int], int] = {}
        self._units: list[Unit] | None = None
        self._by_signature: dict[int, Unit] | None = None
        self.split = elf.find(b".debug_info.dwo") is not None and elf.find(b".debug_info") is None

    def section(self, name: bytes) -> bytes:
        """The section ``.debug_`` and ``name``, or what a ``.dwo`` file has instead."""
        if name not in self._sections:
            full = b".debug_" + name + (b".dwo" if self.split else b"")
            self._sections[name] = self.elf.content(full)
        return self._sections[name]

    # -- units

    def units(self) -> list[Unit]:
        """All units, of ``.debug_info`` and ``.debug_types``."""
        if self._units is None:
            self._units = [
                *self._walk(self.section(b"info"), False),
                *self._walk(self.section(b"types"), True),
            ]
        return self._units

    def _walk(self, data: bytes, in_types: bool) -> Iterator[Unit]:
        offset = count = 0
        while offset + 11 < len(data):
            unit = self._unit(data, offset, in_types)
            yield unit
            offset, count = unit.end, count + 1
            if count > _MOST_UNITS:
                raise DamagedError("it has more than a million units")

    def _unit(self, data: bytes, offset: int, in_types: bool) -> Unit:
        order = self.order
        try:
            (length,) = struct.unpack_from(order + "I", data, offset)
            at, size = offset + 4, 4
            if length == 0xFFFFFFFF:
                (length,) = struct.unpack_from(order + "Q", data, at)
                at, size = offset + 12, 8
            end = at + length
            (version,) = struct.unpack_from(order + "H", data, at)
            at += 2
            word = order + ("Q" if size == 8 else "I")
            kind = 2 if in_types else 1
            if version >= 5:
                kind, address_size = data[at], data[at + 1]
                (abbreviations,) = struct.unpack_from(word, data, at + 2)
                at += 2 + size
            else:
                (abbreviations,) = struct.unpack_from(word, data, at)
                address_size = data[at + size]
                at += size + 1
            signature = type_offset = 0
            if in_types or kind in (2, 6):
                (signature,) = struct.unpack_from(order + "Q", data, at)
                (type_offset,) = struct.unpack_from(word, data, at + 8)
                at += 8 + size
            elif kind in (4, 5):
                at += 8
        except (struct.error, IndexError):
            raise DamagedError(CUT) from None
        if end > len(data) or at > end or not 2 <= version <= 5:
            raise DamagedError(CUT if 2 <= version <= 5 else f"DWARF {version} is not understood")
        return Unit(
            self, data, offset, at, end, version, size, address_size, abbreviations, kind, signature,
            offset + type_offset, in_types,
        )  # fmt: skip

    def unit_at(self, offset: int) -> Unit:
        """The unit of ``.debug_info`` that has ``offset`` in it."""
        from bisect import bisect_right

        units = [unit for unit in self.units() if not unit.in_types]
        index = bisect_right(units, offset, key=lambda unit: unit.offset) - 1
        if index < 0 or offset >= units[index].end:
            raise DamagedError("a reference leads nowhere")
        return units[index]

    def by_signature(self, signature: int) -> Place:
        """The type that a type unit of this signature defines."""
        if self._by_signature is None:
            self._by_signature = {unit.signature: unit for unit in self.units() if unit.type in (2, 6)}
        unit = self._by_signature.get(signature)
        if unit is None:
            raise DamagedError("a type unit that it refers to is missing")
        return Place(unit, unit.type_offset)

    # -- abbreviations

    def codes(self, unit: Unit) -> dict[int, Abbreviation]:
        """The abbreviations of ``unit`` by code."""
        key = (unit.abbreviations, unit.offset_size, unit.address_size, unit.version)
        if key not in self._abbreviations:
            self._abbreviations[key] = dict(self._codes(unit))
        return self._abbreviations[key]

    def _codes(self, unit: Unit) -> Iterator[tuple[int, Abbreviation]]:
        data, at = self.section(b"abbrev"), unit.abbreviations
        try:
            for _ in range(_MOST_CODES):
                code, at = uleb(data, at)
                if not code:
                    return
                # Units have tables of their own, in which most rows are the same.
                key = (data[at : data.find(b"\0\0", at + 2)], *unit[6:8], unit.version)
                known = self._rows.get(key)
                if known is None or data[at : at + len(known[0])] != known[0]:
                    known = self._rows[key] = read_abbreviation(data, at, partial(_size_of, unit))
                yield code, known[1]
                at += len(known[0])
        except IndexError:
            raise DamagedError(CUT) from None
        raise DamagedError("it has too many abbreviations")

    # -- entries

    def entry(self, place: Place) -> Entry | None:
        """The entry at ``place``; None for the end of a list of children."""
        unit, at = place
        data = unit.data
        try:
            code, at = uleb(data, at)
            if not code:
                return None
            abbreviation = self.codes(unit)[code]
            attributes: dict[int, tuple[int, Value]] = {}
            for attribute, form, implicit, size in abbreviation.attributes:
                if size is None or size > 8:
                    value, at = self.value(unit, form, at, data)
                elif size:
                    value = int.from_bytes(data[at : at + size], self.endian)
                    at += size
                else:
                    value = implicit if form == Form.IMPLICIT_CONST else 1  # a flag
                attributes[attribute] = (form, value)
        except (IndexError, KeyError, struct.error):
            raise DamagedError(CUT) from None
        if at > unit.end:
            raise DamagedError(CUT)
        return Entry(abbreviation.tag, abbreviation.children, attributes, at)

    def value(  # noqa: PLR0911 - a return for each kind of form
        self, unit: Unit, form: int, at: int, data: bytes
    ) -> tuple[Value, int]:
        """The value of ``form`` at ``at`` in ``data``, and where it ends. Raises DamagedError, IndexError."""
        size = _size_of(unit, form)
        if size is not None:
            if form == Form.FLAG_PRESENT:
                return 1, at
            if form == Form.DATA16:
                return data[at : at + 16], at + 16
            return int.from_bytes(data[at : at + size], self.endian), at + size
        if form == Form.SDATA:
            return sleb(data, at)
        if form in LEB:
            return uleb(data, at)
        if form == Form.STRING:
            end = data.find(b"\0", at)
            if end < 0:
                raise DamagedError(CUT)
            return data[at:end], end + 1
        if form == Form.INDIRECT:
            actual, at = uleb(data, at)
            if actual in (Form.INDIRECT, Form.IMPLICIT_CONST):
                raise DamagedError(CUT)
            return self.value(unit, actual, at, data)
        length, at = self._block(data, form, at)
        return data[at : at + length], at + length

    def _block(self, data: bytes, form: int, at: int) -> tuple[int, int]:
        if form in (Form.EXPRLOC, 0x09):
            return uleb(data, at)
        if form in BLOCKS:
            return int.from_bytes(data[at : at + BLOCKS[form]], self.endian), at + BLOCKS[form]
        raise DamagedError(f"DWARF's form {form:#x} is not understood")

    def after(self, unit: Unit, at: int) -> tuple[int, Abbreviation | None, int]:
        """The end of the entry at ``at``, its abbreviation, and its sibling if it says which (or 0)."""
        data = unit.data
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise DamagedError("looking through its debugging information takes too long")
        try:
            start = at
            code = data[at]
            at += 1
            if code > 127:
                code, at = uleb(data, start)
            if not code:
                return at, None, 0
            abbreviation = self.codes(unit)[code]
            sibling = 0
            if abbreviation.sibling is not None:
                here = at + abbreviation.sibling
                sibling = unit.offset + int.from_bytes(data[here : here + 4], self.endian)
            if abbreviation.size is not None:
                return at + abbreviation.size, abbreviation, sibling
            for _, form, _, size in abbreviation.attributes:
                at = at + size if size is not None else self.value(unit, form, at, data)[1]
        except (IndexError, KeyError):
            raise DamagedError(CUT) from None
        return at, abbreviation, sibling

    def children(self, place: Place) -> Iterator[tuple[Place, Entry]]:
        """The entries directly below the one at ``place``."""
        unit = place.unit
        at, abbreviation, _ = self.after(unit, place.offset)
        if abbreviation is None or not abbreviation.children:
            return
        while at < unit.end:
            entry = self.entry(Place(unit, at))
            if entry is None:
                return
            yield Place(unit, at), entry
            at = self.skip(unit, at)
        raise DamagedError(CUT)

    def skip(self, unit: Unit, at: int) -> int:
        """The end of the entry at ``at`` and of all below it."""
        depth = 0
        while at < unit.end:
            end, abbreviation, sibling = self.after(unit, at)
            if abbreviation is None:
                depth -= 1
            elif abbreviation.children:
                if at < sibling <= unit.end:
                    end = sibling
                else:
                    depth += 1
            at = end
            if depth <= 0:
                return at
        raise DamagedError(CUT)

    # -- what values mean

    def text(self, unit: Unit, form: int, value: Value) -> bytes:
        """The text that a value of a string's form stands for."""
        if isinstance(value, bytes):
            return value
        if form == Form.LINE_STRP:
            return _string(self.section(b"line_str"), value)
        if form in (Form.STRP_SUP, Form.GNU_STRP_ALT):
            return _string(self._other().section(b"str"), value)
        if form in INDICES:
            size = unit.offset_size
            at = self.strings_base(unit) + value * size
            table = self.section(b"str_offsets")
            value = int.from_bytes(table[at : at + size], self.endian)
        return _string(self.section(b"str"), value)

    def strings_base(self, unit: Unit) -> int:
        """Where the unit's part of ``.debug_str_offsets`` begins."""
        key = (unit.in_types, unit.offset)
        if key not in self._string_bases:
            default = (8 if unit.offset_size == 4 else 16) if unit.version >= 5 else 0
            self._string_bases[key] = default
            first = self.entry(Place(unit, unit.start))
            given = first.number(At.STROFFSETS_BASE) if first else None
            self._string_bases[key] = default if given is None else given
        return self._string_bases[key]

    def language(self, unit: Unit) -> int:
        """The unit's DW_LANG_*; 0 where it has none."""
        key = (unit.in_types, unit.offset)
        if key not in self._languages:
            first = self.entry(Place(unit, unit.start))
            self._languages[key] = (first.number(At.LANGUAGE) or 0) if first else 0
        return self._languages[key]

    def target(self, unit: Unit, form: int, value: Value) -> Place:
        """The entry that a value of a reference's form leads to."""
        if not isinstance(value, int):
            raise DamagedError("a reference is none")
        if form in (Form.REF1, Form.REF2, Form.REF4, Form.REF8, Form.REF_UDATA):
            offset = unit.offset + value
            if not unit.start <= offset < unit.end:
                raise DamagedError("a reference leads nowhere")
            return Place(unit, offset)
        if form == Form.REF_SIG8:
            return self.by_signature(value)
        file = self._other() if form in (Form.REF_SUP4, Form.REF_SUP8, Form.GNU_REF_ALT) else self
        return Place(file.unit_at(value), value)

    def _other(self) -> "DebugFile":
        if self.alternate is None:
            raise DamagedError("the file that dwz(1) moved part of its debugging information to is missing")
        return self.alternate


def _size_of(unit: Unit, form: int) -> int | None:
    """The bytes that a value of ``form`` takes, where they are always as many."""
    size = FIXED.get(form)
    if size is not None:
        return size
    if form in OFFSETS:
        return unit.offset_size
    if form == 0x01:
        return unit.address_size
    if form == Form.REF_ADDR:
        return unit.address_size if unit.version < 3 else unit.offset_size
    return None


def _string(section: bytes, offset: int) -> bytes:
    end = section.find(b"\0", offset)
    if end < 0:
        raise DamagedError(CUT)
    return section[offset:end]
