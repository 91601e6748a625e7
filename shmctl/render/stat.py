"""An object's metadata: a record, lines, or a panel."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shmctl.core.models import Kind, ObjectInfo, user_name
from shmctl.core.names import Name, escape
from shmctl.core.sizes import counted, human_size
from shmctl.render.records import mode_text, object_record
from shmctl.render.times import iso_time

if TYPE_CHECKING:
    from shmctl.core.inspect.holders import Holder
    from shmctl.core.inspect.pages import Pages
    from shmctl.render.output import Output

    # Of each object; None where nobody asked.
    Holders = Mapping[Name, Sequence[Holder]] | None

_ST_FIELDS = (
    "st_dev",
    "st_ino",
    "st_mode",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_rdev",
    "st_size",
    "st_blksize",
    "st_blocks",
)
_ST_TIMES = ("st_atime", "st_mtime", "st_ctime")


def stat_record(
    info: ObjectInfo, holders: "Holders", value: int | None, pages: "Pages | None" = None
) -> dict[str, Any]:
    """An object's record, with struct stat's fields as numbers: times in seconds, ``_ns`` in nanoseconds.

    ``value`` is a semaphore's.
    """
    record = object_record(info)
    record.update((field, getattr(info.st, field)) for field in _ST_FIELDS)
    record["btime"] = None if info.btime_ns is None else iso_time(info.btime_ns)
    for field in _ST_TIMES:
        nanoseconds = getattr(info.st, field + "_ns")
        record[field] = nanoseconds // 10**9
        record[field + "_ns"] = nanoseconds
    if info.kind is Kind.SEMAPHORE:
        record["value"] = value
    if holders is not None:
        from shmctl.render.holders import holder_record

        record["holders"] = [holder_record(info.name, holder) for holder in holders[info.name]]
    if pages is not None:
        from shmctl.render.pages import pages_record

        record["pages"] = pages_record(pages)
    return record


def write_stat(
    output: "Output", info: ObjectInfo, holders: "Holders", value: int | None, pages: "Pages | None" = None
) -> None:
    """Write an object: a panel on a terminal, elsewhere a label and a value a line."""
    rows = _rows(info)
    if info.kind is Kind.SEMAPHORE:
        rows.append(("value", "cannot be read" if value is None else str(value)))
    if holders is not None:
        rows += [("holder", _holder_text(output, holder)) for holder in holders[info.name]]
        rows += [] if holders[info.name] else [("holder", "none to be seen")]
    if pages is not None:
        from shmctl.render.pages import page_rows

        rows += page_rows(output, pages)
    if output.terminal:
        from shmctl.render.table import write_panel

        write_panel(output, escape(info.name), rows)
    else:
        width = max(len(label) for label, _ in rows)
        output.stream.writelines(f"{label.ljust(width)}  {value}\n" for label, value in rows)


def _holder_text(output: "Output", holder: "Holder") -> str:
    command, user = escape(holder.command), escape(user_name(holder.uid))
    descriptors = ",".join(map(str, sorted(holder.fds))) or "none"
    mapped = output.size(holder.mapped)
    return (
        f"{holder.pid} {command} of {user}, access {holder.access or '-'}, mapped {mapped}, fds {descriptors}"
    )


def _rows(info: ObjectInfo) -> list[tuple[str, str]]:
    """struct stat, field by field, and the birth time of struct statx, with what each means to a person."""
    st = info.st
    return [
        ("st_dev", f"{st.st_dev} (device {os.major(st.st_dev)}:{os.minor(st.st_dev)})"),
        ("st_ino", str(st.st_ino)),
        ("st_mode", f"0{st.st_mode:o} ({mode_text(st.st_mode)})"),
        ("st_nlink", str(st.st_nlink)),
        ("st_uid", f"{st.st_uid} ({escape(info.owner)})"),
        ("st_gid", f"{st.st_gid} ({escape(info.group)})"),
        ("st_rdev", str(st.st_rdev)),
        ("st_size", f"{st.st_size}" + (f" ({human_size(st.st_size)})" if st.st_size >= 1024 else "")),
        ("st_blksize", str(st.st_blksize)),
        ("st_blocks", f"{st.st_blocks} ({counted(info.allocated, 'byte')} allocated)"),
        ("st_atime", _time_text(st.st_atime_ns)),
        ("st_mtime", _time_text(st.st_mtime_ns)),
        ("st_ctime", _time_text(st.st_ctime_ns)),
        ("stx_btime", "unknown" if info.btime_ns is None else _time_text(info.btime_ns)),
    ]


def _time_text(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9} ({iso_time(nanoseconds)})"
