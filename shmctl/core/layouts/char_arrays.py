r"""Arrays of characters, between bytes and text that can be read back: ``a\nb``, ``\xff``, ``\\``.

Valid UTF-8 is itself, every other byte ``\xNN``, a backslash doubled. NULs at
the end are left out; writing fills the array up with them.
"""

import re
import sys

from shmctl.core.errors import InputError
from shmctl.core.layouts.values import Text, quote

_LETTERS = {
    "n": 10, "t": 9, "r": 13, "\\": 92, "a": 7, "b": 8, "f": 12, "v": 11, "e": 27, "'": 39, '"': 34,
}  # fmt: skip
_SHOWN = {10: "\\n", 9: "\\t", 13: "\\r", 92: "\\\\"}
_ESCAPE = re.compile(
    r"\\(?:x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<nul>0(?![0-7]))"
    r"|(?P<letter>[^xuU0]))|(?P<bad>\\.?)",
    re.DOTALL,
)


def decode(raw: bytes, width: int, endian: str | None) -> Text:
    """The text in ``raw``, of characters of ``width`` bytes, in the machine's byte order by default."""
    if width > 1:
        return _decode_wide(raw, width, endian or sys.byteorder)
    text = raw.rstrip(b"\0").decode("utf-8", "surrogateescape")
    plain = raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return Text(plain, text, text)
    return Text(plain, "".join(map(_shown, text)), "".join(map(_in_json, text)))


def _shown(char: str) -> str:
    code = ord(char)
    if code in _SHOWN:
        return _SHOWN[code]
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))


def _in_json(char: str) -> str:
    """JSON has escapes of its own; what is no character at all needs ours."""
    if char == "\\":
        return "\\\\"
    return f"\\x{ord(char) - 0xDC00:02x}" if 0xDC80 <= ord(char) <= 0xDCFF else char


def _decode_wide(raw: bytes, width: int, endian: str) -> Text:
    order = "little" if endian == "little" else "big"
    units = [int.from_bytes(raw[at : at + width], order) for at in range(0, len(raw), width)]  # type: ignore[arg-type]
    while units and not units[-1]:
        units.pop()
    plain = units[: units.index(0)] if 0 in units else units
    shown = "".join(_shown_unit(unit, width) for unit in units)
    return Text("".join(chr(unit) if _is_character(unit) else "\ufffd" for unit in plain), shown, shown)


def _is_character(unit: int) -> bool:
    return unit < 0xD800 or 0xE000 <= unit < 0x110000


def _shown_unit(unit: int, width: int) -> str:
    if unit in _SHOWN:
        return _SHOWN[unit]
    if _is_character(unit) and chr(unit).isprintable():
        return chr(unit)
    return f"\\u{unit:04x}" if unit < 0x10000 else f"\\U{unit:08x}"


def encode(text: str, width: int, endian: str | None) -> bytes:
    r"""The bytes of ``text``, whose escapes are interpreted. Raises InputError for ``\q`` and the like."""
    order = endian or sys.byteorder
    parts: list[bytes] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        parts.append(_encode_plain(text[at : match.start()], width, order))
        parts.append(_encode_escape(match, width, order))
        at = match.end()
    parts.append(_encode_plain(text[at:], width, order))
    return b"".join(parts)


def _encode_plain(text: str, width: int, order: str) -> bytes:
    try:
        if width == 1:
            return text.encode("utf-8", "surrogateescape")
        if any(ord(char) >= 1 << 8 * width or 0xD800 <= ord(char) < 0xE000 for char in text):
            raise InputError(f"{quote(text)} has a character that does not fit {width} bytes")
        return b"".join(ord(char).to_bytes(width, order) for char in text)  # type: ignore[arg-type]
    except UnicodeEncodeError:
        raise InputError(f"{quote(text)} is not text that can be encoded") from None


def _encode_escape(match: "re.Match[str]", width: int, order: str) -> bytes:
    if match["byte"]:
        code = int(match["byte"], 16)
    elif match["short"] or match["long"]:
        code = int(match["short"] or match["long"], 16)
        if width == 1:
            if not _is_character(code):
                raise InputError(f"{quote(match.group())} is no character")
            return chr(code).encode()
    elif match["nul"]:
        code = 0
    elif match["letter"] in _LETTERS:
        code = _LETTERS[match["letter"]]
    else:
        raise InputError(
            f"{quote(match.group())} is no known escape",
            r"escapes: \n \t \r \0 \\ \xNN \uNNNN; a backslash is \\",
        )
    if code >= 1 << 8 * width:
        raise InputError(f"{quote(match.group())} does not fit {width} bytes")
    return code.to_bytes(width, order)  # type: ignore[arg-type]
