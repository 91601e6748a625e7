"""A layout as commands use it: fields by path, values as text and JSON, stores."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from shmctl.core.errors import InputError
from shmctl.core.layouts.fields import Field, decode, encode, overlaid, parse_value, set_bits
from shmctl.core.layouts.model import (
    MOST_LEAVES,
    ArrayType,
    RecordType,
    Type,
    count_leaves,
    named_members,
    rooted,
)
from shmctl.core.layouts.records import lock_value, text_value
from shmctl.core.layouts.scalartype import ScalarType
from shmctl.core.layouts.values import Value, quote, to_json
from shmctl.core.models import Store
from shmctl.core.sizes import counted

Load: TypeAlias = Callable[[int, int], bytes]
Tree: TypeAlias = "dict[str, Tree] | list[Tree] | object"

_NEAR = 1 << 20
_STEP = re.compile(
    r"\.?(?P<name>[A-Za-z_]\w*)|\[(?:(?P<index>[0-9]+)|(?P<all>\*)|(?P<first>[0-9]*):(?P<last>[0-9]*))\]",
    re.ASCII,
)
_WIDE = {"wchar_t", "char16_t", "char32_t", "char8_t"}
_NARROW = {
    "uint8_t",
    "int8_t",
    "unsigned char",
    "signed char",
    "u8",
    "i8",
    "u_int8_t",
    "__u8",
    "__s8",
    "u_char",
}


class Place(NamedTuple):
    """A type within a layout, ``offset`` bits from its start: a leaf, or what has leaves."""

    path: str
    type: Type
    offset: int
    width: int | None = None


class Range(NamedTuple):
    """A step of a path that chooses elements: the first, and the one past the last (None: the end)."""

    first: int
    last: int | None
    shown: str


class Layout:
    """Where a type's values lie. ``size`` and ``alignment`` are in bytes; ``source`` says who laid it out.

    ``text_arrays`` makes arrays of bytes and of wide characters texts, as char arrays are.
    """

    def __init__(self, type_: Type, name: str, source: str, *, text_arrays: bool = False) -> None:
        self.name = name
        self.source = source
        self.root = rooted(type_)
        if count_leaves(self.root) > MOST_LEAVES:
            raise InputError(f"{quote(name)} has more than {MOST_LEAVES} values")
        self.size = self.root.size
        self.alignment = self.root.align
        self._text_arrays = text_arrays
        self._leaf_types: dict[int, tuple[Type, ScalarType]] = {}

    def with_text_arrays(self) -> "Layout":
        """The same, with arrays of bytes and of wide characters as texts."""
        return Layout(self.root, self.name, self.source, text_arrays=True)

    # -- places and fields

    def fields(self) -> Iterator[Field]:
        """Every value, in the order of its declaration; an array's one by one, a char array as one."""
        return self._leaves(Place("", self.root, 0))

    def select(self, path: str) -> list[Field]:
        """The fields at ``path`` (``in.y``, ``a[2]``, ``a[2:5].x``), or all below it; else InputError."""
        return list(self.each(path))

    def each(self, path: str) -> Iterator[Field]:
        """The same, one after another: there may be billions. Raises InputError at once."""
        places = self.places(path)
        return (field for place in places for field in self._leaves(place))

    def single(self, path: str) -> Field | None:
        """The one value at ``path``; None where it leads to several."""
        found = list(islice(self.each(path), 2))
        return found[0] if len(found) == 1 and found[0].path == path else None

    def spans(self, paths: Sequence[str]) -> list[tuple[int, int]]:
        """For each of ``paths``, which bytes to load for it, as (start, length).

        Near ones are loaded together, so that they are of one moment.
        """
        spans = [self._span(path) for path in paths]
        start = min(first for first, _ in spans)
        length = max(first + size for first, size in spans) - start
        return [(start, length)] * len(paths) if length <= _NEAR else spans

    def _span(self, path: str) -> tuple[int, int]:
        steps = self._steps(path)
        first, last = self._walk(steps, 0), self._walk(steps, -1)
        if first is None or last is None:
            return 0, 0
        start = first.offset // 8
        return start, _end(last) - start

    def _leaves(self, place: Place) -> Iterator[Field]:
        leaf = self._leaf(place.type)
        if leaf is not None:
            yield self._field(place, leaf)
            return
        for _, inner in self.inside(place):
            yield from self._leaves(inner)

    def is_leaf(self, type_: Type) -> bool:
        """Whether ``type_`` counts as one value."""
        return self._leaf(type_) is not None

    def _leaf(self, type_: Type) -> ScalarType | None:
        """The type of a value, if ``type_`` is one: a scalar, a lock, an array of characters."""
        if isinstance(type_, ScalarType):
            return type_._replace(kind="opaque") if type_.lock else type_
        if isinstance(type_, RecordType) and not type_.lock:
            return None
        if isinstance(type_, ArrayType) and not self._is_text(type_):
            return None
        known = self._leaf_types.get(id(type_))
        if known is None:
            made = lock_value(type_) if isinstance(type_, RecordType) else text_value(type_)
            known = self._leaf_types[id(type_)] = (type_, made)
        return known[1]

    def _is_text(self, type_: ArrayType) -> bool:
        item = type_.item
        if not type_.length or not isinstance(item, ScalarType):
            return False
        if item.kind == "char":
            return True
        if not self._text_arrays or item.kind not in ("int", "uint") or item.labels:
            return False
        return item.name in _WIDE or (item.size == 1 and item.name in _NARROW)

    def inside(self, place: Place) -> Iterator[tuple[str, Place]]:
        """The members or elements of ``place``, each with its last step: ``x``, ``[2]``."""
        type_ = place.type
        if isinstance(type_, ArrayType):
            for index in range(type_.length):
                yield f"[{index}]", self._element(place, type_, index)
        elif isinstance(type_, RecordType):
            for member in named_members(type_):
                path = f"{place.path}.{member.name}" if place.path else member.name
                yield member.name, Place(path, member.type, place.offset + member.bit_offset, member.bit_size)

    @staticmethod
    def _element(place: Place, type_: ArrayType, index: int) -> Place:
        return Place(f"{place.path}[{index}]", type_.item, place.offset + index * type_.item.size * 8)

    @staticmethod
    def _field(place: Place, type_: ScalarType) -> Field:
        offset, shift = divmod(place.offset, 8)
        if place.width is None:
            return Field(place.path, type_.name, offset, type_.size, None, None, type_)
        size = (shift + place.width + 7) // 8
        if type_.endian == "big":
            shift = size * 8 - shift - place.width
        return Field(place.path, type_.name, offset, size, shift, place.width, type_)

    # -- paths

    def places(self, path: str) -> Iterator[Place]:
        """The places at ``path``: one, or those that its ranges choose. Raises InputError at once."""
        steps = self._steps(path)
        for which in (0, -1):
            self._walk(steps, which)
        return self._expand(Place("", self.root, 0), steps)

    def _expand(self, place: Place, steps: Sequence[str | Range]) -> Iterator[Place]:
        for index, step in enumerate(steps):
            if isinstance(step, Range):
                for at in self._indices(place, step):
                    assert isinstance(place.type, ArrayType)  # noqa: S101 - _indices has seen to it
                    yield from self._expand(self._element(place, place.type, at), steps[index + 1 :])
                return
            place = self._named(place, step)
        yield place

    def _walk(self, steps: Sequence[str | Range], which: int) -> Place | None:
        """The first (0) or last (-1) of the places that ``steps`` lead to; None if a range is empty."""
        place = Place("", self.root, 0)
        for step in steps:
            if isinstance(step, Range):
                indices = self._indices(place, step)
                if not indices:
                    return None
                assert isinstance(place.type, ArrayType)  # noqa: S101 - _indices has seen to it
                place = self._element(place, place.type, indices[which])
            else:
                place = self._named(place, step)
        return place

    def _steps(self, path: str) -> list[str | Range]:
        steps: list[str | Range] = []
        at = 0
        while at < len(path):
            match = _STEP.match(path, at)
            if match is None or (match.group().startswith(".") and at == 0):
                raise InputError(f"{quote(path)} is not the name of a field", self.hint(path))
            if match["name"] is not None and at > 0 and not match.group().startswith("."):
                raise InputError(f"{quote(path)} is not the name of a field", "members are parted by a dot")
            steps.append(match["name"] if match["name"] is not None else _range(match))
            at = match.end()
        if not steps:
            raise InputError("a field's name is empty", self.hint(""))
        return steps

    def _named(self, place: Place, name: str) -> Place:
        # A lock counts as one value, and its parts can be had by name.
        for known, member in self.inside(place) if isinstance(place.type, RecordType) else ():
            if known == name:
                return member
        path = f"{place.path}.{name}" if place.path else name
        raise InputError(f"no field is called {quote(path)}", self._hint(place, name))

    def _indices(self, place: Place, step: Range) -> range:
        type_ = place.type
        if not isinstance(type_, ArrayType):
            raise InputError(f"{quote(place.path or self.name)} is not an array")
        length = type_.length
        last = length if step.last is None else step.last
        if last > length or step.first > last:
            has = f"has {length} elements, [0] to [{length - 1}]" if length else "has no elements"
            raise InputError(f"{place.path}[{quote(step.shown)}] is out of range: {place.path} {has}")
        return range(step.first, last)

    def hint(self, name: str) -> str | None:
        """The names of fields that look like ``name``."""
        return self._hint(Place("", self.root, 0), name)

    def _hint(self, place: Place, name: str) -> str | None:
        if not isinstance(place.type, RecordType):
            return None
        import difflib

        names = [known for known, _ in islice(self.inside(place), 1000)]
        close = difflib.get_close_matches(name[:80], names, n=3) or names[:12]
        if not close:
            return None
        more = ", …" if len(close) == 12 and len(names) > 12 else ""
        return f"fields{f' of {place.path}' if place.path else ''}: {', '.join(close)}{more}"

    # -- values

    def read(self, data: bytes, field: Field, start: int = 0) -> Value:
        """The value of ``field`` in ``data``, which begins ``start`` bytes into the structure."""
        return decode(field, self._raw(data, field, start))

    @staticmethod
    def _raw(data: bytes, field: Field, start: int = 0) -> bytes:
        offset = field.offset - start
        if len(data) < offset + field.size:
            there = counted(len(data), "byte")
            raise InputError(
                f"{field.path} ends at byte {field.offset + field.size}, and the data has {there}"
            )
        return data[offset : offset + field.size]

    def tree(self, data: bytes, value: Callable[[Field, bytes], Any] | None = None) -> dict[str, Any]:
        """The whole structure: dicts for structures, lists for arrays, each value as ``value`` makes it.

        Without it they are as JSON has them.
        """
        tree: dict[str, Any] = self.subtree(data, Place("", self.root, 0), value)
        return tree

    def subtree(
        self, data: bytes, place: Place, value: Callable[[Field, bytes], Any] | None = None, start: int = 0
    ) -> Any:
        """The same for what is at ``place``; ``data`` begins ``start`` bytes into the structure."""
        make = value or (lambda field, raw: to_json(decode(field, raw)))
        leaf = self._leaf(place.type)
        if leaf is not None:
            field = self._field(place, leaf)
            return make(field, self._raw(data, field, start))
        if isinstance(place.type, ArrayType):
            return [self.subtree(data, inner, make, start) for _, inner in self.inside(place)]
        return {name: self.subtree(data, inner, make, start) for name, inner in self.inside(place)}

    # -- stores

    def stores(self, assignments: Sequence[str], load: Load) -> list[Store]:
        """The stores that ``FIELD=VALUE`` texts ask for, in their order, over no byte of another field.

        A whole array is ``a={1,2,3}``. A bit-field's neighbours in its bytes
        come from ``load(offset, length)``. Raises InputError, before anything
        is returned, for a field or a value that cannot be.
        """
        return self.stores_of([pair for text in assignments for pair in self._assignment(text)], load)

    @staticmethod
    def stores_of(pairs: Sequence[tuple[Field, Value]], load: Load) -> list[Store]:
        """The same for fields and the values that they are to have, as parse_value gives them."""
        stores: list[Store] = []
        for target, value in pairs:
            if target.bit_width is None:
                stores.append(Store(target.offset, encode(target, value)))
            else:
                around = overlaid(load(target.offset, target.size), target.offset, stores)
                stores.append(Store(target.offset, set_bits(target, around, int(value))))
        return stores

    def _assignment(self, text: str) -> list[tuple[Field, Value]]:
        path, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{quote(text)} is not FIELD=VALUE", self.hint(text))
        return [pair for place in self.places(path) for pair in self._assigned(place, value)]

    def _assigned(self, place: Place, value: str) -> list[tuple[Field, Value]]:
        leaf = self._leaf(place.type)
        if leaf is not None:
            target = self._field(place, leaf)
            return [(target, parse_value(target, value))]
        if isinstance(place.type, ArrayType) and value.startswith("{") and value.endswith("}"):
            return self._array(place, value[1:-1].split(","))
        if isinstance(place.type, ArrayType):
            raise InputError(f"{place.path} is an array", f"write {place.path}[0]=… or {place.path}={{…,…}}")
        assert isinstance(place.type, RecordType)  # noqa: S101 - scalars are leaves
        raise InputError(f"{place.path} is a {place.type.keyword}: name a member", self._hint(place, ""))

    def _array(self, place: Place, values: list[str]) -> list[tuple[Field, Value]]:
        item: Type = place.type
        length = 1
        while isinstance(item, ArrayType) and self._leaf(item) is None:
            length *= item.length
            item = item.item
        if not isinstance(item, ScalarType):
            raise InputError(f"{place.path} is not an array of plain values", "name its members one by one")
        if len(values) != length:
            raise InputError(
                f"{place.path} has {counted(length, 'element')} and gets {counted(len(values), 'value')}"
            )
        pairs = zip(self._leaves(place), values, strict=True)
        return [(target, parse_value(target, value.strip())) for target, value in pairs]


def _range(match: "re.Match[str]") -> Range:
    shown = match.group().strip("[]")
    first, last = match["first"], match["last"]
    if match["index"] is not None:
        index = _index(match["index"])
        return Range(index, index + 1, shown)
    return Range(_index(first or "0"), None if match["all"] or not last else _index(last), shown)


def _index(digits: str) -> int:
    """A text of thousands of digits is no number to int(), and no index."""
    return int(digits) if len(digits) <= 20 else 1 << 64


def _end(place: Place) -> int:
    bits = place.type.size * 8 if place.width is None else place.width
    return (place.offset + bits + 7) // 8
