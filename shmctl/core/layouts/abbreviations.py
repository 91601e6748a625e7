"""DWARF's abbreviations: which attributes the entries of one code have (DWARF 5, section 7.5.3)."""

from collections.abc import Callable
from typing import NamedTuple

from shmctl.core.layouts.dwarfnumbers import At, Form, sleb, uleb


class Abbreviation(NamedTuple):
    """What entries of one code have: tag, children, (attribute, form, implicit value, size or None), and
    the size of the whole if it is fixed."""

    tag: int
    children: bool
    attributes: tuple[tuple[int, int, int, int | None], ...]
    size: int | None
    sibling: int | None  # where DW_AT_sibling stands, if all before it is fixed and it is a ref4
    name: tuple[int, int] | None  # where DW_AT_name stands, if all before it is fixed, and its form


def read_abbreviation(
    data: bytes, start: int, size_of: Callable[[int], int | None]
) -> tuple[bytes, Abbreviation]:
    """Return the bytes of the abbreviation behind a code, and what they say; ``size_of`` is a form's size."""
    tag, at = uleb(data, start)
    children, at = data[at] != 0, at + 1
    attributes: list[tuple[int, int, int, int | None]] = []
    while True:
        attribute, at = uleb(data, at)
        form, at = uleb(data, at)
        implicit = 0
        if form == Form.IMPLICIT_CONST:
            implicit, at = sleb(data, at)
        if not attribute and not form:
            return data[start:at], _abbreviation(tag, children, attributes)
        attributes.append((attribute, form, implicit, size_of(form)))


def _abbreviation(
    tag: int, children: bool, attributes: list[tuple[int, int, int, int | None]]
) -> Abbreviation:
    size: int | None = 0
    sibling: int | None = None
    name: tuple[int, int] | None = None
    for attribute, form, _, fixed in attributes:
        if attribute == At.SIBLING and form == Form.REF4:
            sibling = size
        if attribute == At.NAME and size is not None:
            name = (size, form)
        size = None if size is None or fixed is None else size + fixed
    return Abbreviation(tag, children, tuple(attributes), size, sibling, name)
