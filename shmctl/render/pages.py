"""Where an object's bytes are: rows for a person, a record for a program."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shmctl.core import posix
from shmctl.core.inspect.charges import Charge
from shmctl.core.inspect.pages import Pages
from shmctl.core.names import escape
from shmctl.core.sizes import counted, human_size

if TYPE_CHECKING:
    from shmctl.render.output import Output

_BLOCKS = str.maketrans("#+.", "█▒░")


def pages_record(pages: Pages) -> dict[str, Any]:
    """By the keys that scripts rely on; sizes in bytes, null where they are not known."""
    return {
        "page_size": posix.PAGE_SIZE,
        "data": pages.data,
        "holes": None if pages.data is None else pages.size - pages.data,
        "reserved": pages.reserved,
        "page_cache": pages.cached,
        "swap": pages.swapped,
        "map": pages.map,
        "extents": [{"offset": each.offset, "length": each.length} for each in pages.extents],
        "extents_complete": pages.complete,
        "charged": pages.charged and [_charge_record(each) for each in pages.charged],
        "mapped_by": [each._asdict() for each in pages.mapped],
        "unknown": pages.unknown,
    }


def _charge_record(charge: Charge) -> dict[str, Any]:
    return {
        "cgroup": charge.path and charge.path.decode("utf-8", "replace"),
        "inode": charge.inode,
        "bytes": charge.size,
        **charge.place._asdict(),
    }


def page_rows(output: "Output", pages: Pages) -> Iterator[tuple[str, str]]:
    """A label and a text for each thing that is known, and for each that is not."""
    if pages.data is not None:
        yield "data", f"{_size(pages.data)} in {counted(len(pages.extents), 'extent')}"
        yield "holes", _size(pages.size - pages.data)
    if pages.reserved:
        yield "reserved", f"{_size(pages.reserved)} allocated without data"
    if pages.cached is not None:
        yield "page cache", _size(pages.cached)
    if pages.swapped is not None:
        yield "swap", _size(pages.swapped)
    for charge in pages.charged or ():
        unseen = (
            f"a group that is not visible from here (inode {charge.inode})" if charge.inode else "no group"
        )
        yield "charged", f"{_size(charge.size)} to {escape(charge.path or b'') or unseen}"
    for each in pages.mapped:
        parts = [f"{_size(each.resident)} resident", f"{_size(each.dirty)} dirty", f"{_size(each.huge)} huge"]
        parts += [f"{_size(size)} on node {node}" for node, size in sorted((each.nodes or {}).items())]
        yield "mapped by", f"{each.pid} {escape(each.command)}: {', '.join(parts)}"
    if pages.map is not None:
        blocks = output.terminal and (output.stream.encoding or "").lower().startswith("utf")
        yield "map", pages.map.translate(_BLOCKS) if blocks else pages.map
    for text in pages.unknown:
        yield "unknown", text


def _size(size: int) -> str:
    return f"{size} ({human_size(size)})" if size >= 1024 else str(size)
