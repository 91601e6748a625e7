"""JSON: an array, one line an element, a whole array on a line, or bare lines."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO


def write_array(out: TextIO, records: Iterable[Mapping[str, Any]]) -> None:
    """Write ``records`` as one JSON array, each on a line of its own."""
    encode = json.JSONEncoder().encode  # json.dumps looks for its encoder anew each time
    separator = "[\n"
    for record in records:
        out.write(separator + encode(record))
        separator = ",\n"
    out.write("[]\n" if separator == "[\n" else "\n]\n")


def write_lines(out: TextIO, records: Iterable[Mapping[str, Any]]) -> None:
    """Write each of ``records`` as a line, without brackets."""
    out.writelines(json.dumps(record) + "\n" for record in records)


def write_line(out: TextIO, records: Iterable[Mapping[str, Any]]) -> None:
    """Write ``records`` as one JSON array on a line: a frame of ``--watch``."""
    out.write(json.dumps(list(records)) + "\n")
