"""Where C's members stand: the System V ABI's rules for x86-64 and aarch64, as GCC and clang apply them."""

import os
from typing import NamedTuple

from shmctl.core.layouts.model import Member, RecordType, Type


class Alignment(NamedTuple):
    """What attributes say of one declaration: ``packed``, and the bytes of ``aligned`` (0: nothing)."""

    packed: bool = False
    aligned: int = 0


class RecordBuilder:
    """Lays out members one after another. ``pack`` is what ``#pragma pack`` says, in bytes (0: nothing)."""

    def __init__(self, keyword: str, *, packed: bool, pack: int) -> None:
        self._union = keyword == "union"
        self._packed = packed
        self._pack = pack
        self._position = 0  # in bits
        self._size = 0
        self._align = 1
        self.members: list[Member] = []
        self.is_empty = True

    def add(self, name: str, type_: Type, attributes: Alignment) -> None:
        """A member that is no bit-field."""
        self.is_empty = False
        align = type_.align
        if self._packed or attributes.packed:
            align = attributes.aligned or 1
        elif attributes.aligned:
            align = max(align, attributes.aligned)
        if self._pack:
            align = min(align, self._pack)
        offset = _up(self._position, align * 8)
        self._append(Member(name, offset, None, type_), type_.size * 8, align)

    def add_bits(self, name: str, type_: Type, width: int, attributes: Alignment) -> None:
        """A bit-field, perhaps without a name; one of no width ends its unit."""
        self.is_empty = False
        packed = self._packed or attributes.packed
        align = type_.align
        if not width:
            # Packing does not reach these.
            self._position = 0 if self._union else _up(self._position, align * 8)
            if _ALIGNS_NAMELESS:
                self._align = max(self._align, align)
            return
        if self._pack:
            align = min(align, self._pack)
        offset = self._position
        if not packed:
            unit = align * 8
            units = (offset % unit + width + unit - 1) // unit
            if units > type_.size * 8 // unit:
                offset = _up(offset, unit)
        counted = name or _ALIGNS_NAMELESS
        self._append(Member(name, offset, width, type_), width, (1 if packed else align) if counted else 1)

    def _append(self, member: Member, bits: int, align: int) -> None:
        if member.name or member.bit_size is None:
            self.members.append(member)
        self._align = max(self._align, align)
        self._size = max(self._size, member.bit_offset + bits)
        self._position = 0 if self._union else member.bit_offset + bits

    def finished(self, name: str, keyword: str, aligned: int) -> RecordType:
        """The record, aligned at ``aligned`` bytes at least."""
        align = max(self._align, aligned)
        bits = max(self._size, self._position)
        return RecordType(name, keyword, _up(_up(bits, 8) // 8, align), align, tuple(self.members))


_ALIGNS_NAMELESS = os.uname().machine == "aarch64"


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
