"""The canonical dump of hexdump(1) -C, byte for byte, and the same in colour."""

from collections.abc import Iterable
from typing import TextIO

_WIDTH = 16
_BLOCK = 4096
"""Bytes that are rendered at a time, and folded at a time where they are all like the line before."""

_DIGITS = b"0123456789abcdef"
_FIRST_DIGIT = bytes(_DIGITS[byte >> 4] for byte in range(256))
_SECOND_DIGIT = bytes(_DIGITS[byte & 15] for byte in range(256))
_PRINTABLE = bytes(byte if 32 <= byte < 127 else ord(".") for byte in range(256))
_ROW = b"  " + b"00 " * 8 + b" " + b"00 " * 8 + b" |" + b"." * _WIDTH + b"|\n"
_TEXT = _ROW.index(b".")
_RESET = "\x1b[0m"
_OFFSET_COLOR = "\x1b[2m"
# NUL, printable ASCII, white space and control, all above 127.
_NUL, _ASCII, _CONTROL, _HIGH = "\x1b[2m", "\x1b[36m", "\x1b[32m", "\x1b[33m"


def write_hexdump(out: TextIO, pieces: Iterable[bytes | int], offset: int, *, color: bool = False) -> None:
    """Write the dump of ``pieces``, each of them bytes or a number of zeros; of no bytes at 0, nothing.

    The first byte stands at ``offset``. Lines equal to the one before are
    folded into one ``*``. After each piece ``out`` is flushed: a reader need not
    wait for what comes next.
    """
    dump = _Dump(out, offset, color=color)
    for piece in pieces:
        if isinstance(piece, int):
            dump.add_zeros(piece)
        else:
            dump.add(piece)
        out.flush()
    dump.end()


class _Dump:
    """The dump of one range: how far it is, and what has been left for the next line."""

    def __init__(self, out: TextIO, offset: int, *, color: bool) -> None:
        self._out = out
        self._offset = offset
        self._color = color
        self._rest = b""
        self._line = b""  # the last one written or folded
        self._folding = False

    def add(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % _WIDTH
        for start in range(0, whole, _BLOCK):
            self._add_lines(data[start : min(start + _BLOCK, whole)])
        self._rest = data[whole:]

    def add_zeros(self, count: int) -> None:
        # After two lines of zeros all others are folded.
        shown = min(count, 3 * _WIDTH - len(self._rest))
        self.add(bytes(shown))
        rest = (count - shown) % _WIDTH
        self._offset += count - shown - rest
        self._rest += bytes(rest)

    def end(self) -> None:
        if self._rest:
            self._add_lines(self._rest)
        if self._offset:
            self._out.write(f"{self._in_color(self._offset)}\n")

    def _add_lines(self, lines: bytes) -> None:
        """Add whole lines, or the last one."""
        if not (self._folding and lines == self._line * (len(lines) // _WIDTH)):
            self._write_lines(lines)
        self._offset += len(lines)

    def _write_lines(self, lines: bytes) -> None:
        texts = []
        rows = _colored_rows(lines) if self._color else _rows(lines)
        for start, row in zip(range(0, len(lines), _WIDTH), rows, strict=True):
            line = lines[start : start + _WIDTH]
            if line != self._line:
                texts.append(self._in_color(self._offset + start) + row)
                self._folding = False
                self._line = line
            elif not self._folding:
                texts.append("*\n")
                self._folding = True
        self._out.write("".join(texts))

    def _in_color(self, offset: int) -> str:
        return f"{_OFFSET_COLOR}{offset:08x}{_RESET}" if self._color else f"{offset:08x}"


def _rows(lines: bytes) -> list[str]:
    """What stands behind the offsets of whole lines, or of a shorter one."""
    if len(lines) < _WIDTH:
        left, right = lines[:8].hex(" "), lines[8:].hex(" ")
        return [f"  {left:<23}  {right:<23}  |{lines.translate(_PRINTABLE).decode()}|\n"]
    # All lines at once, a column of characters after the other: the rows are of one length.
    text = bytearray(_ROW * (len(lines) // _WIDTH))
    step = len(_ROW)
    for index in range(_WIDTH):
        column = lines[index::_WIDTH]
        digits = 2 + 3 * index + index // 8
        text[digits::step] = column.translate(_FIRST_DIGIT)
        text[digits + 1 :: step] = column.translate(_SECOND_DIGIT)
        text[_TEXT + index :: step] = column.translate(_PRINTABLE)
    return text.decode().splitlines(keepends=True)


def _colored_rows(lines: bytes) -> list[str]:
    return [_colored_row(lines[start : start + _WIDTH]) for start in range(0, len(lines), _WIDTH)]


def _colored_row(line: bytes) -> str:
    halves = []
    for half in (line[:8], line[8:]):
        cells = (f"{_color_of(byte)}{byte:02x}" for byte in half)
        halves.append(" ".join(cells) + " " * (23 - max(0, 3 * len(half) - 1)))
    text = "".join(f"{_color_of(byte)}{chr(_PRINTABLE[byte])}" for byte in line)
    return f"  {halves[0]}{_RESET}  {halves[1]}{_RESET}  |{text}{_RESET}|\n"


def _color_of(byte: int) -> str:
    """A reset comes first, for dim does not end by itself."""
    if byte == 0:
        return _RESET + _NUL
    if 32 < byte < 127:
        return _RESET + _ASCII
    return _RESET + (_CONTROL if byte < 128 else _HIGH)
