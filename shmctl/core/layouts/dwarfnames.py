"""What DWARF's entries are called, and what they refer to."""

from shmctl.core.layouts.dwarf import Entry, Place
from shmctl.core.layouts.dwarfnumbers import At, Tag
from shmctl.core.layouts.elf import DamagedError
from shmctl.core.layouts.records import plain_name

RECORDS = {Tag.STRUCTURE: "struct", Tag.UNION: "union", Tag.CLASS: "class", Tag.INTERFACE: "class"}
ADDRESSES = frozenset((Tag.POINTER, Tag.REFERENCE, Tag.RVALUE_REFERENCE, Tag.UNSPECIFIED, Tag.SUBROUTINE))
_C = frozenset((0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x3E, 0))


def language(place: Place) -> int:
    """The unit's DW_LANG_*."""
    return place.unit.file.language(place.unit)


def is_c(place: Place) -> bool:
    """Whether the unit is C, where a tag is called ``struct tag``."""
    return language(place) in _C


def entry_at(place: Place) -> Entry:
    """Return the entry at ``place``. Raises DamagedError where a list of children ends there."""
    entry = place.unit.file.entry(place)
    if entry is None:
        raise DamagedError("a reference leads nowhere")
    return entry


def target_of(place: Place, entry: Entry, attribute: int = At.TYPE) -> Place | None:
    """Return where ``attribute`` of ``entry`` leads; None for void. Raises DamagedError."""
    if attribute not in entry.attributes:
        return None
    return place.unit.file.target(place.unit, *entry.attributes[attribute])


def name_of(place: Place, entry: Entry) -> str:
    """Return the DW_AT_name of ``entry``, or nothing."""
    if At.NAME not in entry.attributes:
        return ""
    raw = place.unit.file.text(place.unit, *entry.attributes[At.NAME])
    return raw.decode("utf-8", "surrogateescape")


def spelled(place: Place, depth: int = 0) -> str:  # noqa: PLR0911 - a return for each kind
    """The type at ``place`` as C would write it, no further than a few pointers deep."""
    entry = entry_at(place)
    name = name_of(place, entry)
    if depth > 6:
        return "…"
    if entry.tag == Tag.SUBROUTINE:
        return f"{_spelled_target(place, entry, depth)} ()"
    if name:
        return f"{RECORDS.get(entry.tag, 'enum')} {name}" if _tagged(place, entry) else plain_name(name)
    if entry.tag in RECORDS or entry.tag == Tag.ENUMERATION:
        return RECORDS.get(entry.tag, "enum")
    inner = _spelled_target(place, entry, depth)
    if entry.tag == Tag.ARRAY:
        return f"{inner}[]"
    if entry.tag not in ADDRESSES and entry.tag != Tag.POINTER_TO_MEMBER:
        words = {Tag.CONST: "const ", Tag.VOLATILE: "volatile ", Tag.ATOMIC: "_Atomic "}
        return words.get(entry.tag, "") + inner
    star = {Tag.REFERENCE: "&", Tag.RVALUE_REFERENCE: "&&", Tag.POINTER_TO_MEMBER: "::*"}.get(entry.tag, "*")
    if inner.endswith(" ()"):
        return f"{inner[:-3]} ({star})()"
    return inner + star if inner.endswith("*") else f"{inner} {star}"


def _spelled_target(place: Place, entry: Entry, depth: int) -> str:
    target = target_of(place, entry)
    return "void" if target is None else spelled(target, depth + 1)


def _tagged(place: Place, entry: Entry) -> bool:
    return is_c(place) and (entry.tag in RECORDS or entry.tag == Tag.ENUMERATION)
