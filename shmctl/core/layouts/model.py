"""The one model of a layout: scalars, arrays and records, wherever the knowledge came from.

A type is immutable and compares by what it says, so that two sources, or two
definitions of one name, agree exactly where they are equal.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, Union

from shmctl.core.layouts.scalartype import Endian, ScalarType

LOCKS = frozenset(
    {
        *("pthread_mutex_t", "pthread_rwlock_t", "pthread_cond_t", "pthread_barrier_t"),
        *("pthread_spinlock_t", "sem_t"),
    }
)
"""The types whose bytes are shown as a state in words."""


class ArrayType(NamedTuple):
    """``length`` items, one behind the other; a flexible array has length 0."""

    item: "Type"
    length: int

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.item.size * self.length

    @property
    def align(self) -> int:
        """Its alignment in bytes: that of an item."""
        return self.item.align

    @property
    def name(self) -> str:
        """``int[2][3]``."""
        item: Type = self
        bounds = ""
        while isinstance(item, ArrayType):
            bounds += f"[{item.length or ''}]"
            item = item.item
        return item.name + bounds


class Member(NamedTuple):
    """A member: its offset in bits from the record's start, and its width in bits if it is a bit-field.

    The members of one without a name belong to the record around it.
    """

    name: str
    bit_offset: int
    bit_size: int | None
    type: "Type"


class RecordType(NamedTuple):
    """A struct, union or class. ``size`` and ``align`` are bytes; ``lock`` is as in `ScalarType`."""

    name: str
    keyword: str
    size: int
    align: int
    members: tuple[Member, ...]
    lock: str = ""
    endian: Endian = None


Type: TypeAlias = Union[ScalarType, ArrayType, RecordType]  # noqa: UP007 - a forward reference in NamedTuples

MOST_LEAVES = 1 << 20
"""How many values a type may have, an array counting as one item: only a damaged one has more."""


def count_leaves(type_: Type, known: dict[int, int] | None = None) -> int:
    """The values in ``type_``, an array counting as one of its items."""
    known = {} if known is None else known
    if isinstance(type_, ArrayType):
        return count_leaves(type_.item, known)
    if isinstance(type_, ScalarType):
        return 1
    if id(type_) not in known:
        known[id(type_)] = sum(count_leaves(member.type, known) for member in type_.members)
    return known[id(type_)]


def named_members(record: RecordType, base: int = 0) -> Iterator[Member]:
    """The members of ``record`` and of the nameless ones in it, ``bit_offset`` from the record's start."""
    for member in record.members:
        at = base + member.bit_offset
        if member.name:
            yield member._replace(bit_offset=at)
        elif isinstance(member.type, RecordType):
            yield from named_members(member.type, at)


def rooted(type_: Type) -> RecordType:
    """``type_`` as a record: one that is none becomes the member ``value`` of a record of its own."""
    if isinstance(type_, RecordType) and not type_.lock:
        return type_
    return RecordType(
        type_.name, "type", type_.size, type_.align, (Member("value", 0, None, type_),), "", endian_of(type_)
    )


def endian_of(type_: Type) -> Endian:
    """The byte order of a type's values."""
    return endian_of(type_.item) if isinstance(type_, ArrayType) else type_.endian
