"""The listing of objects: its columns, and how each is written."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.names import Name, escape
from shmctl.render.aligned import write_columns
from shmctl.render.output import Heading, Output
from shmctl.render.records import mode_text
from shmctl.render.times import iso_time

if TYPE_CHECKING:
    from shmctl.core.inspect.families import Families
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
    value, unless ``json`` gives another. ``unique``: no two objects share one.
    """

    heading: str
    value: Callable[[ObjectInfo], Any]
    writer: Callable[[Output], Callable[[Any], str]]
    right: bool = False
    style: str = ""
    json: Callable[[ObjectInfo], Any] | None = None
    unique: bool = False

    def texts(self, infos: Sequence[ObjectInfo], output: Output) -> list[str]:
        """The column's text of each object. What many share is written once."""
        values = list(map(self.value, infos))
        write = self.writer(output)
        if self.unique:
            return list(map(write, values))
        written = {value: write(value) for value in set(values)}
        return [written[value] for value in values]

    def json_value(self, info: ObjectInfo) -> Any:
        """What JSON has."""
        return (self.json or self.value)(info)


def _number(heading: str, attribute: str) -> Column:
    return Column(heading, attrgetter(attribute), lambda _: str, right=True)


def _size(heading: str, attribute: str) -> Column:
    return Column(heading, attrgetter(attribute), lambda output: output.size, right=True, style="green")


def _text(heading: str, attribute: str, style: str = "", *, unique: bool = False) -> Column:
    return Column(heading, attrgetter(attribute), lambda _: escape, style=style, unique=unique)


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
    "name": _text("NAME", "name", style="bold", unique=True),
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
MEANINGS = {
    "name": "its name, with the slash",
    "size": "its length in bytes (st_size)",
    "allocated": "the memory it takes, in whole pages; of a directory, its content's",
    "mode": "type and permissions, as ls -l shows them",
    "owner": "the user it belongs to",
    "group": "the group it belongs to",
    "modified": "when its content last changed, unless through a mapping",
    "kind": "shm or semaphore; with --all also directory, symlink, socket, other",
    "path": "its file: /dev/shm and the name",
    "uid": "the number of its owner",
    "gid": "the number of its group",
    "nlink": "how many names it has (hard links)",
    "inode": "the number of its file in the file system",
    "device": "the number of its file system",
    "atime": "when it was last read",
    "mtime": "the same as modified",
    "ctime": "when content, mode, owner or name last changed",
    "btime": "when it was created: a call of statx for each object",
    "holders": "the PIDs of the processes that have it open or mapped",
    "verdict": "held, orphan, kept or unknown, as 'shmctl leaks' gives it",
    "software": "which software makes objects of such names",
    "creator": "the PID in the name, and whether it is alive, dead or not-visible",
}
"""What each column shows: the one table for ``--columns help``, the manual and completion."""

# These take a look at processes, or a verdict.
JUDGED_COLUMNS = ("holders", "verdict")
# And these the families of names.
MADE_COLUMNS = ("software", "creator")
# Nobody pays for these without asking: the birth time takes a call for each object.
GATHERED_COLUMNS = ("btime", *JUDGED_COLUMNS, *MADE_COLUMNS)
DEFAULT_COLUMNS = ("name", "size", "allocated", "mode", "owner", "group", "modified", "kind")
ALL_COLUMNS = tuple(MEANINGS)
HELP = ("help",)
_AT_A_TIME = 500


def parse_columns(text: str) -> tuple[str, ...]:
    """``size,name`` picks columns; ``+inode,nlink`` (a ``+`` before any) adds them to the default ones.

    ``help`` alone asks what each means: `HELP`.
    """
    if text == "help":
        return HELP
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


def judged_columns(
    holders: Mapping[Name, Sequence[int]], judgements: Mapping[Name, "Judgement"]
) -> dict[str, Column]:
    """The columns that take a verdict, by name; ``-`` where there is none."""

    def verdict(info: ObjectInfo) -> str | None:
        return judgements[info.name].verdict.value if info.name in judgements else None

    def pids(info: ObjectInfo) -> tuple[int, ...]:
        return tuple(holders.get(info.name, ()))

    return {
        "holders": Column("HOLDERS", pids, lambda _: lambda pids: ",".join(map(str, pids)) or "-"),
        "verdict": _optional_text("VERDICT", verdict),
    }


def made_columns(families: "Families") -> dict[str, Column]:
    """The columns of what a name says about its maker, by name; ``-`` where it says nothing."""
    from shmctl.core.inspect.pids import PidTable, life_text

    pids = PidTable()

    def software(info: ObjectInfo) -> str | None:
        match = families.match(info.name)
        return match.family.software if match else None

    def creator(info: ObjectInfo) -> str | None:
        found = creator_json(info)
        return None if found is None else f"{found['pid']}/{life_text(found['alive']).replace(' ', '-')}"

    def creator_json(info: ObjectInfo) -> dict[str, Any] | None:
        match = families.match(info.name)
        return {"pid": match.pid, "alive": pids.is_alive(match.pid)} if match and match.pid else None

    return {
        "software": _optional_text("SOFTWARE", software),
        "creator": _optional_text("CREATOR", creator)._replace(json=creator_json),
    }


def _optional_text(heading: str, value: Callable[[ObjectInfo], str | None]) -> Column:
    def writer(output: Output) -> Callable[[str], str]:
        return lambda text: escape(text or "-", keep=" " if output.terminal else "")

    return Column(heading, lambda info: value(info) or "", writer, json=value)


def write_meanings(output: Output) -> None:
    """Write what each column shows."""
    headings = [Heading("COLUMN"), Heading("MEANING")]
    write_columns(
        output, headings, [list(MEANINGS), list(MEANINGS.values())], (("bold", "") for _ in MEANINGS)
    )


def write_listing(output: Output, infos: Sequence[ObjectInfo], chosen: Sequence[Column]) -> None:
    """Write objects, one a row; default columns that a terminal has no room for are left out, GROUP first."""
    columns = _columns(output, infos, chosen)
    if output.terminal and tuple(chosen) == tuple(COLUMNS[column] for column in DEFAULT_COLUMNS):
        chosen, columns = _fitted(output, chosen, columns)
    styles = {
        kind: tuple(column.style or kind_style for column in chosen)
        for kind, kind_style in _KIND_STYLES.items()
    }
    headings = [Heading(column.heading, column.right) for column in chosen]
    write_columns(output, headings, columns, (styles[info.kind] for info in infos))


_GIVEN_UP = ("GROUP", "OWNER", "ALLOCATED", "MODE")
_GAP = 2  # between the columns of a table for people


def _fitted(
    output: Output, chosen: Sequence[Column], columns: Sequence[list[str]]
) -> tuple[Sequence[Column], list[list[str]]]:
    from shmctl.render.table import console

    width = console(output).width
    needs = {
        column.heading: max(map(len, (column.heading, *texts)))
        for column, texts in zip(chosen, columns, strict=True)
    }
    kept = [column.heading for column in chosen]
    for heading in _GIVEN_UP:
        if sum(needs[each] for each in kept) + _GAP * (len(kept) - 1) > width:
            kept.remove(heading)
    places = [at for at, column in enumerate(chosen) if column.heading in kept]
    return [chosen[at] for at in places], [columns[at] for at in places]


def _columns(output: Output, infos: Sequence[ObjectInfo], chosen: Sequence[Column]) -> list[list[str]]:
    """The columns' texts, of no more objects at a time than a processor's cache holds.

    Sorted objects lie all over the memory: of 100,000, each column's turn would fetch all anew.
    """
    columns: list[list[str]] = [[] for _ in chosen]
    for start in range(0, len(infos), _AT_A_TIME):
        some = infos[start : start + _AT_A_TIME]
        for texts, column in zip(columns, chosen, strict=True):
            texts.extend(column.texts(some, output))
    return columns
