"""The canonical dump of hexdump(1) -C, byte for byte, and the same in colour."""

from collections.abc import Iterable, Iterator
from typing import TextIO

_WIDTH = 16
_PRINTABLE = bytes(byte if 32 <= byte < 127 else ord(".") for byte in range(256))
_RESET = "\x1b[0m"
_OFFSET_COLOR = "\x1b[2m"
# NUL, printable ASCII, white space and control, all above 127.
_NUL, _ASCII, _CONTROL, _HIGH = "\x1b[2m", "\x1b[36m", "\x1b[32m", "\x1b[33m"


def write_hexdump(out: TextIO, chunks: Iterable[bytes], offset: int, *, color: bool = False) -> None:
    """Write the dump of ``chunks``, whose first byte stands at ``offset``; of no bytes at 0, nothing.

    Lines equal to the one before are folded into one ``*``.
    """
    previous = b""
    folding = False
    format_line = _colored_line if color else _line
    for line in _lines(chunks):
        if line == previous:
            if not folding:
                out.write("*\n")
                folding = True
        else:
            out.write(format_line(offset, line))
            folding = False
            previous = line
        offset += len(line)
    if previous or offset:
        out.write(f"{_OFFSET_COLOR}{offset:08x}{_RESET}\n" if color else f"{offset:08x}\n")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """16 bytes at a time, whatever the chunks' sizes; the last line may be shorter."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        whole = len(data) - len(data) % _WIDTH
        for start in range(0, whole, _WIDTH):
            yield data[start : start + _WIDTH]
        rest = data[whole:]
    if rest:
        yield rest


def _line(offset: int, line: bytes) -> str:
    left, right = line[:8].hex(" "), line[8:].hex(" ")
    return f"{offset:08x}  {left:<23}  {right:<23}  |{line.translate(_PRINTABLE).decode()}|\n"


def _colored_line(offset: int, line: bytes) -> str:
    halves = []
    for half in (line[:8], line[8:]):
        cells = (f"{_color_of(byte)}{byte:02x}" for byte in half)
        halves.append(" ".join(cells) + " " * (23 - max(0, 3 * len(half) - 1)))
    text = "".join(f"{_color_of(byte)}{chr(_PRINTABLE[byte])}" for byte in line)
    return (
        f"{_OFFSET_COLOR}{offset:08x}{_RESET}  {halves[0]}{_RESET}  {halves[1]}{_RESET}  |{text}{_RESET}|\n"
    )


def _color_of(byte: int) -> str:
    """A reset comes first, for dim does not end by itself."""
    if byte == 0:
        return _RESET + _NUL
    if 32 < byte < 127:
        return _RESET + _ASCII
    return _RESET + (_CONTROL if byte < 128 else _HIGH)
