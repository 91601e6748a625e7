"""What follows from a record's members: its alignment, their names, and that it holds but one value."""

import re
from collections.abc import Iterator

from shmctl.core.layouts.model import ArrayType, Member, RecordType, Type, named_members
from shmctl.core.layouts.scalartype import ScalarType


def with_alignment(type_: Type, align: int) -> Type:
    """``type_`` aligned at ``align`` bytes."""
    if isinstance(type_, ArrayType):
        return type_._replace(item=with_alignment(type_.item, align))
    return type_._replace(align=align)


def natural_alignment(size: int, machine: int, encoding: int) -> int:
    """The alignment of a scalar where nothing else is said; i386 aligns at no more than 4 bytes."""
    most = 4 if machine == 3 else 16
    if encoding == 3:  # DW_ATE_complex_float: two parts
        size //= 2
    return min(size & -size, most) or 1


def inferred_alignment(size: int, members: list[Member]) -> int:
    """The greatest alignment that a record can have had: DWARF tells it only where the source did."""
    align = max((member.type.align for member in members if member.bit_size is None), default=1)
    for member in members:
        if member.bit_size is not None:
            align = max(align, member.type.align)
    while align > 1 and (
        size % align
        or any(
            member.bit_size is None and member.bit_offset // 8 % min(align, member.type.align)
            for member in members
        )
    ):
        align //= 2
    return align


_WORDS = {
    "long int": "long", "long unsigned int": "unsigned long", "short int": "short",
    "short unsigned int": "unsigned short", "long long int": "long long",
    "long long unsigned int": "unsigned long long", "_Bool": "bool",
    "__int128 unsigned": "unsigned __int128",
}  # fmt: skip


def plain_name(name: str) -> str:
    """A base type's name as shmctl writes it, whichever compiler it came from."""
    return _WORDS.get(name, name)


def without_doubles(members: list[Member]) -> list[Member]:
    """``members``, where a base class whose members' names are taken counts as a member with its own name."""
    own = {member.name for member in members if member.name}
    result: list[Member] = []
    for member in members:
        if not member.name and isinstance(member.type, RecordType):
            inner = set(_names(member.type))
            if inner & own and member.type.name not in ("struct", "union", "class"):
                member = member._replace(name=re.sub(r"\W", "_", member.type.name))  # noqa: PLW2901
            own |= inner
        result.append(member)
    return result


def _names(record: RecordType) -> Iterator[str]:
    for member in record.members:
        if member.name:
            yield member.name
        elif isinstance(member.type, RecordType):
            yield from _names(member.type)


_WRAPPERS = re.compile(
    r"(atomic|__atomic_base|__atomic_float|array|mutex|recursive_mutex|timed_mutex|recursive_timed_mutex|"
    r"shared_mutex|shared_timed_mutex|condition_variable|atomic_flag|Atomic[A-Z]\w+)(<.*>)?",
    re.DOTALL,
)


def as_known(record: RecordType, name: str) -> Type:
    """C++'s and Rust's wrappers as the one value that they hold: std::atomic<int> is an int."""
    if not _WRAPPERS.fullmatch(name):
        return record
    parts = [part for part in record.members if part.type.size and not _is_empty(part.type)]
    if len(parts) != 1 or parts[0].bit_offset or parts[0].type.size != record.size:
        return record
    inner = parts[0].type
    while isinstance(inner, RecordType) and not inner.lock:
        inner_parts = [part for part in inner.members if part.type.size and not _is_empty(part.type)]
        if len(inner_parts) != 1 or inner_parts[0].bit_offset or inner_parts[0].type.size != record.size:
            return record
        inner = inner_parts[0].type
    if isinstance(inner, ArrayType):
        return inner if name.startswith("array") else record
    if isinstance(inner, ScalarType) and inner.kind == "opaque":
        return record
    return inner._replace(name=name if name.startswith("Atomic") else f"std::{name}", align=record.align)


def _is_empty(type_: Type) -> bool:
    return isinstance(type_, RecordType) and not type_.lock and not any(True for _ in _names(type_))


def text_value(type_: ArrayType) -> ScalarType:
    """Return an array of characters as one value."""
    item = type_.item
    assert isinstance(item, ScalarType)  # noqa: S101 - for the type checker: only such arrays are texts
    return ScalarType(type_.name, type_.size, "", "text", item.align, item.endian, width=item.size)


_PARTS = {
    "pthread_mutex_t": ("lock", "count", "owner", "kind"),
    "pthread_rwlock_t": ("readers", "writers", "cur_writer", "shared"),
    "pthread_cond_t": ("wrefs",),
    "pthread_barrier_t": ("in", "current_round", "count"),
}


def lock_value(type_: RecordType) -> ScalarType:
    """A lock as one value, with the places of its words where the layout names them as glibc does."""
    parts: dict[str, tuple[int, int]] = {}
    for member in named_members(type_):
        if member.name == "__data" and isinstance(member.type, RecordType):
            for inner in named_members(member.type, member.bit_offset):
                name = inner.name.strip("_")
                if name in _PARTS.get(type_.lock, ()) and inner.bit_offset % 8 == 0:
                    parts[name] = (inner.bit_offset // 8, inner.type.size)
    known = {member.name for member in named_members(type_)}
    if "__data" in known and set(parts) == set(_PARTS.get(type_.lock, ())):
        pass  # glibc's, with names
    elif "__data" not in known and (not known or "__size" in known):
        parts = {}  # glibc's, by its name and size alone
    else:
        parts = {"foreign": (0, 0)}
    return ScalarType(
        type_.name, type_.size, "", "opaque", type_.align, type_.endian, lock=type_.lock, parts=parts
    )
