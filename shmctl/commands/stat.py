"""shmctl stat."""

import sys

import click

from shmctl import report
from shmctl.core.models import ObjectInfo
from shmctl.core.names import Name, escape
from shmctl.core.objects.lifecycle import describe
from shmctl.options import Parsed, Session, json_option, names_argument, pass_session
from shmctl.render.statformat import check_format, format_object


@click.command()
@names_argument
@click.option(
    "-f",
    "--format",
    "format_text",
    type=Parsed("format", check_format),
    metavar="FORMAT",
    help="Print FORMAT, with the letters of stat(1): %n name, %s size, %a mode, %U owner ...",
)
@json_option
@pass_session
def command(session: Session, names: tuple[Name, ...], format_text: str | None, as_json: bool) -> None:
    """Show all that the system knows of objects (fstat).

    Works on an object that you may not open. On a terminal a panel each; elsewhere 'field value'
    lines; --json adds every st_ field as a number.
    """
    if format_text is not None and as_json:
        raise click.UsageError("--format and --json exclude each other", click.get_current_context())
    infos: list[ObjectInfo] = []

    def stat_one(name: Name) -> None:
        info = describe(name, session.directory)
        if as_json:
            infos.append(info)
        elif format_text is not None:
            click.echo(format_object(format_text, info))
        else:
            _show(session, info)

    try:
        report.for_each(names, stat_one)
    finally:
        if as_json:
            from shmctl.render.jsonlines import write_array
            from shmctl.render.records import stat_record

            write_array(sys.stdout, map(stat_record, infos))


def _show(session: Session, info: ObjectInfo) -> None:
    from shmctl.render.records import stat_rows

    rows = stat_rows(info)
    if session.on_terminal:
        from shmctl.render.table import write_panel

        write_panel(session.output(), escape(info.name), rows)
    else:
        width = max(len(label) for label, _ in rows)
        for label, value in rows:
            click.echo(f"{label.ljust(width)}  {value}")
