"""shmctl read."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from shmctl.cli.options import (
    field_completer,
    json_option,
    name_argument,
    offset_option,
    struct_options,
    watch_option,
)
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session, progress_on
from shmctl.cli.types import SIZE
from shmctl.core.names import Name, escape
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.read import check_end, chunks, extent, read_bytes, readable

if TYPE_CHECKING:
    from shmctl.render.output import Output


@click.command(cls=Command)
@name_argument
@click.argument("fields", metavar="[FIELD]...", nargs=-1, shell_complete=field_completer(""))
@offset_option
@click.option("-n", "--length", type=SIZE, metavar="LENGTH", help="Read at most this many bytes.")
@click.option("--raw", "form", flag_value="raw", help="The bytes as they are (as in a pipe).")
@click.option("--hex", "form", flag_value="hex", help="A dump as hexdump -C prints it (as on a terminal).")
@click.option("--text", "form", flag_value="text", help="The bytes up to the first NUL.")
@struct_options
@click.option(
    "-c", "--count", type=click.IntRange(min=0), metavar="COUNT", help="How many values of --type (1)."
)
@json_option
@click.option("--lock", is_flag=True, help="Hold the object's lock (flock), shared, meanwhile.")
@watch_option
@pass_session
def command(session: Session, /, name: Name, **options: Any) -> None:
    """Show what an object holds (mmap).

    A hex dump on a terminal, the raw bytes elsewhere; or values of a --type, or the fields of a
    --struct: a table on a terminal, elsewhere field=value lines, with FIELDs their bare values.
    """
    _check_form(options)

    def draw(output: "Output") -> None:
        with readable(name, session.directory, lock=options["lock"]) as target:
            _show(target, options, output)

    seconds = options["watch_seconds"]
    if seconds:
        from shmctl.render.watch import watch

        options["form"] = options["form"] or "hex"
        watch(session.output(), seconds, draw, "" if options["as_json"] else "\n")
    else:
        draw(session.output())


def _show(target: OpenObject, options: dict[str, Any], output: "Output") -> None:
    if options["declaration"] is not None:
        _read_struct(target, options, output)
    elif options["type_name"] is not None:
        _read_values(target, options, output)
    else:
        _read_range(target, options, output)


def _check_form(options: dict[str, Any]) -> None:  # noqa: C901 - a branch for each rule
    """One form, and with it only what goes with it."""
    form = options["form"] and f"--{options['form']}"
    kind = "--struct" if options["declaration"] is not None else None
    kind = "--type" if options["type_name"] is not None else kind
    problem = None
    if options["declaration"] is not None and options["type_name"] is not None:
        problem = "--type and --struct exclude each other"
    elif form and kind:
        problem = f"{form} and {kind} exclude each other"
    elif form in ("--raw", "--hex") and options["as_json"]:
        problem = f"{form} and --json exclude each other"
    elif options["fields"] and kind != "--struct":
        problem = "a FIELD goes with --struct"
    elif options["fields"] and options["as_json"]:
        problem = "--json gives the whole --struct, without FIELD"
    elif options["header"] and kind != "--struct":
        problem = "--header goes with --struct"
    elif (options["endian"] or options["count"] is not None) and kind != "--type":
        problem = "--endian and --count go with --type"
    elif options["length"] is not None and (kind == "--struct" or options["count"] is not None):
        problem = "--length goes with neither --struct nor --count"
    elif form == "--raw" and options["watch_seconds"]:
        problem = "--raw and --watch exclude each other"
    if problem:
        raise click.UsageError(problem, click.get_current_context())


def _read_range(target: OpenObject, options: dict[str, Any], output: "Output") -> None:
    offset, form = options["offset"], options["form"]
    length = extent(target, offset, options["length"])
    if options["as_json"]:
        _write_json_range(target, offset, length, options, output.stream)
    elif form == "text":
        _write_text(target, offset, length, output)
    elif form == "hex" or (form is None and sys.stdout.isatty()):
        from shmctl.render.hexdump import write_hexdump

        if options["length"] != 0:
            write_hexdump(output.stream, chunks(target, offset, length), offset, color=output.color)
    else:
        _copy_raw(target, offset, length, locked=options["lock"])


def _copy_raw(target: OpenObject, offset: int, length: int, *, locked: bool) -> None:
    from shmctl.core.objects.streams import copy_out

    fd = sys.stdout.fileno()
    with progress_on(escape(target.name), length, wanted=not sys.stdout.isatty()) as progress:
        # What a lock protected must not change in the pipe when the lock is gone.
        copy_out(target, offset, length, fd, progress, by_reference=not locked)


def _write_text(target: OpenObject, offset: int, length: int, output: "Output") -> None:
    """Raw bytes to a pipe; on a terminal safely, and ended by a newline."""
    texts = _up_to_nul(target, offset, length)
    if output.stream is sys.stdout and not sys.stdout.isatty():
        sys.stdout.buffer.writelines(texts)
        return
    from shmctl.render.text import escape_text

    output.stream.writelines(map(escape_text, texts))
    output.stream.write("\n")


def _up_to_nul(target: OpenObject, offset: int, length: int) -> Iterator[bytes]:
    for chunk in chunks(target, offset, length):
        text, nul, _ = chunk.partition(b"\0")
        yield text
        if nul:
            return


def _write_json_range(
    target: OpenObject, offset: int, length: int, options: dict[str, Any], out: TextIO
) -> None:
    """One element whose text or bytes, in hex, stream out as they are read."""
    import json

    from shmctl.render.records import name_fields

    head = {**name_fields(target.name), "offset": offset}
    edge = "" if options["watch_seconds"] else "\n"
    if options["form"] == "text":
        text = b"".join(_up_to_nul(target, offset, length))
        record = json.dumps({**head, "text": text.decode("utf-8", "backslashreplace")})
        out.write(f"[{edge}{record}{edge}]\n")
        return
    start = json.dumps({**head, "length": length, "hex": ""})
    out.write(f"[{edge}" + start.removesuffix('"}'))
    for chunk in chunks(target, offset, length):
        out.write(chunk.hex())
    out.write(f'"}}{edge}]\n')


def _read_values(target: OpenObject, options: dict[str, Any], output: "Output") -> None:
    from shmctl.core.layouts.scalars import lookup, unpack
    from shmctl.core.layouts.values import to_json, to_text

    scalar = lookup(options["type_name"])
    offset, count = options["offset"], options["count"]
    if count is None:
        length = options["length"]
        count = 1 if length is None else extent(target, offset, length) // scalar.size
    values = unpack(scalar, read_bytes(target, offset, count * scalar.size), options["endian"])
    if options["as_json"]:
        _write_json(
            target, options, output, {"type": scalar.name, "values": [to_json(value) for value in values]}
        )
    else:
        output.stream.writelines(to_text(value) + "\n" for value in values)


def _read_struct(target: OpenObject, options: dict[str, Any], output: "Output") -> None:
    from shmctl.cli.options import load_layout
    from shmctl.core.layouts.values import to_text

    layout = load_layout(options["declaration"], options["header"])
    chosen = [layout.each(path) for path in options["fields"]]
    check_end(target, options["offset"], layout.size)

    def load(start: int = 0, length: int = layout.size) -> bytes:
        return read_bytes(target, options["offset"] + start, length)

    if options["as_json"]:
        tree = layout.tree(load())
        _write_json(target, options, output, {"struct": layout.name, "size": layout.size, "fields": tree})
    elif chosen:
        spans = layout.spans(options["fields"])
        loaded = {span: load(*span) for span in spans}
        for span, fields in zip(spans, chosen, strict=True):
            output.stream.writelines(
                to_text(layout.read(loaded[span], field, span[0])) + "\n" for field in fields
            )
    else:
        from shmctl.render.fields import write_fields

        data = load()
        rows = [(field, to_text(layout.read(data, field))) for field in layout.fields()]
        write_fields(output, rows, options["offset"])


def _write_json(
    target: OpenObject, options: dict[str, Any], output: "Output", content: dict[str, Any]
) -> None:
    from shmctl.render.jsonlines import write_array, write_line
    from shmctl.render.records import name_fields

    write = write_line if options["watch_seconds"] else write_array
    write(output.stream, [{**name_fields(target.name), "offset": options["offset"], **content}])
