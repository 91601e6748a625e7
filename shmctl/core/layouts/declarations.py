"""C declarations to a cffi type: the way from a user's text to what structs.Layout shows.

The text is parsed here, with the user's own lines in every error; only what
determines a layout goes on to cffi, one definition at a time, in plain words
that leave it nothing to ignore.
"""

import platform
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from shmctl.core.errors import InputError
from shmctl.core.layouts import posixtypes
from shmctl.core.layouts.cconstants import NotConstantError, evaluate
from shmctl.core.layouts.cdialect import MARK, screen
from shmctl.core.layouts.cerrors import SPECIFIERS, guarded, refuse_parse
from shmctl.core.layouts.csource import Token, refuse, render, tokenize
from shmctl.core.layouts.statements import MEMBERS, kind_of, refuse_late_packs, split_statements
from shmctl.core.layouts.values import escape, quote

INLINE = "__shm_inline"
DECLARATION = "declaration"


@dataclass(slots=True)
class Structure:
    """A complete struct or union: cffi's type of it, and the name a user knows it by."""

    ffi: Any
    ctype: Any
    name: str
    names: dict[str, str] = field(default_factory=dict)


@guarded
def from_declaration(text: str) -> Structure:
    """The structure that a DECL gives: members inline, or a definition at the end of the text."""
    tokens = screen(tokenize(text, DECLARATION))
    statements = list(split_statements(tokens))
    if not statements:
        raise InputError("the declaration is empty", "for example: 'int id; double value'")
    kinds = [kind_of(statement) for statement in statements]
    inline = "member" in kinds or kinds.count("anonymous") > 1
    start, end = tokens[0], tokens[-1]
    moved = MEMBERS if inline else {"pack"}
    source = [t for s, k in zip(statements, kinds, strict=True) for t in s if k not in moved]
    if inline:
        members = [t for s, k in zip(statements, kinds, strict=True) for t in s if k in moved]
        refuse_late_packs(statements, kinds)
        opening = [start._replace(text=word) for word in ("struct", INLINE, "{")]
        source += [*opening, *members, end._replace(text="}"), end._replace(text=";")]
    reader = _Reader(source)
    return reader.tagged("struct", INLINE, "struct") if inline else reader.last()


@guarded
def from_header(text: str, type_name: str, filename: str) -> Structure:
    """The structure that a header calls ``type_name``: a typedef, ``struct s``, ``union u`` or a tag."""
    reader = _Reader(screen(tokenize(text, filename)))
    return reader.named(" ".join(type_name.split()), filename)


class _Reader:
    """Reads a translation unit, and defines its types in an FFI of its own."""

    def __init__(self, tokens: list[Token]) -> None:
        from cffi import FFI

        self._ffi = FFI()
        self._files: list[str] = []
        self._constants: dict[str, int] = {}
        self._typedefs: dict[str, str] = {}
        self._tags: dict[str, str] = {}  # "struct s" or the like, by the tag that cffi knows
        self._names: dict[str, str] = {}  # what a user calls a type, by what cffi calls it
        self._defined: dict[int, str] = {}  # pycparser shares a node among "struct {…} a, *b"
        self._unit = self._parse(tokens)
        for node in self._unit:
            self._external(node)

    # -- what was asked for

    def tagged(self, kind: str, tag: str, name: str) -> Structure:
        """The structure ``kind tag``, which is defined."""
        return Structure(self._ffi, self._ffi.typeof(f"{kind} {tag}"), name, self._names)

    def last(self) -> Structure:
        """The structure that the last declaration gives."""
        node = self._unit[-1]
        for candidate in reversed(self._sharing(node)):
            if type(candidate).__name__ == "Typedef" and self._is_structure(candidate.name):
                return Structure(
                    self._ffi, self._ffi.typeof(candidate.name), quote(candidate.name), self._names
                )
        base = _base(node)
        if type(node).__name__ == "Decl" and node.name is None and getattr(base, "decls", None):
            kind = type(base).__name__.lower()
            tag = self._defined[id(base)].split()[1]
            return self.tagged(kind, tag, f"{kind} {base.name}" if base.name else kind)
        hint = "for example: 'int id; double value'"
        return self._refuse(node, "the last declaration is no struct or union", hint)

    def named(self, name: str, filename: str) -> Structure:
        """The structure called ``name`` in the header ``filename``."""
        if self._is_structure(name):
            return Structure(self._ffi, self._ffi.typeof(name), name, self._names)
        for candidate in (name, f"struct {name}", f"union {name}"):
            if candidate in self._tags:
                kind, _, tag = candidate.partition(" ")
                return self.tagged(kind, tag, candidate)
        known = [n for n in (*self._typedefs, *self._tags) if n in self._tags or self._is_structure(n)]
        shown = ", ".join(n for n in known if "__shm_" not in n)
        if name in self._typedefs:
            raise InputError(f"{escape(filename)}: {quote(name)} is no struct or union", f"it has {shown}")
        hint = f"it has {shown}" if shown else "it defines no struct or union"
        raise InputError(f"{escape(filename)}: no complete type is called {quote(name)}", hint)

    def _sharing(self, node: Any) -> list[Any]:
        """The declarations of one statement: ``typedef struct {…} a, *b;`` is two."""
        base = _base(node)
        return [other for other in self._unit if _base(other) is base]

    def _is_structure(self, typedef: str) -> bool:
        if typedef not in self._typedefs:
            return False
        ctype = self._ffi.typeof(typedef)
        return ctype.kind in ("struct", "union") and ctype.fields is not None

    # -- from text to nodes

    def _parse(self, tokens: list[Token]) -> list[Any]:
        from pycparser.c_parser import CParser, ParseError

        if not tokens:
            return []
        known = f"typedef int {', '.join(posixtypes.TYPE_NAMES)};\n"
        try:
            unit = CParser().parse(known + render(tokens, self._files))
        except ParseError as error:
            refuse_parse(str(error), tokens, self._files)
        except (AttributeError, AssertionError, IndexError, TypeError, ValueError, KeyError) as error:
            raise InputError("the declaration is not understood") from error  # the parser's own slips
        return list(unit.ext[len(posixtypes.TYPE_NAMES) :])

    def _refuse(self, node: Any, message: str, hint: str | None = None) -> NoReturn:
        coord = node.coord
        if coord is None or not str(coord.file).isdecimal():
            raise InputError(message, hint)
        refuse(Token("", self._files[int(coord.file)], coord.line), message, hint)

    # -- from nodes to cffi

    def _external(self, node: Any) -> None:
        """Define what a declaration at file scope defines; variables and functions have no layout."""
        kind = type(node).__name__
        if kind == "Typedef":
            self._no_attributes(node)
            text = f"typedef {self._declare(node.type, node.name)};"
            if self._typedefs.get(node.name, text) != text:
                self._refuse(node, f"{quote(node.name)} is defined in two ways")
            if node.name not in self._typedefs:
                self._define(node, text, typedef=node.name if "[" in text else "")
                self._typedefs[node.name] = text
        elif kind == "Decl":
            self._no_attributes(node)
            base = _base(node.type)
            if type(base).__name__ in ("Struct", "Union", "Enum"):
                self._specifier(base)
        elif kind not in ("FuncDef", "StaticAssert", "Pragma", "EmptyStatement"):
            self._refuse(node, "only declarations are understood")

    def _define(self, node: Any, text: str, pack: int = 0, typedef: str = "") -> None:
        """Give cffi one definition, and have it lay out the type at once: errors belong to this line."""
        try:
            self._ffi.cdef(text, pack=pack or None)
            kind, _, rest = text.partition(" ")
            if kind in ("struct", "union"):
                self._ffi.sizeof(f"{kind} {rest.split()[0]}")
            if typedef:
                self._ffi.typeof(typedef)
        except (RecursionError, MemoryError):
            raise
        except Exception as error:  # cffi says no with many types, NotImplementedError and AttributeError too
            self._refuse(node, f"cannot be laid out: {self._readable(str(error))}")

    def _readable(self, message: str) -> str:
        shown = show_type(message.partition("\n")[0], self._names)
        return quote(shown.replace("field 'struct.", "field '"), 160)

    def _no_attributes(self, node: Any) -> None:
        if getattr(node, "align", None) or getattr(node, "attributes", None):
            self._refuse(node, "an alignment or attribute is not supported: it may change the layout")

    def _declare(self, node: Any, inner: str) -> str:
        """The declaration of ``inner`` with the type of ``node``, without what has no part in layout."""
        kind = type(node).__name__
        self._no_attributes(node)
        if kind == "TypeDecl":
            base = self._specifier(node.type)
            if "_Atomic" in node.quals and self._kind_of(base) in ("struct", "union"):
                self._refuse(node, "an _Atomic struct or union is not supported")
            return f"{base} {inner}"
        if kind == "PtrDecl":
            return self._declare(node.type, f"(*{inner})")
        if kind == "ArrayDecl":
            length = "" if node.dim is None else str(self._constant(node.dim, "an array's length", 0))
            return self._declare(node.type, f"{inner}[{length}]")
        if kind == "FuncDecl":
            # neither arguments nor result change a function pointer's layout
            return f"void {inner}(void)"
        return self._specifier(node) + f" {inner}"

    def _kind_of(self, text: str) -> str:
        kind: str = self._ffi.typeof(text).kind
        return kind

    def _specifier(self, node: Any) -> str:
        """The name of a type without declarators; defines what is defined in it."""
        kind = type(node).__name__
        self._no_attributes(node)
        if kind == "IdentifierType":
            return self._identifier(node)
        if kind == "Enum":
            return self._enum(node)
        if kind in ("Struct", "Union"):
            return self._structure(node, kind.lower())
        return self._refuse(node, f"{kind} is not supported")

    def _identifier(self, node: Any) -> str:
        words = sorted(node.names, key=lambda w: SPECIFIERS.index(w) if w in SPECIFIERS else 99)
        text = " ".join(words)
        if text in self._typedefs or text in posixtypes.BUILTIN:
            return text
        if text in posixtypes.TYPE_NAMES:
            return self._posix_type(node, text)
        if {"signed", "unsigned"} <= set(words) or not set(words) <= set(SPECIFIERS):
            self._refuse(node, f"{quote(text)} is not a type")
        if text != "void":
            try:
                self._ffi.sizeof(text)
            except Exception:  # whatever cffi makes of "long float"
                self._refuse(node, f"{quote(text)} is not a type that shmctl knows")
        return text

    def _posix_type(self, node: Any, name: str) -> str:
        machine = platform.machine() if struct.calcsize("P") == 8 else ""
        text = posixtypes.typedef(name, machine) if machine else None
        if text is None:
            self._refuse(node, f"the size of {name} on this machine ({platform.machine()}) is not known")
        self._define(node, text)
        self._typedefs[name] = text
        for kind in ("struct", "union"):
            self._names[f"{kind} {posixtypes.OPAQUE}{name}"] = name
        return name

    def _new_tag(self, node: Any, kind: str) -> str:
        if node.name:
            return str(node.name)
        tag = f"__shm_{len(self._names)}"
        self._names[f"{kind} {tag}"] = kind
        return tag

    def _enum(self, node: Any) -> str:
        if id(node) in self._defined:
            return self._defined[id(node)]
        if getattr(node, "underlying_type", None) is not None:
            self._refuse(node, "an enum with a type of its own is not supported")
        if node.values is None:
            if f"enum {node.name}" not in self._tags:
                self._refuse(node, f"enum {quote(node.name)} is not defined")
            return f"enum {node.name}"
        text = f"enum {self._new_tag(node, 'enum')}"
        self._defined[id(node)] = text
        if text in self._tags:
            self._refuse(node, f"{text} is defined twice")
        self._define(node, f"{text} {{ {', '.join(self._enumerators(node))} }};")
        self._tags[text] = text
        return text

    def _enumerators(self, node: Any) -> Iterator[str]:
        value = -1
        for item in node.values.enumerators:
            if type(item).__name__ != "Enumerator":
                continue
            self._no_attributes(item)
            value = value + 1 if item.value is None else self._constant(item.value, "an enumerator", None)
            if item.name in self._constants:
                self._refuse(item, f"{quote(item.name)} is defined twice")
            self._constants[item.name] = value
            yield f"{item.name} = {value}"

    def _constant(self, node: Any, what: str, least: int | None) -> int:
        try:
            value = evaluate(node, self._constants, self._sizeof).value
        except NotConstantError as error:
            self._refuse(node, f"{what}: {error}")
        if least is not None and value < least:
            self._refuse(node, f"{what} cannot be {value}")
        return value

    def _sizeof(self, node: Any) -> int:
        try:
            return int(self._ffi.sizeof(self._declare(node.type, "")))
        except InputError:
            raise
        except Exception as error:  # incomplete, void or a function: each has an exception of its own
            raise NotConstantError("sizeof of a type without size") from error

    def _structure(self, node: Any, kind: str) -> str:
        if id(node) in self._defined:
            return self._defined[id(node)]
        if node.decls is None:
            return self._reference(node, kind)
        text = f"{kind} {self._new_tag(node, kind)}"
        self._defined[id(node)] = text
        if text in self._tags:
            self._refuse(node, f"{text} is defined twice")
        pack = 0
        members: list[str] = []
        for decl in node.decls:
            name = getattr(decl, "name", None) or ""
            if name.startswith(MARK):
                pack = int(name[len(MARK) :])
            else:
                members += self._member(decl)
        if pack and any(":" in member for member in members):
            self._refuse(node, "bit-fields in a packed structure are not supported")
        self._define(node, f"{text} {{ {' '.join(members)} }};", pack)
        self._refuse_empty(node, text)
        self._tags[text] = text
        return text

    def _refuse_empty(self, node: Any, text: str) -> None:
        """gcc gives such a structure no bytes at all, and cffi one."""
        fields = self._ffi.typeof(text).fields
        if all(member.bitsize < 0 and self._size(member.type) == 0 for _, member in fields):
            self._refuse(node, "a structure without a member that has a size is not supported")

    def _size(self, ctype: Any) -> int:
        return 0 if ctype.kind == "array" and ctype.length is None else self._ffi.sizeof(ctype)

    def _reference(self, node: Any, kind: str) -> str:
        text = f"{kind} {node.name}"
        if kind == "struct" and node.name in posixtypes.STRUCT_TAGS and text not in self._tags:
            if struct.calcsize("P") != 8:
                self._refuse(node, f"the layout of {text} on this machine is not known")
            self._define(node, posixtypes.structure(node.name))
            self._tags[text] = text
        return text

    def _member(self, decl: Any) -> Sequence[str]:
        """The text of a structure's member, or of none where C has none."""
        if type(decl).__name__ != "Decl":
            return ()
        self._no_attributes(decl)
        if decl.name is None and decl.bitsize is None:
            return self._nameless(decl)
        if type(decl.type).__name__ == "FuncDecl":
            self._refuse(decl, f"{quote(decl.name)} is a function: only a pointer to one can be a member")
        if decl.storage or getattr(decl, "init", None) is not None:
            self._refuse(decl, f"{quote(decl.name or 'a member')} has what a member cannot have")
        text = self._declare(decl.type, decl.name or "")
        if decl.bitsize is None:
            return (f"{text};",)
        width = self._constant(decl.bitsize, "a bit-field's width", 1 if decl.name else 0)
        return (f"{text} : {width};",)

    def _nameless(self, decl: Any) -> Sequence[str]:
        base = _base(decl.type)
        kind = type(base).__name__
        if kind not in ("Struct", "Union", "Enum"):
            self._refuse(decl, "this declares no member: a name is missing")
        text = self._specifier(base)
        # only a structure without a tag passes its members on; "struct s {…};" declares none
        promoted = kind != "Enum" and base.name is None and base.decls is not None
        return (f"{text};",) if promoted else ()


def _base(node: Any) -> Any:
    """The specifier under a type's declarators."""
    while type(node).__name__ in ("Typedef", "Decl", "TypeDecl", "PtrDecl", "ArrayDecl", "FuncDecl"):
        node = node.type
    return node


_TAGGED = re.compile(r"(?:struct|union|enum) __shm_\w+")


def show_type(text: str, names: dict[str, str]) -> str:
    """``text`` with the types that have only a made-up tag called as the user would."""
    return _TAGGED.sub(lambda match: names.get(match.group(), match.group().split()[0]), text)
