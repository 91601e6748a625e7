"""Layouts out of what readelf(1) prints: an independent reader, to compare shmctl's with."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Shape = tuple[Any, ...]
"""A type without its names: ("int", size, signed), ("array", length, shape), ("record", size, members) …"""

_ENTRY = re.compile(r" <([0-9a-f]+)><([0-9a-f]+)>: Abbrev Number: \d+ \(DW_TAG_(\w+)\)")
_ATTRIBUTE = re.compile(r"    <[0-9a-f]+>   DW_AT_(\w+) *: (.*)")
_FILE = re.compile(r"^ +(\d+)\t(?:\d+\t)?.*: (.*)$")
_NUMBER = re.compile(r"(?:\(\w+\) )?(-?(?:0x)?[0-9a-f]+)")
_THROUGH = {"const_type", "volatile_type", "restrict_type", "atomic_type", "typedef"}
_RECORDS = {"structure_type", "union_type"}


class Entry:
    def __init__(self, offset: int, tag: str) -> None:
        self.offset = offset
        self.tag = tag
        self.attributes: dict[str, str] = {}
        self.children: list[Entry] = []

    def number(self, name: str) -> int | None:
        value = self.attributes.get(name)
        found = value and _NUMBER.match(value)
        return int(found[1], 0) if found else None

    @property
    def name(self) -> str:
        text = self.attributes.get("name", "")
        return (text.rpartition("): ")[2] if "): " in text else text.removeprefix("(string)")).strip()


class Types:
    """The types of one object file of C."""

    def __init__(self, path: Path) -> None:
        command = ["readelf", "--debug-dump=info", "--wide", str(path)]
        text = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "replace")
        self.entries: dict[int, Entry] = {}
        self.top: list[Entry] = []
        self._read(text)
        command = ["readelf", "--debug-dump=rawline", "--wide", str(path)]
        lines = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "replace")
        self.files = dict(self._read_files(lines))

    def _read(self, text: str) -> None:
        stack: list[Entry] = []
        for line in text.splitlines():
            found = _ENTRY.match(line)
            if found:
                entry = Entry(int(found[2], 16), found[3])
                depth = int(found[1], 16)
                self.entries[entry.offset] = entry
                del stack[depth:]
                if stack:
                    stack[-1].children.append(entry)
                if depth == 1:
                    self.top.append(entry)
                stack.append(entry)
                continue
            found = _ATTRIBUTE.match(line)
            if found and stack:
                stack[-1].attributes[found[1]] = found[2]

    @staticmethod
    def _read_files(text: str) -> Iterator[tuple[int, str]]:
        _, _, table = text.partition("The File Name Table")
        for line in table.partition(" Line Number Statements")[0].splitlines():
            found = _FILE.match(line)
            if found:
                yield int(found[1]), found[2].strip()

    def defined_in(self, filename: str) -> Iterator[tuple[str, Entry]]:
        """What the file called so defines, as C names it: ``struct s``, ``enum e``, a typedef."""
        words = {
            "structure_type": "struct ",
            "union_type": "union ",
            "enumeration_type": "enum ",
            "typedef": "",
        }
        for entry in self.top:
            if entry.tag in words and entry.name and "declaration" not in entry.attributes:
                number = entry.number("decl_file")
                if number is not None and self.files.get(number) == filename:
                    yield words[entry.tag] + entry.name, entry

    def target(self, entry: Entry) -> Entry | None:
        found = re.search("<0x([0-9a-f]+)>", entry.attributes.get("type", ""))
        return self.entries[int(found[1], 16)] if found else None

    def shape(self, entry: Entry | None) -> Shape | None:  # noqa: PLR0911 - a return for each kind
        """The shape of a type; None where it has no size, or one that depends on run time."""
        while entry is not None and entry.tag in _THROUGH:
            entry = self.target(entry)
        if entry is None or entry.tag == "subroutine_type":
            return None
        size = entry.number("byte_size")
        match entry.tag:
            case "pointer_type":
                return ("int", size, False)
            case "base_type":
                return self._base(entry, size)
            case "enumeration_type":
                return (
                    None
                    if size is None
                    else ("int", size, "(signed)" in entry.attributes.get("encoding", ""))
                )
            case "array_type":
                return self._array(entry)
            case tag if tag in _RECORDS and size is not None:
                members = [self._member(child) for child in entry.children if child.tag == "member"]
                return None if None in members else ("record", size, tuple(members))
        return None

    @staticmethod
    def _base(entry: Entry, size: int | None) -> Shape:
        encoding = entry.attributes["encoding"]
        if "complex" in encoding or "float" in encoding:
            return ("float", size)
        return ("int", size, "signed" in encoding and "unsigned" not in encoding)

    def _array(self, entry: Entry) -> Shape | None:
        shape = self.shape(self.target(entry))
        for bounds in reversed([child for child in entry.children if child.tag == "subrange_type"]):
            upper, count = bounds.number("upper_bound"), bounds.number("count")
            length = count if count is not None else 0 if upper is None else upper + 1
            length = 0 if length >= 1 << 63 else length
            shape = None if shape is None else ("array", length, shape)
        return shape

    def _member(self, entry: Entry) -> Shape | None:
        shape = self.shape(self.target(entry))
        if shape is None:
            return None
        bits = entry.number("bit_size")
        offset = entry.number("data_bit_offset")
        if offset is None:
            offset = 8 * (entry.number("data_member_location") or 0)
        return (entry.name, offset, bits, shape)
