"""Where a layout comes from: a program's debugging information, the compiler, or shmctl's own reading."""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from shmctl.core.errors import InputError, UnknownTypeError, failing_as
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.values import escape, quote


class Source(NamedTuple):
    """Where a type is defined: a header, an ELF file, or neither, for declarations that stand for themselves.

    ``include`` and ``define`` are for the compiler, as ``-I`` and ``-D`` are; ``language`` is ``c``,
    ``c++``, or None for what the header's name says.
    """

    header: str | None = None
    elf: str | None = None
    include: Sequence[str] = ()
    define: Sequence[str] = ()
    language: str | None = None


INLINE = Source()


def load(declaration: str, source: Source) -> Layout:
    """The layout of a DECL, or of the type of that name that ``source`` defines.

    Raises FileError for a file that cannot be read, UnknownTypeError for the name of a type that
    stands alone and is none of C's, InputError for what is not there or would be laid out wrongly.
    """
    if source.elf is not None:
        return load_elf(source.elf, declaration)
    if source.header is not None:
        return load_header(source.header, declaration, source)
    return parse(declaration, source)


def load_elf(path: str, type_name: str, shown: str | None = None) -> Layout:
    """The layout of the type ``type_name`` out of an ELF file's debugging information."""
    from shmctl.core.layouts.lookup import Library

    with Library(path, shown) as library:
        found = library.find(type_name)
        return Layout(
            found.type, found.type.name, f"{library.source}{f', {found.where}' if found.file else ''}"
        )


def load_header(path: str, type_name: str, source: Source) -> Layout:
    """The layout of a type of the header at ``path``, by the compiler if there is one."""
    from shmctl.core.layouts import compiler

    options = compiler.Options(source.include, source.define, source.language)
    cpp = compiler.is_cpp(path, options)
    words = compiler.find_compiler(cpp)
    if words is not None:
        return compiler.load_header(path, type_name, options, words)
    if cpp:
        raise InputError(f"{escape(path)}: C++ is for a compiler", "install one: package g++")
    from shmctl.core.layouts.declarations import from_header

    return from_header(read_header(path), type_name, path, source.include, source.define)


def read_header(path: str) -> str:
    """The text of the header at ``path``. Raises FileError, InputError."""
    import stat

    from shmctl.core.layouts.csource import HEADER_MAX, text_of

    with failing_as("open", os.fsencode(path)):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, "rb") as file, failing_as("read", os.fsencode(path)):
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InputError(f"{escape(path)}: not a regular file")
        raw = file.read(HEADER_MAX + 1)
    if len(raw) > HEADER_MAX:
        raise InputError(f"{escape(path)}: a header of more than {HEADER_MAX >> 20} MiB is not read")
    return text_of(raw)


def parse(declaration: str, source: Source = INLINE) -> Layout:
    """The layout of ``int a; char b[8]``, ``struct s {…}``, ``typedef struct {…} name``, or a known name.

    What shmctl does not read itself goes to the compiler, if there is one.
    """
    from shmctl.core.layouts.declarations import WHERE, from_declaration

    if source.language == "c++":
        return _by_compiler(
            declaration, source, InputError("C++ is for a compiler", "install one: package g++")
        )
    try:
        return from_declaration(declaration, source.include, source.define)
    except UnknownTypeError:
        raise
    except InputError as error:
        if _TYPE_NAME.fullmatch(declaration.strip()):
            raise UnknownTypeError(f"no type is called {quote(declaration.strip())}", WHERE) from None
        return _by_compiler(declaration, source, error)


# A name of C++'s or Rust's, or one of a file: ns::point, Box<int>, point.h:7:point.
_TYPE_NAME = re.compile(
    r"(?:[\w./+-]+:)?(?:[0-9]+:)?(?:(?:struct|union|enum|class) )?(?:::)?[A-Za-z_]\w*"
    r"(?:::\w+|<[\w:<>, *&]+>)*",
    re.ASCII,
)


# A command line longer than this is no declaration that a person has written, and compilers take long for it.
_MOST_TO_COMPILE = 1 << 15


def _by_compiler(declaration: str, source: Source, error: InputError) -> Layout:
    """The layout by the compiler; ``error``, which led here, if there is none or it refuses as well."""
    from shmctl.core.layouts import compiler
    from shmctl.core.layouts.declarations import WHERE

    options = compiler.Options(source.include, source.define, source.language)
    words = compiler.find_compiler(compiler.is_cpp(None, options))
    if words is None or len(declaration) > _MOST_TO_COMPILE:
        raise error
    try:
        return compiler.from_declaration(declaration, options, words)
    except compiler.CompilerError:
        if source.language == "c++":
            raise
        # It says why in the words of shmctl's own reading, and not that a compiler would know.
        raise InputError(str(error), f"{words[0]} refuses it as well: {WHERE}") from None
