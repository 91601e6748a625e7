"""Aligned columns for pipes and files: never cut, never wrapped, no spaces inside a cell."""

from collections.abc import Sequence
from typing import TextIO


def write_columns(
    out: TextIO, headings: Sequence[str] | None, rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    """Write ``rows`` under ``headings`` (None: none); ``right`` says which columns align to the right."""
    lines = [headings, *rows] if headings else rows
    if not lines:
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    # The last column needs no padding, so that no line ends in spaces.
    pads = [f"{{:>{w}}}" if r else f"{{:<{w}}}" for w, r in zip(widths, right, strict=True)]
    if not right[-1]:
        pads[-1] = "{}"
    row_format = "  ".join(pads) + "\n"
    out.writelines(row_format.format(*line) for line in lines)
