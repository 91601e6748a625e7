"""shmctl ls."""

import gc
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from shmctl.cli import messages
from shmctl.cli.options import Combine, json_option, owner_option, watch_option
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session
from shmctl.cli.types import DURATION, PATTERN, SIZE, Parsed, completed_by
from shmctl.core.inspect.listing import matcher, missing_names, select
from shmctl.core.inspect.snapshot import Snapshot
from shmctl.core.models import Kind, ObjectInfo
from shmctl.core.names import Name
from shmctl.core.objects.describe import with_birth_time
from shmctl.core.rules import exclude
from shmctl.render.listing import (
    COLUMNS,
    DEFAULT_COLUMNS,
    GATHERED_COLUMNS,
    HELP,
    JUDGED_COLUMNS,
    MADE_COLUMNS,
    Column,
    judged_columns,
    made_columns,
    parse_column,
    parse_columns,
    write_listing,
    write_meanings,
)

if TYPE_CHECKING:
    from shmctl.render.output import Output

VERDICTS = ("held", "orphan", "kept", "unknown")


_LONG_COLUMNS = ("mode", "nlink", "owner", "group", "size", "modified", "name")
_HUMAN_CLUSTER = re.compile(r"-(?=.*h)[ablrtSh01]{2,}\Z")


class AsLs(Combine):
    """Turns -l, -1, -S and -t, as ls(1) has them, into columns and an order; shows the help on columns."""

    def __call__(self, ctx: click.Context) -> None:
        """Raises UsageError."""
        super().__call__(ctx)
        if ctx.params["columns"] == HELP:
            write_meanings((ctx.find_object(Session) or Session()).output())
            ctx.exit()
        shape, first = ctx.params.pop("shape"), ctx.params.pop("first")
        if shape:
            ctx.params["columns"] = _LONG_COLUMNS if shape == "long" else ("name",)
            ctx.params["no_headings"] |= shape == "names"
        if first:
            ctx.params["sort"] = first
            ctx.params["reverse"] = not ctx.params["reverse"]


class ListingCommand(Command):
    """Takes the h of ``-lh`` for ls(1)'s; ``-h`` alone is --help."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with ``--human`` in place of that h."""
        end = args.index("--") if "--" in args else len(args)
        human = [arg for arg in args[:end] if _HUMAN_CLUSTER.match(arg)]
        if human:
            args = ["--human", *(arg.replace("h", "") if arg in human else arg for arg in args)]
        return super().parse_args(ctx, args)


@click.command(
    cls=ListingCommand,
    finish=AsLs(
        exclude("null", "as_json"),
        exclude("null", "watch_seconds"),
        exclude("shape", "columns"),
        exclude("first", "sort"),
    ),
)
@click.argument("pattern", metavar="[PATTERN]...", type=PATTERN, nargs=-1)
@click.option(
    "-a",
    "--all",
    "everything",
    is_flag=True,
    help="Also what is no object, such as directories.",
)
@click.option("-b", "--bytes", "sizes", flag_value="bytes", help="Sizes in bytes (as in a pipe).")
@click.option("--human", "sizes", flag_value="human", help="Sizes in K, M, G (as on a terminal).")
@click.option(
    "-o",
    "--columns",
    type=Parsed("columns", parse_columns),
    default=DEFAULT_COLUMNS,
    metavar="COLS",
    shell_complete=completed_by("complete_columns"),
    help="Columns to show, or with a + to add: -o name,size, -o +holders; 'help' explains each.",
)
@click.option("-l", "--long", "shape", flag_value="long", help="The columns of ls -l, in its order.")
@click.option("-1", "--names", "shape", flag_value="names", help="Names alone, one a line.")
@click.option(
    "--sort",
    type=Parsed("column", parse_column),
    default="name",
    metavar="COL",
    shell_complete=completed_by("complete_column"),
    help="Sort by a column (name).",
)
@click.option("-S", "--largest", "first", flag_value="size", help="Sort by size, the largest first.")
@click.option("-t", "--newest", "first", flag_value="modified", help="Sort by time, the newest first.")
@click.option("-r", "--reverse", is_flag=True, help="Reverse the order.")
@click.option("-0", "--null", is_flag=True, help="Names alone, each ended by a NUL byte.")
@click.option("--no-headings", is_flag=True, help="Leave out the line of headings.")
@json_option
@owner_option
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in Kind]),
    multiple=True,
    help="Only this kind; may be repeated.",
)
@click.option(
    "--verdict",
    type=click.Choice(VERDICTS),
    multiple=True,
    help="Only what has this verdict, as 'shmctl leaks' gives it; may be repeated.",
)
@click.option(
    "--older", type=DURATION, metavar="DURATION", help="Only what was last modified before: 30s, 10m, 2h, 3d."
)
@click.option("--larger", type=SIZE, metavar="SIZE", help="Only what is larger than SIZE.")
@watch_option
@pass_session
def command(  # noqa: C901 - a few lines for each of many options
    session: Session,
    pattern: tuple[str, ...],
    everything: bool,
    sizes: str | None,
    columns: tuple[str, ...],
    sort: str,
    reverse: bool,
    null: bool,
    no_headings: bool,
    as_json: bool,
    owner: int | None,
    kind: tuple[str, ...],
    verdict: tuple[str, ...],
    older: float | None,
    larger: int | None,
    watch_seconds: float | None,
) -> None:
    """List objects (readdir, fstatat).

    A PATTERN is a name or a quoted glob ('psm_*'). A table on a terminal; elsewhere aligned columns
    with sizes in bytes.
    """
    if everything and columns == DEFAULT_COLUMNS:
        columns += MADE_COLUMNS
    wanted = {sort, *columns, *(["verdict"] if verdict else [])}

    def look() -> tuple[list[ObjectInfo], dict[str, Column], list[ObjectInfo]]:
        """What to show, its columns, and all that the patterns match."""
        snapshot = Snapshot(session.directory, matcher(pattern))
        chosen: Iterable[ObjectInfo] = select(
            snapshot.entries,
            everything=everything,
            kinds=kind,
            uid=owner,
            larger=larger,
            modified_before=None if older is None else time.time() - older,
        )
        if "btime" in wanted:
            chosen = map(with_birth_time, chosen)
        available = COLUMNS | _gather_columns(snapshot, wanted)
        infos = sorted(chosen, key=COLUMNS["name"].value, reverse=reverse)
        content = _content(snapshot, infos) if everything or kind else {}
        if content:
            available["allocated"] = COLUMNS["allocated"]._replace(
                value=lambda info: content.get(info.name, info.allocated)
            )
        if sort != "name":
            infos.sort(key=available[sort].value, reverse=reverse)
        if verdict:
            infos = [info for info in infos if available["verdict"].value(info) in verdict]
        return infos, available, snapshot.entries

    def draw(output: "Output") -> None:
        infos, available, _ = look()
        if as_json:
            from shmctl.render.jsonlines import write_line

            write_line(output.stream, _records(infos, available, columns))
        else:
            write_listing(output, infos, [available[column] for column in columns])

    output = session.output(sizes=sizes, headings=not no_headings)
    if watch_seconds:
        from shmctl.render.watch import watch

        watch(output, watch_seconds, draw, "" if as_json else "\n")
        return
    # Records make no cycles, and looking for some takes up to a quarter of the time of 100,000 objects.
    gc.disable()
    click.get_current_context().call_on_close(gc.enable)
    infos, available, found = look()
    missing = missing_names(pattern, found)
    if null:
        sys.stdout.buffer.write(b"".join(info.name + b"\0" for info in infos))
    elif as_json:
        from shmctl.render.jsonlines import write_array

        write_array(sys.stdout, _records(infos, available, columns))
    elif infos or not missing:
        with session.paged(output) as paged:
            write_listing(paged, infos, [available[column] for column in columns])
    if messages.missing(missing):
        messages.fail()


def _records(
    infos: Iterable[ObjectInfo], available: Mapping[str, Column], columns: Iterable[str]
) -> Iterator[dict[str, Any]]:
    from shmctl.render.records import object_record

    allocated = available["allocated"].value
    extra = [(column, available[column].json_value) for column in columns if column in GATHERED_COLUMNS]
    for info in infos:
        record = object_record(info)
        record["allocated"] = allocated(info)
        record.update((column, value(info)) for column, value in extra)
        yield record


def _gather_columns(snapshot: Snapshot, wanted: set[str]) -> dict[str, Column]:
    """The columns that take a verdict, a look at processes or the families of names, if any is wanted."""
    columns: dict[str, Column] = {}
    if not wanted.isdisjoint(MADE_COLUMNS):
        from shmctl.core.inspect.family_files import load_families

        columns |= made_columns(load_families())
    if not wanted.isdisjoint(JUDGED_COLUMNS):
        judgements = {each.info.name: each for each in (*snapshot.judgements, *snapshot.judged_folders)}
        messages.no_lease(snapshot.test.lease_problem)
        columns |= judged_columns(snapshot.pids if "holders" in wanted else {}, judgements)
    return columns


def _content(snapshot: Snapshot, infos: Iterable[ObjectInfo]) -> dict[Name, int]:
    """The memory of each directory with what is in it, if any is among ``infos``."""
    if all(info.kind is not Kind.DIRECTORY for info in infos):
        return {}
    return {folder.info.name: folder.allocated for folder in snapshot.folders}
