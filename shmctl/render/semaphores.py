"""Semaphores and their values."""

from collections.abc import Sequence
from typing import Any

from shmctl.core.models import ObjectInfo
from shmctl.core.names import escape
from shmctl.core.sync.semaphores import bare_name
from shmctl.render.aligned import write_table
from shmctl.render.output import Heading, Output
from shmctl.render.records import mode_text, name_fields, object_record


def semaphore_record(info: ObjectInfo, value: int | None) -> dict[str, Any]:
    """A semaphore by the keys that scripts rely on; ``semaphore`` is its name for sem_open(3)."""
    return {
        **object_record(info),
        "semaphore": name_fields(bare_name(info.name))["name"],
        "value": value,
    }


def write_semaphores(output: Output, rows: Sequence[tuple[ObjectInfo, int | None]]) -> None:
    """Write semaphores, one a row; ``-`` is a value that cannot be read."""
    headings = [Heading("NAME"), Heading("VALUE", right=True), Heading("MODE"), Heading("OWNER")]
    write_table(
        output,
        [*headings, Heading("MODIFIED")],
        [
            [
                (escape(bare_name(info.name)), "bold"),
                ("-" if value is None else str(value), "green"),
                (mode_text(info.st.st_mode), "yellow"),
                (escape(info.owner), ""),
                (output.time(info.st.st_mtime_ns), "cyan"),
            ]
            for info, value in rows
        ],
    )
