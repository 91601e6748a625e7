"""What a layout looks like: its members in their order, nested, with holes, padding and cache lines."""

from collections.abc import Iterator
from typing import NamedTuple

from shmctl.core.layouts.layout import Layout, Place
from shmctl.core.layouts.model import ArrayType, Member, RecordType, Type
from shmctl.core.layouts.scalartype import ScalarType

MOST_ELEMENTS = 64
"""Arrays of more elements are shown as one element and their number."""

CACHE_LINE = 64


class Row(NamedTuple):
    """A line of an outline.

    ``kind`` is ``field``, ``group`` (whose members follow, one deeper), ``hole``,
    ``padding`` or ``line`` (a cache line begins). ``offset`` and ``size`` are in
    bits, from the start of the whole.
    """

    kind: str
    depth: int
    offset: int
    size: int
    type: str
    name: str


class Leaf(NamedTuple):
    """One value: its path, offset, size and type; of a bit-field its bits, of a long array its length."""

    path: str
    offset: int
    size: int
    type: str
    bit_offset: int | None = None
    bit_size: int | None = None
    length: int | None = None
    stride: int | None = None


def outline(layout: Layout, cache_line: int = CACHE_LINE) -> Iterator[Row]:
    """The rows of a layout; ``cache_line`` is a cache line's length in bytes."""
    border = cache_line * 8
    line = 0
    for row in _inside(layout, layout.root, 0, 0):
        begun = row.offset // border
        if begun > line and row.kind != "padding":
            line = begun
            yield Row("line", 0, line * border, row.offset - line * border, "", str(line))
        yield row


def _inside(layout: Layout, record: RecordType, base: int, depth: int) -> Iterator[Row]:
    end = base
    for member in sorted(record.members, key=_by_offset) if record.keyword != "union" else record.members:
        start = base + member.bit_offset
        if start > end and record.keyword != "union":
            yield Row("hole", depth, end, start - end, "", "")
        yield from _member(layout, member, start, depth)
        size = member.type.size * 8 if member.bit_size is None else member.bit_size
        end = max(end, start + size)
    if end < base + record.size * 8:
        yield Row("padding", depth, end, base + record.size * 8 - end, "", "")


def _by_offset(member: Member) -> int:
    return member.bit_offset


def _member(layout: Layout, member: Member, start: int, depth: int) -> Iterator[Row]:
    inner: Type = member.type
    while isinstance(inner, ArrayType) and not layout.is_leaf(inner):
        inner = inner.item
    size = member.type.size * 8 if member.bit_size is None else member.bit_size
    if isinstance(inner, RecordType) and not inner.lock:
        yield Row("group", depth, start, size, member.type.name, member.name)
        yield from _inside(layout, inner, start, depth + 1)
        return
    name = member.name if member.bit_size is None else f"{member.name} : {member.bit_size}"
    yield Row("field", depth, start, size, member.type.name, name)


def leaves(layout: Layout) -> Iterator[Leaf]:
    """Every value, with its whole path; of an array of more than MOST_ELEMENTS one for all, as ``a[]``."""
    return _leaves(layout, Place("", layout.root, 0), None, None)


def _leaves(layout: Layout, place: Place, count: int | None, stride: int | None) -> Iterator[Leaf]:
    type_ = place.type
    if isinstance(type_, ScalarType) or layout.is_leaf(type_):
        offset, bits = place.offset // 8, place.width
        size = type_.size if bits is None else (place.offset % 8 + bits + 7) // 8
        first = place.offset if bits is not None else None
        yield Leaf(place.path, offset, size, type_.name, first, bits, count, stride)
    elif isinstance(type_, ArrayType) and type_.length > MOST_ELEMENTS:
        inner = Place(f"{place.path}[]", type_.item, place.offset)
        if count is None:
            count, stride = type_.length, type_.item.size
        else:
            count *= type_.length
        yield from _leaves(layout, inner, count, stride)
    else:
        for _, inner in layout.inside(place):
            yield from _leaves(layout, inner, count, stride)
