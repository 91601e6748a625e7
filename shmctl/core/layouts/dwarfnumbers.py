"""Numbers of DWARF 2 to 5 that matter here: tags, attributes, forms, and how long a form's value is."""

from shmctl.core.layouts.elf import DamagedError


class Tag:
    """The tags that matter (DWARF 5, section 7.5.3)."""

    ARRAY, CLASS, ENUMERATION, MEMBER, POINTER = 0x01, 0x02, 0x04, 0x0D, 0x0F
    REFERENCE, STRING, STRUCTURE, SUBROUTINE, TYPEDEF, UNION = 0x10, 0x12, 0x13, 0x15, 0x16, 0x17
    VARIANT, INHERITANCE, MODULE, POINTER_TO_MEMBER, SUBRANGE = 0x19, 0x1C, 0x1E, 0x1F, 0x21
    BASE, CONST, ENUMERATOR, PACKED = 0x24, 0x26, 0x28, 0x2D
    VARIANT_PART, VOLATILE, RESTRICT, INTERFACE = 0x33, 0x35, 0x37, 0x38
    NAMESPACE, UNSPECIFIED, SHARED = 0x39, 0x3B, 0x40
    RVALUE_REFERENCE, TEMPLATE_ALIAS, ATOMIC, IMMUTABLE = 0x42, 0x43, 0x47, 0x4B


class At:
    """The attributes that matter (DWARF 5, section 7.5.4)."""

    SIBLING, NAME, ORDERING, BYTE_SIZE, BIT_OFFSET, BIT_SIZE = 0x01, 0x03, 0x09, 0x0B, 0x0C, 0x0D
    STMT_LIST, LANGUAGE, CONST_VALUE, LOWER_BOUND, UPPER_BOUND = 0x10, 0x13, 0x1C, 0x22, 0x2F
    STRIDE_SIZE, COUNT, MEMBER_LOCATION, DECL_FILE, DECL_LINE = 0x2E, 0x37, 0x38, 0x3A, 0x3B
    DECLARATION, ENCODING, EXTERNAL, TYPE = 0x3C, 0x3E, 0x3F, 0x49
    DATA_LOCATION, BYTE_STRIDE, SIGNATURE, DATA_BIT_OFFSET = 0x50, 0x51, 0x69, 0x6B
    ALLOCATED, ASSOCIATED, STROFFSETS_BASE, DWO_NAME, ALIGNMENT = 0x4E, 0x4F, 0x72, 0x76, 0x88
    ENDIANITY, VIRTUALITY, GNU_VECTOR, GNU_DWO_NAME = 0x65, 0x4C, 0x2107, 0x2130
    STRING_LENGTH, EXPORT_SYMBOLS = 0x19, 0x89


class Form:
    """The forms (DWARF 5, section 7.5.6), and GNU's."""

    IMPLICIT_CONST, INDIRECT, FLAG_PRESENT, STRING, EXPRLOC = 0x21, 0x16, 0x19, 0x08, 0x18
    LINE_STRP, STRX, STRX1, STRX2, STRX3, STRX4 = 0x1F, 0x1A, 0x25, 0x26, 0x27, 0x28
    REF_ADDR, REF1, REF2, REF4, REF8, REF_UDATA, REF_SIG8 = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x20
    REF_SUP4, REF_SUP8, STRP_SUP, GNU_REF_ALT, GNU_STRP_ALT, GNU_STR_INDEX = (
        0x1C, 0x24, 0x1D, 0x1F20, 0x1F21, 0x1F02,
    )  # fmt: skip
    SDATA, DATA16 = 0x0D, 0x1E


FIXED = {
    0x0B: 1, 0x0C: 1, 0x11: 1, 0x25: 1, 0x29: 1, 0x05: 2, 0x12: 2, 0x26: 2, 0x2A: 2,
    0x27: 3, 0x2B: 3, 0x06: 4, 0x13: 4, 0x28: 4, 0x2C: 4, 0x1C: 4, 0x07: 8, 0x14: 8,
    0x20: 8, 0x24: 8, 0x1E: 16, 0x19: 0, 0x21: 0,
}  # fmt: skip
OFFSETS = frozenset((0x0E, 0x17, 0x1F, 0x1D, 0x1F20, 0x1F21))  # as wide as the unit's offsets
LEB = frozenset((0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, 0x1F01, 0x1F02))
BLOCKS = {0x0A: 1, 0x03: 2, 0x04: 4}
INDICES = frozenset((Form.STRX, Form.STRX1, Form.STRX2, Form.STRX3, Form.STRX4, Form.GNU_STR_INDEX))

CUT = "its debugging information is damaged"


def uleb(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and where it ends. Raises IndexError past the end of ``data``."""
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 70:
            raise DamagedError(CUT)


def sleb(data: bytes, at: int) -> tuple[int, int]:
    """A signed LEB128 number, and where it ends."""
    start = at
    value, at = uleb(data, at)
    bits = 7 * (at - start)
    return (value - (1 << bits) if value >> bits - 1 & 1 else value), at
