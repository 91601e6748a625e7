"""Limits for the use of /dev/shm, in bytes or in percent."""

import re
from typing import NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.sizes import parse_size


class Fullness(NamedTuple):
    """A use of /dev/shm: ``size`` bytes, or ``percent`` of its capacity."""

    size: int | None
    percent: float | None


def parse_fullness(text: str) -> Fullness:
    """Parse ``90%``, ``99.5%`` or a size. Raises InputError."""
    if not text.endswith("%"):
        return Fullness(parse_size(text), None)
    match = re.fullmatch(r"([0-9]{1,2}(?:\.[0-9]*)?)%", text, re.ASCII)
    if not match:
        raise InputError(f"invalid use '{text}'", hint="it is a size, or 0% to 99.9%: nothing is over 100%")
    return Fullness(None, float(match[1]))
