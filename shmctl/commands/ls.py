"""shmctl ls."""

import sys
import time

import click

from shmctl import report
from shmctl.core.inspect.listing import matcher, missing_names, scan, select
from shmctl.core.models import Kind
from shmctl.options import (
    DURATION,
    PATTERN,
    SIZE,
    Parsed,
    Session,
    json_option,
    pass_session,
    user_id,
)
from shmctl.render.listing import (
    ALL_COLUMNS,
    COLUMNS,
    DEFAULT_COLUMNS,
    GATHERED_COLUMNS,
    Column,
    gathered_columns,
    parse_column,
    parse_columns,
    write_listing,
)

VERDICTS = ("held", "orphan", "kept", "unknown")


@click.command()
@click.argument("pattern", metavar="[PATTERN]...", type=PATTERN, nargs=-1)
@click.option(
    "-a", "--all", "everything", is_flag=True, help="Also what is no object: directories, links, sockets."
)
@click.option("-b", "--bytes", "sizes", flag_value="bytes", help="Sizes in bytes (as in a pipe).")
@click.option("--human", "sizes", flag_value="human", help="Sizes in K, M, G (as on a terminal).")
@click.option(
    "-o",
    "--columns",
    type=Parsed("columns", parse_columns),
    default=DEFAULT_COLUMNS,
    metavar="COLS",
    help="Columns to show, or with a + to add: " + ", ".join(ALL_COLUMNS) + ".",
)
@click.option(
    "--sort",
    type=Parsed("column", parse_column),
    default="name",
    metavar="COL",
    help="Sort by a column (name).",
)
@click.option("-r", "--reverse", is_flag=True, help="Sort the other way round.")
@click.option("-0", "--null", is_flag=True, help="Names alone, each ended by a NUL byte.")
@click.option("--no-headings", is_flag=True, help="No line of headings.")
@json_option
@click.option(
    "--owner", type=Parsed("user", user_id), metavar="USER", help="Only what USER (a name or number) owns."
)
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
@pass_session
def command(
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
) -> None:
    """List objects (readdir, fstatat).

    A PATTERN is a name or a quoted glob ('psm_*'). A table on a terminal; elsewhere aligned columns
    with sizes in bytes.
    """
    if null and as_json:
        raise click.UsageError("--null and --json exclude each other", click.get_current_context())
    found = list(scan(session.directory, matcher(pattern)))
    chosen = select(
        found,
        everything=everything,
        kinds=kind,
        uid=owner,
        larger=larger,
        modified_before=None if older is None else time.time() - older,
    )
    available = COLUMNS
    if verdict or not {sort, *columns}.isdisjoint(GATHERED_COLUMNS):
        available = COLUMNS | _gather_columns(session, pattern, holders="holders" in {sort, *columns})
    infos = sorted(chosen, key=lambda info: (available[sort].key(info), info.name), reverse=reverse)
    if verdict:
        infos = [info for info in infos if available["verdict"].key(info) in verdict]
    missing = missing_names(pattern, found)
    if null:
        sys.stdout.buffer.write(b"".join(info.name + b"\0" for info in infos))
    elif as_json:
        from shmctl.render.jsonlines import write_array
        from shmctl.render.records import object_record

        extra = {column: available[column] for column in columns if column in GATHERED_COLUMNS}
        write_array(
            sys.stdout,
            (object_record(info) | {key: extra[key].value(info) for key in extra} for info in infos),
        )
    elif infos or not missing:
        write_listing(
            session.output(sizes=sizes, headings=not no_headings),
            infos,
            [available[column] for column in columns],
        )
    report.missing(missing)


def _gather_columns(session: Session, patterns: tuple[str, ...], *, holders: bool) -> dict[str, Column]:
    """The columns that take a look at processes; who holds what only if that is asked for."""
    from shmctl.core.inspect.verdicts import Rules
    from shmctl.inspection import Inspection

    inspection = Inspection(session.directory, patterns, Rules())
    judgements = {each.info.name: each for each in inspection.judgements}
    return gathered_columns(inspection.pids() if holders else {}, judgements)
