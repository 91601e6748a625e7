"""The listing of objects: its columns, and how each is written."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.names import Name, escape
from shmctl.render.columns import write_rows
from shmctl.render.output import Heading, Output, Row
from shmctl.render.records import mode_text
from shmctl.render.times import iso_time

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


class Column(NamedTuple):
    """One column: its value of an object, which it sorts by, and how that is written.

    ``writer`` gives the function that turns a value into text. JSON has the
    value, unless ``json`` gives another.
    """

    heading: str
    value: Callable[[ObjectInfo], Any]
    writer: Callable[[Output], Callable[[Any], str]]
    right: bool = False
    style: str = ""
    json: Callable[[ObjectInfo], Any] | None = None

    def texts(self, infos: Sequence[ObjectInfo], output: Output) -> list[str]:
        """The column's text of each object. Many share a value: each is written once."""
        values = list(map(self.value, infos))
        write = self.writer(output)
        written = {value: write(value) for value in set(values)}
        return [written[value] for value in values]

    def json_value(self, info: ObjectInfo) -> Any:
        """What JSON has."""
        return (self.json or self.value)(info)


def _number(heading: str, attribute: str) -> Column:
    return Column(heading, attrgetter(attribute), lambda _: str, right=True)


def _size(heading: str, attribute: str) -> Column:
    return Column(heading, attrgetter(attribute), lambda output: output.size, right=True, style="green")


def _text(heading: str, attribute: str, style: str = "") -> Column:
    return Column(heading, attrgetter(attribute), lambda _: escape, style=style)


def _time(heading: str, attribute: str) -> Column:
    return Column(heading, attrgetter(attribute), lambda output: output.time, style="cyan")


def _birth_time(info: ObjectInfo) -> int:
    """0 where it is not known: so such objects sort first."""
    return info.btime_ns or 0


def _birth_time_writer(output: Output) -> Callable[[int], str]:
    return lambda time_ns: output.time(time_ns) if time_ns else "-"


def _birth_time_json(info: ObjectInfo) -> str | None:
    return None if info.btime_ns is None else iso_time(info.btime_ns)


COLUMNS = {
    "name": _text("NAME", "name", style="bold"),
    "size": _size("SIZE", "st.st_size"),
    "allocated": _size("ALLOCATED", "allocated"),
    "mode": Column("MODE", attrgetter("st.st_mode"), lambda _: mode_text, style="yellow"),
    "owner": _text("OWNER", "owner"),
    "group": _text("GROUP", "group"),
    "modified": _time("MODIFIED", "st.st_mtime_ns"),
    "kind": _text("KIND", "kind"),
    "path": _text("PATH", "path"),
    "uid": _number("UID", "st.st_uid"),
    "gid": _number("GID", "st.st_gid"),
    "nlink": _number("NLINK", "st.st_nlink"),
    "inode": _number("INODE", "st.st_ino"),
    "device": _number("DEVICE", "st.st_dev"),
    "atime": _time("ATIME", "st.st_atime_ns"),
    "mtime": _time("MTIME", "st.st_mtime_ns"),
    "ctime": _time("CTIME", "st.st_ctime_ns"),
    "btime": Column("BTIME", _birth_time, _birth_time_writer, style="cyan", json=_birth_time_json),
}
# These take a look at processes, or a verdict.
JUDGED_COLUMNS = ("holders", "verdict", "software")
# Nobody pays for these without asking: the birth time takes a call for each object.
GATHERED_COLUMNS = ("btime", *JUDGED_COLUMNS)
DEFAULT_COLUMNS = ("name", "size", "allocated", "mode", "owner", "group", "modified", "kind")
ALL_COLUMNS = (*COLUMNS, *JUDGED_COLUMNS)
_AT_A_TIME = 500


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

    def pids(info: ObjectInfo) -> tuple[int, ...]:
        return tuple(holders.get(info.name, ()))

    def text(heading: str, value: Callable[[ObjectInfo], str | None]) -> Column:
        def writer(output: Output) -> Callable[[str], str]:
            return lambda text: escape(text or "-", keep=" " if output.terminal else "")

        return Column(heading, lambda info: value(info) or "", writer, json=value)

    return {
        "holders": Column("HOLDERS", pids, lambda _: lambda pids: ",".join(map(str, pids)) or "-"),
        "verdict": text("VERDICT", verdict),
        "software": text("SOFTWARE", software),
    }


def write_listing(output: Output, infos: Sequence[ObjectInfo], chosen: Sequence[Column]) -> None:
    """Write objects, one a row."""
    styles = {
        kind: tuple(column.style or kind_style for column in chosen)
        for kind, kind_style in _KIND_STYLES.items()
    }
    write_rows(
        output,
        [Heading(column.heading, column.right) for column in chosen],
        list(_rows(output, infos, chosen)),
        (styles[info.kind] for info in infos),
    )


def _rows(output: Output, infos: Sequence[ObjectInfo], chosen: Sequence[Column]) -> Iterator[Row]:
    """Column by column, but no more objects at a time than a processor's cache holds.

    Sorted objects lie all over the memory: of 100,000, each column's turn would fetch all anew.
    """
    for start in range(0, len(infos), _AT_A_TIME):
        some = infos[start : start + _AT_A_TIME]
        yield from zip(*(column.texts(some, output) for column in chosen), strict=True)
