"""Where the source defines a type: the file names of DWARF's line tables (DWARF 5, section 6.2.4)."""

import struct
from collections.abc import Iterator

from shmctl.core.layouts.dwarf import Entry, Place, Unit
from shmctl.core.layouts.dwarfnumbers import At, uleb
from shmctl.core.layouts.elf import DamagedError

_MOST_FILES = 1 << 16
_PATH = 1


def declared(place: Place, entry: Entry) -> tuple[str, int]:
    """The file's name, without folders, and the line of a type; '' and 0 where that is not known."""
    number, line = entry.number(At.DECL_FILE), entry.number(At.DECL_LINE)
    if number is None:
        return "", line or 0
    try:
        names = _names(place.unit)
    except (DamagedError, IndexError, struct.error):
        return "", line or 0
    index = number if place.unit.version >= 5 else number - 1
    return (names[index] if 0 <= index < len(names) else ""), line or 0


def _names(unit: Unit) -> list[str]:
    first = unit.file.entry(Place(unit, unit.start))
    offset = first.number(At.STMT_LIST) if first else None
    if offset is None:
        return []
    known = unit.file.source_files
    if offset not in known:
        raw = _table(unit, unit.file.section(b"line"), offset)
        known[offset] = [name.decode("utf-8", "surrogateescape") for name in raw]
    return known[offset]


def _table(unit: Unit, data: bytes, at: int) -> Iterator[bytes]:
    order = unit.file.order
    (length,) = struct.unpack_from(order + "I", data, at)
    at, size = at + 4, 4
    if length == 0xFFFFFFFF:
        at, size = at + 8, 8
    (version,) = struct.unpack_from(order + "H", data, at)
    at += 2 + (2 if version >= 5 else 0) + size  # address and selector sizes; the header's length
    at += (
        1 + (1 if version >= 4 else 0) + 1 + 1 + 1
    )  # instruction, operations, default, line base, line range
    opcodes = data[at]
    at += opcodes
    if version >= 5:
        at = _entries(unit, data, at, [])
        names: list[bytes] = []
        _entries(unit, data, at, names)
        yield from names
        return
    while data[at]:
        at = data.index(b"\0", at) + 1
    at += 1
    for _ in range(_MOST_FILES):
        end = data.index(b"\0", at)
        if end == at:
            return
        yield data[at:end]
        at = end + 1
        for _ in range(3):
            _, at = uleb(data, at)


def _entries(unit: Unit, data: bytes, at: int, names: list[bytes]) -> int:
    """Read one of version 5's tables; ``names`` gets the paths."""
    count = data[at]
    at += 1
    forms = []
    for _ in range(count):
        kind, at = uleb(data, at)
        form, at = uleb(data, at)
        forms.append((kind, form))
    total, at = uleb(data, at)
    if total > _MOST_FILES:
        raise DamagedError("too many files")
    for _ in range(total):
        for kind, form in forms:
            value, at = unit.file.value(unit, form, at, data)
            if kind == _PATH:
                text = unit.file.text(unit, form, value)
                names.append(text.rpartition(b"/")[2])
    return at
