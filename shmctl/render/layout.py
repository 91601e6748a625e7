"""The outline of a structure: where each member stands, and what stands between them."""

from collections.abc import Mapping

from shmctl.core.layouts.layout import Layout
from shmctl.core.layouts.outline import Leaf, Row, leaves, outline
from shmctl.core.layouts.values import escape
from shmctl.core.sizes import counted
from shmctl.render.aligned import write_table
from shmctl.render.output import Cell, Heading, Output

_HEADINGS = (Heading("OFFSET", right=True), Heading("SIZE", right=True), Heading("TYPE"), Heading("FIELD"))


def write_layout(output: Output, layout: Layout, cache_line: int) -> None:
    """Write the members as rows, with holes and borders of cache lines, and then what they add up to."""
    holes = padding = 0
    rows: list[list[Cell]] = []
    for row in outline(layout, cache_line):
        holes += row.size if row.kind == "hole" else 0
        padding += row.size if row.kind == "padding" else 0
        rows.append(_cells(row))
    write_table(output, _HEADINGS, rows)
    parts = [f"size {layout.size}", f"alignment {layout.alignment}"]
    parts += [f"holes {_size(holes)}"] * bool(holes) + [f"padding {_size(padding)}"] * bool(padding)
    lines = -(-layout.size // cache_line)
    parts.append(f"{counted(lines, 'cache line')} of {cache_line}")
    output.stream.write(f"\n{escape(layout.name)}: {', '.join(parts)}\nsource: {layout.source}\n")


def _cells(row: Row) -> list[Cell]:
    indent = "  " * row.depth
    if row.kind == "line":
        late = f", {_size(row.size)} before this member" if row.size else ""
        return [(_offset(row.offset), "dim"), ("", ""), ("", ""), (f"--- cache line {row.name}{late}", "dim")]
    if row.kind in ("hole", "padding"):
        return [
            (_offset(row.offset), "dim"),
            (_size(row.size), "red"),
            ("", ""),
            (f"{indent}({row.kind})", "red"),
        ]
    name = row.name or "(no name)"
    return [
        (_offset(row.offset), "green"),
        (_size(row.size), "green"),
        (escape(row.type), "yellow"),
        (indent + escape(name), "bold"),
    ]


def _offset(bits: int) -> str:
    return str(bits // 8) if bits % 8 == 0 else f"{bits // 8}:{bits % 8}"


def _size(bits: int) -> str:
    return str(bits // 8) if bits % 8 == 0 else f"{bits // 8}:{bits % 8}"


def layout_record(layout: Layout) -> dict[str, object]:
    """The same for JSON."""
    return {
        "type": layout.name,
        "size": layout.size,
        "align": layout.alignment,
        "source": layout.source,
        "fields": [_leaf_record(leaf) for leaf in leaves(layout)],
    }


def _leaf_record(leaf: Leaf) -> Mapping[str, object]:
    record: dict[str, object] = {
        "field": leaf.path,
        "offset": leaf.offset,
        "size": leaf.size,
        "type": leaf.type,
    }
    optional = {
        "bit_offset": leaf.bit_offset,
        "bit_size": leaf.bit_size,
        "count": leaf.length,
        "stride": leaf.stride,
    }
    return record | {key: value for key, value in optional.items() if value is not None}
