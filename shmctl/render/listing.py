"""The listing of objects: what columns there are, and how each is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from shmctl.core.errors import InputError
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.names import escape
from shmctl.core.sizes import human_size
from shmctl.render.plain import write_columns
from shmctl.render.records import mode_text, short_time

_KIND_STYLES = {
    Kind.SHM: "",
    Kind.SEMAPHORE: "magenta",
    Kind.DIRECTORY: "blue",
    Kind.SYMLINK: "cyan",
    Kind.SOCKET: "yellow",
    Kind.OTHER: "yellow",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How values are written: sizes in three digits or in bytes, times for people or for programs."""

    human_sizes: bool
    human_times: bool

    def size(self, size: int) -> str:
        """A size in bytes as this style writes it."""
        return human_size(size) if self.human_sizes else str(size)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it shows of an object, and what it sorts by."""

    heading: str
    text: Callable[[ObjectInfo, Style], str]
    key: Callable[[ObjectInfo], Any]
    right: bool = False
    style: str = ""


def _number(heading: str, value: Callable[[ObjectInfo], int]) -> Column:
    return Column(heading, lambda info, _: str(value(info)), value, right=True)


def _size(heading: str, value: Callable[[ObjectInfo], int]) -> Column:
    return Column(heading, lambda info, style: style.size(value(info)), value, right=True, style="green")


def _text(heading: str, value: Callable[[ObjectInfo], str]) -> Column:
    return Column(heading, lambda info, _: escape(value(info)), value)


def _time(heading: str, value: Callable[[ObjectInfo], int]) -> Column:
    return Column(
        heading, lambda info, style: short_time(value(info), human=style.human_times), value, style="cyan"
    )


COLUMNS = {
    "name": Column("NAME", lambda info, _: escape(info.name), lambda info: info.name, style="bold"),
    "size": _size("SIZE", lambda info: info.size),
    "allocated": _size("ALLOCATED", lambda info: info.allocated),
    "mode": Column(
        "MODE", lambda info, _: mode_text(info.st.st_mode), lambda info: info.st.st_mode, style="yellow"
    ),
    "owner": _text("OWNER", lambda info: info.owner),
    "group": _text("GROUP", lambda info: info.group),
    "modified": _time("MODIFIED", lambda info: info.st.st_mtime_ns),
    "kind": _text("KIND", lambda info: info.kind.value),
    "path": Column("PATH", lambda info, _: escape(info.path), lambda info: info.path),
    "uid": _number("UID", lambda info: info.st.st_uid),
    "gid": _number("GID", lambda info: info.st.st_gid),
    "nlink": _number("NLINK", lambda info: info.st.st_nlink),
    "inode": _number("INODE", lambda info: info.st.st_ino),
    "device": _number("DEVICE", lambda info: info.st.st_dev),
    "atime": _time("ATIME", lambda info: info.st.st_atime_ns),
    "mtime": _time("MTIME", lambda info: info.st.st_mtime_ns),
    "ctime": _time("CTIME", lambda info: info.st.st_ctime_ns),
}
DEFAULT_COLUMNS = ("name", "size", "allocated", "mode", "owner", "group", "modified", "kind")


def parse_columns(text: str) -> tuple[str, ...]:
    """``size,name`` picks columns; ``+inode,nlink`` (a ``+`` before any) adds them to the default ones."""
    wanted = text.removeprefix("+").split(",")
    columns = [column.strip().removeprefix("+").lower() for column in wanted]
    for column in columns:
        parse_column(column)
    return (*DEFAULT_COLUMNS, *columns) if text.startswith("+") else tuple(columns)


def parse_column(text: str) -> str:
    """The column of that name, in any case. Raises InputError."""
    if text.lower() not in COLUMNS:
        raise InputError(f"unknown column '{text}'", hint="columns are " + ", ".join(COLUMNS))
    return text.lower()


def write_listing(
    out: TextIO, infos: Sequence[ObjectInfo], columns: Sequence[str], style: Style, *, headings: bool
) -> None:
    """Write objects as plain columns."""
    chosen = [COLUMNS[column] for column in columns]
    rows = [[column.text(info, style) for column in chosen] for info in infos]
    write_columns(
        out,
        [column.heading for column in chosen] if headings else None,
        rows,
        [column.right for column in chosen],
    )


def write_listing_table(
    out: TextIO,
    color: str,
    infos: Sequence[ObjectInfo],
    columns: Sequence[str],
    style: Style,
    *,
    headings: bool,
) -> None:
    """Write objects as a table on a terminal."""
    from shmctl.render.table import write_table

    chosen = [COLUMNS[column] for column in columns]
    rows = [
        [(column.text(info, style), column.style or _KIND_STYLES[info.kind]) for column in chosen]
        for info in infos
    ]
    write_table(
        out,
        color,
        [column.heading for column in chosen] if headings else None,
        rows,
        [column.right for column in chosen],
    )
