"""Types by name in an ELF file's debugging information, wherever it has been put.

A name is looked for among the strings first: what refers to it leads to the few
units and entries that can define the type, and nothing else is decoded.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from shmctl.core.errors import InputError, UnknownTypeError
from shmctl.core.layouts import lines
from shmctl.core.layouts.debugfiles import alternate, alternate_name, open_debug
from shmctl.core.layouts.dwarf import DebugFile, Entry, Place, Unit
from shmctl.core.layouts.dwarfnames import is_c
from shmctl.core.layouts.dwarfnumbers import At, Tag
from shmctl.core.layouts.dwarfsearch import TYPES, Scope, Walk, all_types, named
from shmctl.core.layouts.dwarftypes import Builder
from shmctl.core.layouts.elf import DamagedError, Elf
from shmctl.core.layouts.model import ArrayType, RecordType, Type
from shmctl.core.layouts.values import quote

_WORDS = {
    "struct": frozenset((Tag.STRUCTURE,)), "union": frozenset((Tag.UNION,)),
    "enum": frozenset((Tag.ENUMERATION,)),
    "class": frozenset((Tag.CLASS, Tag.STRUCTURE)),
}  # fmt: skip
_MOST_DEFINITIONS = 5000
_MOST_PROBLEMS = 500
_WANTED = re.compile(r"(?:(?P<file>(?:[^:]|::)*[^:]):(?:(?P<line>[0-9]+):)?(?!:))?(?P<type>.+)", re.DOTALL)


class Wanted(NamedTuple):
    """A type's name as asked for: the tags it may have, its scopes, its own name, its file and line or ''."""

    text: str
    tags: frozenset[int]
    scopes: tuple[str, ...]
    name: str
    file: str
    line: int


class Definition(NamedTuple):
    """A type that was found, and where the source defines it."""

    place: Place
    type: Type
    tag: int
    file: str
    line: int

    @property
    def where(self) -> str:
        """``point.h:7``."""
        return f"{self.file}:{self.line}" if self.line else self.file


def parse_wanted(text: str) -> Wanted:
    """What ``struct point``, ``ns::point`` or ``FILE:point`` asks for. Raises InputError."""
    words = " ".join(text.split())
    match = _WANTED.fullmatch(words)
    if match is None:
        raise InputError("the name of a type is missing")
    name = match["type"]
    keyword, space, rest = name.partition(" ")
    tags = TYPES
    if space and keyword in _WORDS:
        tags, name = _WORDS[keyword], rest
    *scopes, name = _split_scopes(name.removeprefix("::"))
    return Wanted(words, tags, tuple(scopes), name, match["file"] or "", int((match["line"] or "0")[:9]))


def _split_scopes(name: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for index, char in enumerate(name):
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(char, 0)
        if char == ":" and name[index : index + 2] == "::" and depth <= 0:
            parts.append(name[start:index])
            start = index + 2
    return [*parts, name[start:]]


class Library:
    """The types of one ELF file. Use it in a ``with``. Raises InputError where there is no information."""

    def __init__(self, path: str, shown: str | None = None) -> None:
        self._opened = open_debug(path, shown)
        self.shown = self._opened[0].shown
        try:
            elf = self._opened[-1]
            if not any(
                elf.find(name) is not None for name in (b".debug_info", b".zdebug_info", b".debug_info.dwo")
            ):
                raise InputError(f"{self.shown}: no debugging information", _no_information(self._opened[0]))
            self.file = DebugFile(elf)
            other = alternate(elf)
            self._missing = "" if other else alternate_name(elf)
            if other is not None:
                self._opened.append(other)
                self.file.alternate = DebugFile(other)
            self.source = elf.shown
        except DamagedError as error:
            self.close()
            raise InputError(f"{self.shown}: {error}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Library":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for elf in self._opened:
            elf.close()

    def find(self, text: str, called: str | None = None) -> Definition:
        """The type that ``text`` names. Raises InputError: not there, or several that differ.

        ``called`` is its name for messages.
        """
        wanted = parse_wanted(text)
        try:
            found = _distinct(self._definitions(wanted, called or wanted.text))
            if not found:
                raise UnknownTypeError(
                    f"{self.shown}: no type is called {quote(wanted.text)}", self._hint(wanted)
                )
        except (DamagedError, RecursionError, MemoryError) as error:
            reason = str(error) if isinstance(error, DamagedError) else "too large or too deeply nested"
            raise InputError(f"{self.shown}: {reason}") from None
        if len(found) > 1:
            places = ", ".join(dict.fromkeys(each.where for each in found[:6]))
            raise InputError(
                f"{self.shown}: several types are called {quote(wanted.text)}, and differ: {places}",
                f"'{found[0].where}:{wanted.text}' picks one",
            )
        return found[0]

    def _files(self) -> Sequence[DebugFile]:
        return [self.file] if self.file.alternate is None else [self.file, self.file.alternate]

    def _definitions(self, wanted: Wanted, called: str) -> list[Definition]:
        definitions: list[Definition] = []
        problems: list[InputError] = []
        for place, entry in self._entries(wanted):
            file, line = lines.declared(place, entry)
            if wanted.file and not ("/" + file).endswith("/" + wanted.file.lstrip("/")):
                continue
            if wanted.line and line != wanted.line:
                continue
            try:
                type_ = self.builder.build(place)
            except InputError as error:
                problems.append(error)
            else:
                definitions.append(Definition(place, type_, entry.tag, file, line))
            if len(definitions) > _MOST_DEFINITIONS or len(problems) > _MOST_PROBLEMS:
                break
        if problems and not definitions:
            raise InputError(f"{quote(called)}: {problems[0]}", problems[0].hint)
        return definitions

    @property
    def builder(self) -> Builder:
        """Builds types out of this file."""
        if not hasattr(self, "_builder"):
            self._builder = Builder(self._definition_of)
        return self._builder

    def _definition_of(self, place: Place, entry: Entry) -> Place | None:
        """The definition of a record that is only declared at ``place``."""
        if At.NAME not in entry.attributes:
            return None
        name = place.unit.file.text(place.unit, *entry.attributes[At.NAME]).decode("utf-8", "surrogateescape")
        scopes = [scope.name for scope in Walk(place.unit).scopes(place.offset) or ()]
        wanted = Wanted(name, frozenset((entry.tag,)), tuple(scopes), name, "", 0)
        return next((found for found, _ in self._entries(wanted)), None)

    def _entries(self, wanted: Wanted) -> Iterator[tuple[Place, Entry]]:
        """The entries that define types of that name, in the order of the file."""
        for spelled in _spellings(wanted.name):
            found = False
            for file in self._files():
                for place, entry in named(file, spelled.encode("utf-8", "surrogateescape"), wanted.tags):
                    if At.DECLARATION in entry.attributes and At.SIGNATURE not in entry.attributes:
                        continue
                    scopes = Walk(place.unit).scopes(place.offset)
                    if scopes is None or not _scope_fits(scopes, wanted.scopes):
                        continue
                    found = True
                    yield place, entry
            if found:
                return

    # -- what there is instead

    def _hint(self, wanted: Wanted) -> str:
        units = self.file.units()
        dwo = next((name for unit in units[:50] for name in _split_names(unit)), None)
        if dwo is not None:
            return f"its types are split off, into {quote(dwo)} and the like: --elf takes such a file"
        if self._missing:
            return f"part of its debugging information is in {quote(self._missing)} (dwz), which is missing"
        near = self.near(wanted.name)
        return f"near names: {', '.join(near)}" if near else "'readelf --debug-dump=info' shows what it has"

    def near(self, name: str, most: int = 5) -> list[str]:
        """Names of types that look like ``name``."""
        from difflib import get_close_matches

        key = name.casefold().replace("_", "").removesuffix("t")
        # A linker keeps a string that ends another one as that one's end only.
        beginning = re.compile(re.escape(name[:3]), re.IGNORECASE)
        texts = set[str]()
        for file in self._files():
            for raw in file.section(b"str").split(b"\0"):
                text = raw.decode("utf-8", "replace")
                if 0 < len(text) < 80:
                    ends = (text[found.start() :] for found in beginning.finditer(text))
                    texts.update(part for part in (text, *ends) if part[0] != "_" and _alike(key, part))
            if len(file.section(b"info")) < 1 << 20:
                texts |= {known for known, _, _ in all_types(file, 2000)}
        close = get_close_matches(name[:80], texts, n=8, cutoff=0.5)  # each costs a search
        return list(islice(filter(self._is_type, close), most))

    def _is_type(self, text: str) -> bool:
        return any(
            At.DECLARATION not in entry.attributes and Walk(place.unit).scopes(place.offset) is not None
            for file in self._files()
            for place, entry in islice(named(file, text.encode(), TYPES - {Tag.BASE}), 5)
        )

    def names(self, most: int = 10_000) -> Iterator[tuple[str, int]]:
        """The types of the file as one asks for them (``struct point``), with their sizes in bytes."""
        seen = set[str]()
        try:
            for file in self._files():
                for name, size, _ in all_types(file, most):
                    if name not in seen:
                        seen.add(name)
                        yield name, size
        except DamagedError:
            return


def _no_information(elf: Elf) -> str:
    if elf.find(b".gnu.debuglto_.debug_info") is not None:
        return "it was compiled with -flto: --elf takes the program that was linked from it"
    where = (
        f"; or install the package with its debugging symbols (build ID {elf.build_id})"
        if elf.build_id
        else ""
    )
    return f"compile it with -g{where}"


def _alike(key: str, text: str) -> bool:
    folded = text.casefold().replace("_", "").removesuffix("t")
    return (
        key in folded
        or (len(folded) > 3 and folded in key)
        or (key[:3] == folded[:3] and abs(len(key) - len(folded)) < 4)
    )


def _split_names(unit: Unit) -> Iterator[str]:
    first = unit.file.entry(Place(unit, unit.start))
    if first is None:
        return
    for attribute in (At.DWO_NAME, At.GNU_DWO_NAME):
        if attribute in first.attributes:
            yield unit.file.text(unit, *first.attributes[attribute]).decode("utf-8", "replace")


def _spellings(name: str) -> list[str]:
    """``name``, and how compilers write a template's arguments."""
    spaced = re.sub(r"\s*,\s*", ", ", name)
    spellings = [
        name,
        spaced,
        re.sub(r"\s*,\s*", ",", name),
        re.sub(r">\s*>", "> >", spaced),
        re.sub(r">\s+>", ">>", spaced),
    ]
    return list(dict.fromkeys(spellings))


def _scope_fits(scopes: Sequence[Scope], wanted: Sequence[str]) -> bool:
    """Whether ``wanted`` are the last of ``scopes``; inline and nameless namespaces need not be written."""
    left = [name for name in wanted if name != "(anonymous namespace)"]
    for scope in reversed(scopes):
        if not left:
            return True
        if scope.name == left[-1]:
            left.pop()
        elif not scope.optional:
            return False
    return not left


def shape(type_: Type) -> object:
    """What of a type decides its layout and its values: not how the types of its parts are spelled."""
    if isinstance(type_, ArrayType):
        return type_.length, shape(type_.item)
    if isinstance(type_, RecordType):
        parts = tuple((m.name, m.bit_offset, m.bit_size, shape(m.type)) for m in type_.members)
        return type_.size, type_.lock, parts
    return type_.size, type_.kind, type_.code, type_.endian, tuple(type_.labels.items()), type_.lock


def _distinct(definitions: Sequence[Definition]) -> list[Definition]:
    """One definition of each layout; a typedef wins over a tag of the same name, as C has it."""
    known: dict[object, Definition] = {}
    for each in definitions:
        known.setdefault(shape(each.type), each)
    found = list(known.values())
    if len(found) > 1:
        typedefs = [each for each in found if each.tag == Tag.TYPEDEF]
        if len(typedefs) == 1 and is_c(typedefs[0].place):
            return typedefs
    return found
