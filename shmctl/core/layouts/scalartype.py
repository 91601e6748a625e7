"""The part of the model that a value without a structure needs: `read --type` loads no more."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Endian: TypeAlias = Literal["little", "big"] | None
Kind: TypeAlias = Literal["int", "uint", "float", "bool", "char", "address", "longdouble", "text", "opaque"]


class ScalarType(NamedTuple):
    """A type that holds one value.

    ``size`` and ``align`` are bytes. ``code`` is the struct module's, without
    byte order, where it has one. ``text`` is an array of characters, counted
    as one value; ``width`` is the bytes of one of them. ``opaque`` has no value
    but its bytes. A ``longdouble`` has for ``code`` the name of its format.
    ``labels`` are an enum's numbers by name. ``lock`` is the POSIX type whose
    state the bytes are, or empty; ``parts`` are the offset and size of its words by
    name, where the layout has them.
    """

    name: str
    size: int
    code: str
    kind: Kind
    align: int = 1
    endian: Endian = None
    labels: Mapping[str, int] = {}
    lock: str = ""
    width: int = 1
    parts: Mapping[str, tuple[int, int]] = {}

    @property
    def signed(self) -> bool:
        """Whether an integer or character of this type has negative values."""
        return self.kind == "int" or (self.kind == "char" and self.code == "b")
