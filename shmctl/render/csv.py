"""Comma-separated values as RFC 4180 has them: lines end in CR LF, and values that need it are quoted."""

import re
from collections.abc import Sequence
from typing import TextIO

_NEEDS_QUOTES = re.compile(r'[",\r\n]')


def write_line(out: TextIO, values: Sequence[str]) -> None:
    """Write one row; a single empty value is quoted, so that its line is no empty one."""
    line = ",".join(map(_quoted, values))
    out.write((line or '""') + "\r\n")


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if _NEEDS_QUOTES.search(value) else value
