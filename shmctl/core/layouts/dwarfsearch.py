"""From a name to the entries that define a type of that name, without decoding what is in between."""

import re
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from shmctl.core.layouts.abbreviations import Abbreviation
from shmctl.core.layouts.dwarf import DebugFile, Entry, Place, Unit
from shmctl.core.layouts.dwarfnames import RECORDS, is_c
from shmctl.core.layouts.dwarfnumbers import INDICES, At, Tag
from shmctl.core.layouts.elf import DamagedError

TYPES = frozenset({*RECORDS, Tag.ENUMERATION, Tag.TYPEDEF, Tag.TEMPLATE_ALIAS, Tag.BASE, Tag.SUBRANGE})
_CONTAINERS = frozenset({*RECORDS, Tag.NAMESPACE, Tag.MODULE, Tag.ENUMERATION})
_MOST_SUFFIXES = 64
_FEW = 8
_MOST_POSITIONS = 1 << 20
_MOST_SHORT_CODES = (1 << 14) - 1  # in two bytes


def named(file: DebugFile, name: bytes, tags: frozenset[int]) -> Iterator[tuple[Place, Entry]]:
    """The entries of one of ``tags`` that are called ``name``."""
    if not name:
        return
    hits = file.searches.get(name)
    if not isinstance(hits, _Hits):
        hits = file.searches[name] = _Hits(file, name)
    for unit in file.units():
        for offset in _candidates(file, unit, hits, name):
            place = Place(unit, offset)
            try:
                entry = file.entry(place)
                if entry is None or entry.tag not in tags or At.NAME not in entry.attributes:
                    continue
                text = file.text(unit, *entry.attributes[At.NAME])
            except DamagedError:
                continue  # no entry begins there
            if text == name:
                yield place, entry


class _Hits:
    """Where a section's bytes are those of a name, or of a reference to it."""

    def __init__(self, file: DebugFile, name: bytes) -> None:
        self._file = file
        texts = set(_occurrences(file.section(b"str"), name))
        if file.alternate is not None:
            texts |= set(_occurrences(file.alternate.section(b"str"), name))
        self._texts = texts
        self._name = name
        self._found: dict[tuple[bool, int], list[int]] = {}
        table = file.section(b"str_offsets")
        self.indexed = bool(table) and any(
            table.find(struct.pack(file.order + "I", text)) >= 0 for text in texts
        )

    def between(self, unit: Unit) -> list[int]:
        """The positions in ``unit``, in order."""
        from bisect import bisect_left

        key = (unit.in_types, unit.offset_size)
        if key not in self._found:
            word = self._file.order + ("I" if unit.offset_size == 4 else "Q")
            patterns = [struct.pack(word, text) for text in self._texts if text < 1 << 8 * unit.offset_size]
            begins = _finds_any(unit.data, [*patterns, self._name + b"\0"])
            positions = list(islice(begins, _MOST_POSITIONS))
            if len(positions) >= _MOST_POSITIONS:
                raise DamagedError("it has a million entries of that name")
            self._found[key] = sorted(set(positions))
        found = self._found[key]
        return found[bisect_left(found, unit.start) : bisect_left(found, unit.end)]


def _finds(data: bytes, pattern: bytes) -> Iterator[int]:
    at = data.find(pattern)
    while at >= 0:
        yield at
        at = data.find(pattern, at + 1)


def _finds_any(data: bytes, patterns: Sequence[bytes]) -> Iterator[int]:
    """Where one of ``patterns`` begins; more than once for some, and in no order."""
    if len(patterns) <= _FEW:
        for pattern in patterns:
            yield from _finds(data, pattern)
        return
    # One pass for all takes as long as a few for one each.
    search = re.compile(b"|".join(map(re.escape, patterns))).search
    found = search(data)
    while found:
        yield found.start()
        found = search(data, found.start() + 1)


def _occurrences(texts: bytes, name: bytes) -> list[int]:
    """Where a section of strings has ``name``; linkers may keep it as the end of another one only."""
    pattern = name + b"\0"
    found = [at + 1 for at in _finds(texts, b"\0" + pattern)]
    if texts.startswith(pattern):
        found.append(0)
    if not found:
        for at in _finds(texts, pattern):
            found.append(at)
            if len(found) >= _MOST_SUFFIXES:
                break
    return found


def _candidates(file: DebugFile, unit: Unit, hits: _Hits, name: bytes) -> Iterator[int]:
    """Offsets in ``unit`` that may be those of a type called ``name``: some may be no entry's."""
    positions = hits.between(unit)
    if not positions and not hits.indexed:
        return
    codes = file.codes(unit)
    named = [
        (code, a)
        for code, a in codes.items()
        if a.tag in TYPES and any(each[0] == At.NAME for each in a.attributes)
    ]
    indexed = any(a.name is not None and a.name[1] in INDICES for _, a in named)
    if indexed or any(a.name is None for _, a in named) or max(codes, default=0) > _MOST_SHORT_CODES:
        if positions or indexed:
            yield from (place for place, a, _ in Walk(unit).entries() if a.tag in TYPES)
        return
    known: dict[int, Abbreviation] = dict(named)
    starts = {a.name[0] for a in known.values() if a.name is not None}
    for position in positions:
        for start in starts:
            for length in (1, 2):
                offset = position - start - length
                found = known.get(_code(unit, offset, length))
                if found is not None and found.name is not None and found.name[0] == start:
                    yield offset


def _code(unit: Unit, offset: int, length: int) -> int:
    """The code of ``length`` bytes at ``offset``; 0 if it is none."""
    if offset < unit.start:
        return 0
    first, second = unit.data[offset], unit.data[offset + 1]
    if length == 1:
        return first if first < 128 else 0
    return first & 127 | second << 7 if first > 127 and second < 128 else 0


class Scope(NamedTuple):
    """A namespace, or a type with others in it; whether its name may be left out, as an inline one's may."""

    name: str
    optional: bool


class Walk:
    """Steps through a unit's entries, with the names of what is around each."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._file = unit.file

    def entries(self) -> Iterator[tuple[int, Abbreviation, list[int]]]:
        """The offset and abbreviation of each entry of the unit, and the offsets of those around it."""
        at = self._unit.start
        around: list[int] = []
        while at < self._unit.end:
            end, abbreviation, _ = self._file.after(self._unit, at)
            if abbreviation is not None:
                yield at, abbreviation, around
                if abbreviation.children:
                    around.append(at)
            elif around:
                around.pop()
            at = end

    def scopes(self, wanted: int) -> list[Scope] | None:
        """What is around the entry at ``wanted``, from the outermost; None if no entry begins there."""
        at = self._unit.start
        around: list[int] = []
        while at < wanted:
            end, abbreviation, sibling = self._file.after(self._unit, at)
            if abbreviation is None:
                if not around:
                    return None
                around.pop()
            elif abbreviation.children:
                if at < sibling <= wanted:
                    end = sibling
                else:
                    around.append(at)
            at = end
        if at != wanted:
            return None
        return self.named(around)

    def named(self, around: Sequence[int]) -> list[Scope]:
        """The namespaces and types among the entries at ``around``."""
        return [scope for offset in around for scope in self._scope(offset)]

    def _scope(self, offset: int) -> Iterator[Scope]:
        entry = self._file.entry(Place(self._unit, offset))
        if entry is not None and entry.tag in _CONTAINERS:
            raw = self._file.text(self._unit, *entry.attributes.get(At.NAME, (0, b"")))
            name = raw.decode("utf-8", "surrogateescape")
            yield Scope(name, not name or At.EXPORT_SYMBOLS in entry.attributes)


def all_types(file: DebugFile, most: int) -> Iterator[tuple[str, int, Place]]:
    """The first types of a file: as one asks for each, its size in bytes (0: unknown), and its place."""
    count = 0
    for unit in file.units():
        walk = Walk(unit)
        for offset, abbreviation, around in walk.entries():
            if abbreviation.tag not in TYPES or abbreviation.tag == Tag.BASE:
                continue
            place = Place(unit, offset)
            entry = file.entry(place)
            if entry is None or At.NAME not in entry.attributes or At.DECLARATION in entry.attributes:
                continue
            name = file.text(unit, *entry.attributes[At.NAME]).decode("utf-8", "replace")
            written = [] if is_c(place) else walk.named(around)
            scopes = [scope.name for scope in written if not scope.optional]
            keyword = (
                RECORDS.get(entry.tag, "enum" if entry.tag == Tag.ENUMERATION else "") if is_c(place) else ""
            )
            yield f"{keyword} {'::'.join([*scopes, name])}".strip(), entry.number(At.BYTE_SIZE) or 0, place
            count += 1
            if count >= most:
                return
