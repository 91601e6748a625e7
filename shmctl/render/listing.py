"""The listing of objects: what columns there are, and how each is written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shmctl.core.errors import InputError
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.names import Name, escape
from shmctl.render.output import Heading, Output
from shmctl.render.records import mode_text

if TYPE_CHECKING:
    from shmctl.core.inspect.verdicts import Judgement

_KIND_STYLES = {
    Kind.SHM: "",
    Kind.SEMAPHORE: "magenta",
    Kind.DIRECTORY: "blue",
    Kind.SYMLINK: "cyan",
    Kind.SOCKET: "yellow",
    Kind.OTHER: "yellow",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it shows of an object, what it sorts by, and what JSON has, if that is neither."""

    heading: str
    text: Callable[[ObjectInfo, Output], str]
    key: Callable[[ObjectInfo], Any]
    right: bool = False
    style: str = ""
    json: Callable[[ObjectInfo], Any] | None = None

    def value(self, info: ObjectInfo) -> Any:
        """What JSON has."""
        return (self.json or self.key)(info)


def _number(heading: str, value: Callable[[ObjectInfo], int]) -> Column:
    return Column(heading, lambda info, _: str(value(info)), value, right=True)


def _size(heading: str, value: Callable[[ObjectInfo], int]) -> Column:
    return Column(heading, lambda info, output: output.size(value(info)), value, right=True, style="green")


def _text(heading: str, value: Callable[[ObjectInfo], str]) -> Column:
    return Column(heading, lambda info, _: escape(value(info)), value)


def _time(heading: str, value: Callable[[ObjectInfo], int]) -> Column:
    return Column(heading, lambda info, output: output.time(value(info)), value, style="cyan")


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
# These take a look at processes, or a verdict: nobody pays for it without asking.
GATHERED_COLUMNS = ("holders", "verdict", "software")
DEFAULT_COLUMNS = ("name", "size", "allocated", "mode", "owner", "group", "modified", "kind")
ALL_COLUMNS = (*COLUMNS, *GATHERED_COLUMNS)


def parse_columns(text: str) -> tuple[str, ...]:
    """``size,name`` picks columns; ``+inode,nlink`` (a ``+`` before any) adds them to the default ones."""
    wanted = text.removeprefix("+").split(",")
    columns = [column.strip().removeprefix("+").lower() for column in wanted]
    for column in columns:
        parse_column(column)
    return (*DEFAULT_COLUMNS, *columns) if text.startswith("+") else tuple(columns)


def parse_column(text: str) -> str:
    """The column of that name, in any case. Raises InputError."""
    if text.lower() not in ALL_COLUMNS:
        raise InputError(f"unknown column '{text}'", hint="columns are " + ", ".join(ALL_COLUMNS))
    return text.lower()


def gathered_columns(
    holders: Mapping[Name, Sequence[int]], judgements: Mapping[Name, "Judgement"]
) -> dict[str, Column]:
    """The columns that show what was gathered, by name; ``-`` where nothing is known of an object."""

    def software(info: ObjectInfo) -> str | None:
        return judgements[info.name].software if info.name in judgements else None

    def verdict(info: ObjectInfo) -> str | None:
        return judgements[info.name].verdict.value if info.name in judgements else None

    def pids(info: ObjectInfo) -> list[int]:
        return list(holders.get(info.name, ()))

    def text(heading: str, value: Callable[[ObjectInfo], str | None]) -> Column:
        def show(info: ObjectInfo, output: Output) -> str:
            return escape(value(info) or "-", keep=" " if output.terminal else "")

        return Column(heading, show, lambda info: value(info) or "", json=value)

    return {
        "holders": Column("HOLDERS", lambda info, _: ",".join(map(str, pids(info))) or "-", pids),
        "verdict": text("VERDICT", verdict),
        "software": text("SOFTWARE", software),
    }


def write_listing(output: Output, infos: Sequence[ObjectInfo], chosen: Sequence[Column]) -> None:
    """Write objects, one a row."""
    output.write_table(
        [Heading(column.heading, column.right) for column in chosen],
        [
            [(column.text(info, output), column.style or _KIND_STYLES[info.kind]) for column in chosen]
            for info in infos
        ],
    )
