"""An ELF file's sections: elf(5), both classes and byte orders, compressed ones and those of object files.

The file is read by pread(2), never mapped: another process may cut it off
meanwhile. Whatever the file claims is checked before memory is taken for it.
"""

import os
import stat
import struct
import zlib
from typing import Literal, NamedTuple

from shmctl.core.errors import InputError, failing_as
from shmctl.core.names import escape

MOST = 1 << 30
"""The largest section that is read, in bytes."""

_RELOCATABLE = 1
_RELA, _REL, _NOBITS = 4, 9, 8
_COMPRESSED = 1 << 11
_MOST_SECTIONS = 1 << 18

# The bytes that a relocation stores, by machine and type: those that debugging information has (none is 0).
_RELOCATIONS: dict[int, dict[int, int]] = {
    3: {0: 0, 1: 4},  # i386
    21: {0: 0, 1: 4, 38: 8},  # ppc64
    22: {0: 0, 4: 4, 22: 8},  # s390
    40: {0: 0, 2: 4},  # ARM
    62: {0: 0, 1: 8, 10: 4, 11: 4, 17: 0, 21: 0},  # x86-64, and the places of thread-local variables
    183: {0: 0, 257: 8, 258: 4},  # aarch64
    243: {0: 0, 1: 4, 2: 8},  # RISC-V
}


class DamagedError(Exception):
    """The file breaks the rules of its format."""


class Section(NamedTuple):
    """A section's header (elf(5)), its name resolved."""

    name: bytes
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int


class Elf:
    """An open ELF file; close it, or use it in a ``with``. Raises InputError for what is none."""

    def __init__(self, path: str, shown: str | None = None) -> None:
        self.path = path
        self.shown = escape(os.fsencode(shown or path), keep=" ")
        with failing_as("open", os.fsencode(path)):
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._read_headers()
        except DamagedError as error:
            os.close(self._fd)
            raise InputError(f"{self.shown}: {error}", _HINTS.get(str(error))) from None
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> "Elf":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _read_headers(self) -> None:
        with failing_as("fstat", os.fsencode(self.path)):
            status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedError("not a regular file")
        self.file_size = status.st_size
        self.identity = (status.st_dev, status.st_ino)
        head = self._read(0, 64)
        if head[:4] != b"\x7fELF" or len(head) < 52 or head[4] not in (1, 2) or head[5] not in (1, 2):
            raise DamagedError(_NO_ELF)
        self.wide = head[4] == 2
        self.endian: Literal["little", "big"] = "little" if head[5] == 1 else "big"
        self.order = "<" if head[5] == 1 else ">"
        word = "Q" if self.wide else "I"
        fields = struct.unpack_from(f"{self.order}HHI{word}{word}{word}IHHHHHH", head, 16)
        self.type, self.machine = fields[0], fields[1]
        table, size, count, names = fields[5], fields[10], fields[11], fields[12]
        self.sections = self._section_table(table, size, count, names) if table else []

    def _section_table(self, table: int, size: int, count: int, names: int) -> list[Section]:
        form = self.order + ("IIQQQQIIQQ" if self.wide else "IIIIIIIIII")
        if size < struct.calcsize(form):
            raise DamagedError(_DAMAGED)
        first = self._read_exactly(table, size)
        *_, first_size, first_link, _, _, _ = struct.unpack_from(form, first)
        count = count or first_size  # where there are very many, the first header has their number
        names = first_link if names == 0xFFFF else names
        if not 0 < count <= _MOST_SECTIONS or names >= count:
            raise DamagedError(_DAMAGED)
        raw = self._read_exactly(table, size * count)
        headers = [struct.unpack_from(form, raw, at) for at in range(0, len(raw), size)]
        texts = self._read_exactly(headers[names][4], min(headers[names][5], MOST))
        return [Section(_text(texts, header[0]), header[1], header[2], *header[4:8]) for header in headers]

    def _read(self, offset: int, length: int) -> bytes:
        with failing_as("pread", os.fsencode(self.path)):
            try:
                return os.pread(self._fd, length, offset)
            except OverflowError:
                return b""

    def _read_exactly(self, offset: int, length: int) -> bytes:
        if offset + length > self.file_size:
            raise DamagedError(_DAMAGED)
        parts: list[bytes] = []
        while length:
            part = self._read(offset, length)
            if not part:
                raise DamagedError(_DAMAGED)
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def find(self, name: bytes) -> int | None:
        """The index of the section called ``name``, which has content."""
        for index, section in enumerate(self.sections):
            if section.name == name and section.type != _NOBITS:
                return index
        return None

    def content(self, name: bytes) -> bytes:
        """What the section ``name`` holds, decompressed and relocated; nothing where there is none.

        Raises DamagedError.
        """
        index = self.find(name)
        if index is not None and self.type == _RELOCATABLE:
            # A type unit has a section of its own there, so that a linker can leave out all but one.
            same = [i for i, each in enumerate(self.sections) if each.name == name and each.type != _NOBITS]
            return b"".join(self._relocated(each, self._plain(each)) for each in same)
        if index is not None:
            return self._plain(index)
        index = self.find(b".z" + name[1:])
        if index is None:
            return b""
        data = self._raw(self.sections[index])  # GNU's older way: "ZLIB", and the size
        if data[:4] != b"ZLIB" or len(data) < 12:
            raise DamagedError(_DAMAGED)
        return _inflated(data[12:], int.from_bytes(data[4:12], "big"))

    def _plain(self, index: int) -> bytes:
        section = self.sections[index]
        data = self._raw(section)
        return self._decompressed(data) if section.flags & _COMPRESSED else data

    def _raw(self, section: Section) -> bytes:
        if section.size > MOST:
            raise DamagedError(f"a section of {section.size} bytes is not read")
        return self._read_exactly(section.offset, section.size)

    def _decompressed(self, data: bytes) -> bytes:
        form = self.order + ("IIQQ" if self.wide else "III")
        start = struct.calcsize(form)
        if len(data) < start:
            raise DamagedError(_DAMAGED)
        kind, size = (struct.unpack_from(form, data)[at] for at in ((0, 2) if self.wide else (0, 1)))
        if kind == 1:
            return _inflated(data[start:], size)
        if kind == 2:
            return _unzstd(data[start:], size)
        raise DamagedError("its debugging information is compressed in an unknown way")

    def _relocated(self, index: int, data: bytes) -> bytes:
        for section in self.sections:
            if section.info == index and section.type in (_RELA, _REL) and section.size:
                data = self._relocate(section, data)
        return data

    def _relocate(self, section: Section, data: bytes) -> bytes:
        sizes = _RELOCATIONS.get(self.machine)
        if sizes is None:
            raise DamagedError(f"object files of this machine (ELF number {self.machine}) are not known")
        form, with_addend = self._relocation_form(section.type == _RELA)
        symbols = self._symbol_values(section.link)
        raw = self._raw(section)
        out = bytearray(data)
        shift, low = (32, 0xFFFFFFFF) if self.wide else (8, 0xFF)
        whole = len(raw) // struct.calcsize(form) * struct.calcsize(form)
        for offset, info, *addend in struct.iter_unpack(form, raw[:whole]):
            size = sizes.get(info & low)
            symbol = info >> shift
            if size is None or offset + size > len(out) or symbol >= len(symbols):
                raise DamagedError(f"its relocation {info & low} is not understood")
            if size:
                base = addend[0] if with_addend else int.from_bytes(out[offset : offset + size], self.endian)
                value = (symbols[symbol] + base) & (1 << size * 8) - 1
                out[offset : offset + size] = value.to_bytes(size, self.endian)
        return bytes(out)

    def _relocation_form(self, with_addend: bool) -> tuple[str, bool]:
        if self.wide:
            return self.order + ("QQq" if with_addend else "QQ"), with_addend
        return self.order + ("IIi" if with_addend else "II"), with_addend

    def _symbol_values(self, link: int) -> list[int]:
        if link >= len(self.sections):
            raise DamagedError(_DAMAGED)
        raw = self._raw(self.sections[link])
        form = self.order + ("IBBHQQ" if self.wide else "IIIBBH")
        size = struct.calcsize(form)
        at = 4 if self.wide else 1
        return [fields[at] for fields in struct.iter_unpack(form, raw[: len(raw) // size * size])]

    @property
    def build_id(self) -> str:
        """The build ID in hexadecimal, or nothing."""
        note = self.content(b".note.gnu.build-id")
        if len(note) < 16:
            return ""
        name, size, kind = struct.unpack_from(self.order + "III", note)
        start = 12 + (name + 3 & ~3)
        return note[start : start + size].hex() if kind == 3 and name == 4 else ""

    def link(self, name: bytes) -> tuple[bytes, bytes]:
        """The file name and what follows it in ``.gnu_debuglink`` or ``.gnu_debugaltlink``."""
        file, _, rest = self.content(name).partition(b"\0")
        return file, rest

    def checksum(self) -> int:
        """The CRC-32 of the whole file, as ``.gnu_debuglink`` has it."""
        crc = at = 0
        while block := self._read(at, 1 << 20):
            crc, at = zlib.crc32(block, crc), at + len(block)
        return crc


_NO_ELF = "not an ELF file"
_DAMAGED = "damaged: it ends before what it announces, or contradicts itself"
_HINTS = {_NO_ELF: "--elf takes a program, a library or an object file; --header takes a C header"}


def _text(texts: bytes, offset: int) -> bytes:
    end = texts.find(b"\0", offset)
    return texts[offset:end] if end >= 0 else b""


def _inflated(data: bytes, size: int) -> bytes:
    if size > MOST:
        raise DamagedError(f"a section of {size} bytes is not read")
    try:
        content = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error:
        content = b""
    if len(content) != size:
        raise DamagedError(_DAMAGED)
    return content


def _unzstd(data: bytes, size: int) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # from Python 3.14 on
    except ImportError:
        raise DamagedError(
            "its debugging information is compressed with zstd, which this Python does not read"
        ) from None
    if size > MOST:
        raise DamagedError(f"a section of {size} bytes is not read")
    try:
        content: bytes = zstd.ZstdDecompressor().decompress(data, size + 1)
    except zstd.ZstdError:
        content = b""
    if len(content) != size:
        raise DamagedError(_DAMAGED)
    return content
