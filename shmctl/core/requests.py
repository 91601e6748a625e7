"""What the command line and the library both ask for: where a layout comes from, and what goes with it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from shmctl.core.rules import exclude, go_with

if TYPE_CHECKING:
    from shmctl.core.layouts.layout import Layout


class LayoutSource(NamedTuple):
    """Where a layout comes from: C text, or the name of a type and the header or ELF file that defines it.

    ``include`` and ``define`` are for the compiler, as its ``-I`` and ``-D`` are; ``language`` is ``c``,
    ``c++``, or None for what the header's name says. It is here, not beside the layouts, so that a
    command that needs no layout loads nothing of them.
    """

    declaration: str
    header: str | None = None
    elf: str | None = None
    include: tuple[str, ...] = ()
    define: tuple[str, ...] = ()
    language: str | None = None

    def load(self) -> "Layout":
        """The layout. Raises InputError for what is not understood, FileError for an unreadable file."""
        from shmctl.core.layouts.load import Source, load

        return load(self.declaration, Source(self.header, self.elf, self.include, self.define, self.language))

    def load_from_processes(self, pids: Sequence[int]) -> "Layout":
        """The layout of the type in the programs that the processes ``pids`` run. Raises InputError."""
        from shmctl.core.layouts.programs import find_in_processes

        return find_in_processes(pids, self.declaration)


LAYOUT_RULES = (
    exclude("header", "elf"),
    *(go_with(name, "declaration") for name in ("header", "elf", "include", "define", "language")),
    *(exclude(name, "elf") for name in ("include", "define", "language")),
)
TYPED_RULES = (
    exclude("type_name", "declaration"),
    go_with("endian", "type_name"),
    *LAYOUT_RULES,
)
"""For a request of a value of a C type, or of a structure."""
