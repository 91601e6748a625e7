"""C structures in objects, as Python values."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from shmctl.api.memory import SharedMemory, check_number, writable_target
from shmctl.core.errors import InputError
from shmctl.core.layouts.fields import Field
from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.pyvalues import decode, pairs
from shmctl.core.objects.write import Fit, write_stores
from shmctl.core.requests import LayoutSource


class Struct:
    """A structure as the platform's C compiler lays it out: padding, arrays, nesting, bit-fields, unions.

    ``declaration`` has its members (``"int x; double y;"``), or a whole
    ``struct s {…}`` or ``typedef``. With ``header`` it names a type that this
    file defines (``"struct box"``); the C or C++ compiler lays it out, with
    ``include`` folders and ``define``d macros (``"NAME=VALUE"``). With ``elf``
    it names a type of a program, library or object file that has debugging
    information, in any language.

    Raises ValueError, with the line, for a declaration that cannot be laid
    out, and `ShmError` for a header that cannot be read.

    >>> layout = shmctl.Struct("char tag; int x; double y[2];")
    >>> layout.size
    24
    >>> with shmctl.create("/box", size=layout.size) as box:
    ...     layout.write(box, tag="A", x=3, y=[0.5, 1.5])
    ...     layout.read(box)
    {'tag': 'A', 'x': 3, 'y': [0.5, 1.5]}
    """

    def __init__(
        self,
        declaration: str,
        *,
        header: str | os.PathLike[str] | None = None,
        elf: str | os.PathLike[str] | None = None,
        include: Sequence[str | os.PathLike[str]] = (),
        define: Sequence[str] = (),
        language: Literal["c", "c++"] | None = None,
    ) -> None:
        if header is not None and elf is not None:
            raise InputError("header and elf exclude each other")
        self._layout = LayoutSource(
            declaration,
            None if header is None else os.fspath(header),
            None if elf is None else os.fspath(elf),
            tuple(os.fspath(folder) for folder in include),
            tuple(define),
            language,
        ).load()

    @classmethod
    def of(cls, pid: int, name: str) -> "Struct":
        """Return the type ``name`` of the program that process ``pid`` runs, or of its libraries.

        They need debugging information (``gcc -g``). Raises ValueError if there is no such type.
        """
        self = cls.__new__(cls)
        self._layout = LayoutSource(name).load_from_processes([pid])
        return self

    @property
    def name(self) -> str:
        """The name in C."""
        return self._layout.name

    @property
    def size(self) -> int:
        """The size in bytes, padding included."""
        return self._layout.size

    @property
    def alignment(self) -> int:
        """The alignment in bytes."""
        return self._layout.alignment

    def fields(self) -> Iterator[Field]:
        """Yield each value, an array's one by one, with ``path``, ``ctype``, ``offset`` and ``size``."""
        return self._layout.fields()

    def read(self, box: SharedMemory, *, offset: int = 0) -> dict[str, Any]:
        """Return the structure at ``offset`` as a dict, with dicts for structures and lists for arrays.

        A char array is a str up to its first NUL; bytes that are not UTF-8 are
        decoded as by os.fsdecode(). A type without public members, such as
        sem_t, is bytes. Fields are copied together, not at one instant: `get`
        loads one by a single instruction.

        Raises `ShmError` if the object ends before the structure does.
        """
        data = box.read(offset, self.size)
        return self._layout.tree(data, decode)

    def get(self, box: SharedMemory, path: str, *, offset: int = 0) -> Any:
        """Return the value at ``path`` (``"x"``, ``"in.y"``, ``"a[2]"``) of the structure at ``offset``.

        An aligned value is loaded by a single instruction. Raises `ShmError` as
        `read` does, ValueError for a path that leads to no single value.
        """
        field = self._layout.single(path)
        if field is None:
            raise InputError(f"'{path}' is not a single value")
        return decode(field, box.read(offset + field.offset, field.size))

    def write(
        self,
        box: SharedMemory,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        offset: int = 0,
        **fields: Any,
    ) -> None:
        """Store the given fields of the structure at ``offset``, in that order, and leave the others.

        A path that is no Python name goes into ``values``: ``{"in.y": 3, "a[2]": 5}``.
        A dict fills a structure, a sequence an array. Each aligned value is
        stored by a single instruction: give the data before the flag that
        announces it.

        Raises ValueError, before anything is stored, for an unknown field and
        for a value that the field cannot hold; `ShmError` as
        `SharedMemory.write` does.
        """
        check_number("offset", offset)
        wanted = pairs(self._layout, {**(values or {}), **fields})
        target = writable_target(box, "write")
        write_stores(target, offset, self.size, lambda load: self._layout.stores_of(wanted, load), Fit())

    def __repr__(self) -> str:
        return f"<shmctl.Struct {self.name!r}, {self.size} bytes>"


def layout_of(struct: Struct) -> Layout:
    """What core knows it as."""
    return struct._layout  # noqa: SLF001 - what a Struct hides from users, this package shares
