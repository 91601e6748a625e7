"""What the command line and the library both ask for: where a layout comes from, and what goes with it."""

from typing import TYPE_CHECKING, NamedTuple

from shmctl.core.rules import exclude, go_with

if TYPE_CHECKING:
    from shmctl.core.layouts.structs import Layout


class LayoutSource(NamedTuple):
    """Where a structure's layout comes from: C text, or the name of a type and the header that defines it.

    It is here, not beside the layouts, so that a command that needs no layout loads nothing of them.
    """

    declaration: str
    header: str | None = None

    def load(self) -> "Layout":
        """The layout. Raises InputError for what is not understood, FileError for an unreadable header."""
        from shmctl.core.layouts import structs

        if self.header is None:
            return structs.parse(self.declaration)
        return structs.load_header(self.header, self.declaration)


LAYOUT_RULES = (go_with("header", "declaration"),)
TYPED_RULES = (
    exclude("type_name", "declaration"),
    go_with("endian", "type_name"),
    *LAYOUT_RULES,
)
"""For a request of a value of a C type, or of a structure."""
