"""Changes of a size, as truncate(1) spells them."""

from typing import NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.sizes import OFF_T_MAX, looks_like_unit, parse_size


class Resize(NamedTuple):
    """A new size, absolute or relative to the old one, with the prefixes of truncate(1)."""

    operator: str
    size: int

    def apply(self, old: int) -> int:
        """The size in bytes that an object of ``old`` bytes gets. Raises InputError out of off_t's range."""
        new = {
            "": lambda: self.size,
            "+": lambda: old + self.size,
            "-": lambda: max(0, old - self.size),
            "<": lambda: min(old, self.size),
            ">": lambda: max(old, self.size),
            "/": lambda: old // self.size * self.size,
            "%": lambda: -(-old // self.size) * self.size,
        }[self.operator]()
        if new > OFF_T_MAX:
            raise InputError(f"the new size would be {new} bytes, and {OFF_T_MAX} is the most there can be")
        return new


def parse_resize(text: str) -> Resize:
    """``100``, ``+4K``, ``-10``, ``<1M`` (at most), ``>1M`` (at least), ``/4K``, ``%4K`` (rounded down, up).

    As in truncate(1) white space may stand before, and ``K`` is ``1K``.

    Raises InputError, also for rounding to a multiple of 0.
    """
    stripped = text.lstrip()
    operator = stripped[:1] if stripped[:1] in "+-<>/%" else ""
    amount = stripped[len(operator) :]
    if operator not in ("+", "-"):
        amount = amount.lstrip()
        # A unit alone is one of it.
        amount = "1" + amount if looks_like_unit(amount) else amount
    resize = Resize(operator, parse_size(amount))
    if resize.size == 0 and operator and operator in "/%":
        raise InputError(f"invalid size '{text}': nothing is a multiple of 0")
    return resize
