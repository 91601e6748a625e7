"""Aligned columns for pipes and files: never cut, never wrapped, no spaces inside a cell."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shmctl.render.output import Heading, Output, Row


def write_columns(output: "Output", headings: Sequence["Heading"], rows: Sequence["Row"]) -> None:
    """Write ``rows`` under their headings."""
    lines = [tuple(heading.text for heading in headings), *rows] if output.headings else rows
    if not lines:
        return
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    pads = [
        f"%{width}s" if heading.right else f"%-{width}s"
        for width, heading in zip(widths, headings, strict=True)
    ]
    if not headings[-1].right:
        pads[-1] = "%s"  # no line ends in spaces
    row_format = "  ".join(pads) + "\n"
    output.stream.writelines(row_format % line for line in lines)
