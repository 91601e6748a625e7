"""Structures in shared memory as C lays them out: fields by name, values as text and JSON, stores.

The layout is cffi's, which is the platform's C compiler's. Importing this
module loads neither cffi nor a parser; parse and parse_header do.
"""

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from shmctl.core.errors import InputError, failing_as
from shmctl.core.layouts import posixtypes, scalars
from shmctl.core.layouts.fields import Field, decode, encode, overlaid, parse_value, set_bits
from shmctl.core.layouts.scalars import ScalarType
from shmctl.core.layouts.values import Value, quote, to_json
from shmctl.core.models import Store
from shmctl.core.sizes import counted

if TYPE_CHECKING:
    from shmctl.core.layouts.declarations import Structure

__all__ = ["Field", "Layout", "Load", "Store", "Tree", "load_header", "parse", "parse_header"]

HEADER_MAX = 16 << 20
"""The longest header that is read, in characters: what /dev/zero holds would take all the memory."""

Load: TypeAlias = Callable[[int, int], bytes]
Tree: TypeAlias = "dict[str, Tree] | list[Tree] | int | float | bool | str | None"


def parse(declaration: str) -> "Layout":
    """The layout of a DECL: ``int a; char b[8]``, ``struct s {…}``, ``typedef struct {…} name``.

    Other declarations and ``#define`` lines may come first. Raises InputError
    with the line for what is not understood, or would be laid out wrongly.
    """
    from shmctl.core.layouts.declarations import from_declaration

    return Layout(from_declaration(declaration))


def parse_header(text: str, type_name: str, filename: str) -> "Layout":
    """The layout of the type ``type_name`` that the header ``filename``, whose text is ``text``, defines.

    ``type_name`` is a typedef's name, ``struct s``, ``union u`` or a bare tag.
    ``#include "…"`` is read from beside the file, and ``#include <…>`` left
    out. Raises InputError with file and line for what is not understood.
    """
    from shmctl.core.layouts.declarations import from_header

    return Layout(from_header(text, type_name, filename))


def load_header(path: str, type_name: str) -> "Layout":
    """`parse_header` of the file at ``path``. Raises FileError where it cannot be read."""
    with (
        failing_as("open", os.fsencode(path)),
        open(path, encoding="utf-8", errors="surrogateescape") as file,
    ):
        text = file.read(HEADER_MAX + 1)
    if len(text) > HEADER_MAX:
        raise InputError(f"{path}: a header of more than {HEADER_MAX >> 20} MiB is not read")
    return parse_header(text, type_name, path)


@dataclass(frozen=True, slots=True)
class _Place:
    """A type within a structure: a leaf, or what has leaves."""

    path: str
    ctype: Any
    offset: int
    bit_shift: int | None = None
    bit_width: int | None = None


_NEAR = 1 << 20
_STEP = re.compile(r"\.?([A-Za-z_]\w*)|\[([0-9]+)\]", re.ASCII)


class Layout:
    """Where a structure's values lie. ``size`` and ``alignment`` are in bytes."""

    def __init__(self, structure: "Structure") -> None:
        self.name = structure.name
        self._ffi = structure.ffi
        self._names = structure.names
        self._root = _Place("", structure.ctype, 0)
        self.size: int = self._ffi.sizeof(structure.ctype)
        self.alignment: int = self._ffi.alignof(structure.ctype)
        self._types: dict[Any, tuple[ScalarType, Mapping[str, int]]] = {}

    # -- places and fields

    def fields(self) -> Iterator[Field]:
        """Every value, in the order of its declaration; an array's one by one, a char array as one."""
        return self._leaves(self._root)

    def select(self, path: str) -> list[Field]:
        """The fields at ``path`` (``in.y``, ``a[2]``), or all below it (``in``, ``a``); else InputError."""
        return list(self.each(path))

    def each(self, path: str) -> Iterator[Field]:
        """The same, one after another: there may be billions. Raises InputError at once."""
        return self._leaves(self._resolve(path))

    def spans(self, paths: Sequence[str]) -> list[tuple[int, int]]:
        """For each of ``paths``, which bytes to load for it, as (start, length).

        Near ones are loaded together, so that they are of one moment.
        """
        places = [self._resolve(path) for path in paths]
        start = min(place.offset for place in places)
        length = max(place.offset + self._size(place) for place in places) - start
        if length <= _NEAR:
            return [(start, length)] * len(places)
        return [(place.offset, self._size(place)) for place in places]

    def _leaves(self, place: _Place) -> Iterator[Field]:
        if self._is_leaf(place):
            yield self._field(place)
            return
        for _, inner in self._inside(place):
            yield from self._leaves(inner)

    def _is_leaf(self, place: _Place) -> bool:
        ctype = place.ctype
        if ctype.kind == "array":
            return bool(ctype.length) and ctype.item.cname == "char"
        return ctype.kind not in ("struct", "union") or _is_opaque(ctype)

    def _inside(self, place: _Place) -> Iterator[tuple[str, _Place]]:
        """The members or elements of ``place``, each with its last step: ``x``, ``[2]``."""
        ctype = place.ctype
        if ctype.kind == "array":
            stride = self._ffi.sizeof(ctype.item)
            for index in range(ctype.length or 0):
                step = f"[{index}]"
                yield step, _Place(place.path + step, ctype.item, place.offset + index * stride)
            return
        for name, member in ctype.fields:
            yield name, self._member(place, name, member)

    @staticmethod
    def _member(place: _Place, name: str, member: Any) -> _Place:
        path = f"{place.path}.{name}" if place.path else name
        if member.bitsize < 0:
            return _Place(path, member.type, place.offset + member.offset)
        if sys.byteorder == "big":
            raise InputError(f"{path}: bit-fields are not supported on a big-endian machine")
        bit = member.offset * 8 + member.bitshift
        return _Place(path, member.type, place.offset + bit // 8, bit % 8, member.bitsize)

    def _field(self, place: _Place) -> Field:
        type_, labels = self._type(place.ctype)
        shift, width = place.bit_shift, place.bit_width
        return Field(place.path, type_.name, place.offset, self._size(place), shift, width, type_, labels)

    def _size(self, place: _Place) -> int:
        if place.bit_shift is None or place.bit_width is None:
            return int(self._ffi.sizeof(place.ctype))
        return (place.bit_shift + place.bit_width + 7) // 8

    def _type(self, ctype: Any) -> tuple[ScalarType, Mapping[str, int]]:
        if ctype not in self._types:
            labels = dict(ctype.relements) if ctype.kind == "enum" else {}
            self._types[ctype] = (self._scalar(ctype), labels)
        return self._types[ctype]

    def _scalar(self, ctype: Any) -> ScalarType:
        from shmctl.core.layouts.declarations import show_type

        name = "bool" if ctype.cname == "_Bool" else show_type(ctype.cname, self._names)
        size = self._ffi.sizeof(ctype)
        if ctype.kind in ("pointer", "function"):
            return scalars.address(name)
        if ctype.kind == "array":
            return ScalarType(name, size, "", "text")
        if ctype.kind in ("struct", "union") or "complex" in ctype.cname:
            return ScalarType(
                name.replace("_cffi_", "").replace("_complex_t", " _Complex"), size, "", "opaque"
            )
        special = {
            "char": scalars.CHAR,
            "_Bool": scalars.BOOL,
            "float": scalars.FLOAT,
            "double": scalars.DOUBLE,
        }
        if ctype.cname in special:
            return special[ctype.cname]
        if ctype.cname == "long double":
            return ScalarType(name, size, "", "longdouble")
        return scalars.integer(name, size, int(self._ffi.cast(ctype, -1)) < 0)

    # -- paths

    def _resolve(self, path: str) -> _Place:
        place = self._root
        at = 0
        while at < len(path):
            match = _STEP.match(path, at)
            if match is None or (match.group().startswith(".") and at == 0):
                raise InputError(f"{quote(path)} is not the name of a field", self._hint(self._root, path))
            name, index = match.groups()
            if name is not None and at > 0 and not match.group().startswith("."):
                raise InputError(f"{quote(path)} is not the name of a field", "members are parted by a dot")
            place = self._element(place, index) if name is None else self._named(place, name)
            at = match.end()
        if place is self._root:
            raise InputError("a field's name is empty", self._hint(self._root, ""))
        return place

    def _named(self, place: _Place, name: str) -> _Place:
        if place.ctype.kind in ("struct", "union") and not _is_opaque(place.ctype):
            for known, member in place.ctype.fields:
                if known == name:
                    return self._member(place, name, member)
        path = f"{place.path}.{name}" if place.path else name
        raise InputError(f"no field is called {quote(path)}", self._hint(place, name))

    def _element(self, place: _Place, index: str) -> _Place:
        ctype = place.ctype
        if ctype.kind != "array":
            raise InputError(f"{quote(place.path or self.name)} is not an array")
        length = ctype.length or 0
        # a text of thousands of digits is no number to int(), and no index
        if len(index) > 20 or int(index) >= length:
            has = f"has {counted(length, 'element')}, [0] to [{length - 1}]" if length else "has no elements"
            raise InputError(f"{place.path}[{quote(index)}] is out of range: {place.path} {has}")
        offset = place.offset + int(index) * self._ffi.sizeof(ctype.item)
        return _Place(f"{place.path}[{int(index)}]", ctype.item, offset)

    def _hint(self, place: _Place, name: str) -> str | None:
        if place.ctype.kind not in ("struct", "union") or _is_opaque(place.ctype):
            return None
        names = [known for known, _ in islice(place.ctype.fields, 1000)]
        close = difflib.get_close_matches(name[:80], names, n=3) or names[:12]
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
            raise InputError(
                f"{field.path} ends at byte {field.offset + field.size} of {counted(len(data), 'byte')}"
            )
        return data[offset : offset + field.size]

    def tree(self, data: bytes, value: Callable[[Field, bytes], Any] | None = None) -> dict[str, Tree]:
        """The whole structure: dicts for structures, lists for arrays, each value as ``value`` makes it.

        Without it they are as JSON has them.
        """
        tree = self._tree(data, self._root, value or (lambda field, raw: to_json(decode(field, raw))))
        assert isinstance(tree, dict)  # noqa: S101 - the root is a structure
        return tree

    def _tree(self, data: bytes, place: _Place, value: Callable[[Field, bytes], Any]) -> Tree:
        if self._is_leaf(place):
            field = self._field(place)
            tree: Tree = value(field, self._raw(data, field))
            return tree
        if place.ctype.kind == "array":
            return [self._tree(data, inner, value) for _, inner in self._inside(place)]
        return {name: self._tree(data, inner, value) for name, inner in self._inside(place)}

    # -- stores

    def stores(self, assignments: Sequence[str], load: Load) -> list[Store]:
        """The stores that ``FIELD=VALUE`` texts ask for, in their order, over no byte of another field.

        A whole array is ``a={1,2,3}``. A bit-field's neighbours in its bytes
        come from ``load(offset, length)``. Raises InputError, before anything
        is returned, for a field or a value that cannot be.
        """
        return self.stores_of([pair for text in assignments for pair in self._assignment(text)], load)

    def stores_of(self, pairs: Sequence[tuple[Field, Value]], load: Load) -> list[Store]:
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
            raise InputError(f"{quote(text)} is not FIELD=VALUE", self._hint(self._root, text))
        place = self._resolve(path)
        if self._is_leaf(place):
            target = self._field(place)
            return [(target, parse_value(target, value))]
        if place.ctype.kind == "array" and value.startswith("{") and value.endswith("}"):
            return self._array(place, value[1:-1].split(","))
        if place.ctype.kind == "array":
            raise InputError(f"{place.path} is an array", f"write {place.path}[0]=… or {place.path}={{…,…}}")
        raise InputError(f"{place.path} is a {place.ctype.kind}: name a member", self._hint(place, ""))

    def _array(self, place: _Place, values: list[str]) -> list[tuple[Field, Value]]:
        item, length = place.ctype, 1
        while item.kind == "array" and item.cname != "char" and not self._is_leaf(_Place("", item, 0)):
            item, length = item.item, length * (item.length or 0)
        if not self._is_leaf(_Place("", item, 0)) or item.kind == "array":
            raise InputError(f"{place.path} is not an array of plain values", "name its members one by one")
        if len(values) != length:
            raise InputError(f"{place.path} takes {counted(length, 'value')}, not {len(values)}")
        targets = list(self._leaves(place))
        pairs = zip(targets, values, strict=True)
        return [(target, parse_value(target, value.strip())) for target, value in pairs]


def _is_opaque(ctype: Any) -> bool:
    """Whether the type is one of posixtypes whose bytes mean nothing to a user, such as sem_t."""
    return ctype.kind == "union" and [name for name, _ in ctype.fields or ()] == list(
        posixtypes.OPAQUE_MEMBERS
    )
