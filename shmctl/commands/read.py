"""shmctl read."""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click

from shmctl.cli.options import (
    Combine,
    count_option,
    field_completer,
    json_option,
    name_argument,
    offset_option,
    typed_options,
    watch_option,
)
from shmctl.cli.parsing import Command
from shmctl.cli.session import Session, pass_session, progress_on
from shmctl.cli.types import SIZE
from shmctl.core.errors import ShmError
from shmctl.core.names import Name, escape
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.read import chunks, extent, pieces, read_bytes, readable
from shmctl.core.requests import TYPED_RULES, LayoutSource
from shmctl.core.rules import exclude, go_with
from shmctl.core.sizes import ALL

if TYPE_CHECKING:
    from shmctl.cli.struct_output import Wanted
    from shmctl.core.layouts.scalartype import Endian
    from shmctl.render.output import Output


class Request(NamedTuple):
    """What to read, and the form to show it in."""

    name: Name
    fields: tuple[str, ...]
    offset: int
    length: int | None
    form: str | None
    type_name: str | None
    endian: "Endian"
    layout: LayoutSource | None
    number: int | None
    as_json: bool
    as_csv: bool
    text_arrays: bool
    big_as_text: bool
    lock: bool
    watch_seconds: float | None


RULES = (
    exclude("form", "type_name", "declaration"),
    exclude("form=raw", "as_json"),
    exclude("form=hex", "as_json"),
    go_with("fields", "declaration"),
    *TYPED_RULES,
    go_with("number", "type_name", "declaration"),
    go_with("as_csv", "declaration"),
    exclude("as_csv", "as_json"),
    go_with("text_arrays", "declaration"),
    go_with("big_as_text", "as_json"),
    exclude("length", "declaration"),
    exclude("length", "number"),
    exclude("form=raw", "watch_seconds"),
)


@click.command(cls=Command, finish=Combine(*RULES, layout=LayoutSource, request=Request))
@name_argument
@click.argument("fields", metavar="[FIELD]...", nargs=-1, shell_complete=field_completer(""))
@offset_option
@click.option("-n", "--length", type=SIZE, metavar="LENGTH", help="Read at most this many bytes.")
@click.option("--raw", "form", flag_value="raw", help="The bytes as they are (as in a pipe).")
@click.option("--hex", "form", flag_value="hex", help="A dump as hexdump -C prints it (as on a terminal).")
@click.option("--text", "form", flag_value="text", help="The bytes up to the first NUL.")
@typed_options
@count_option("How many values of --type, or structures one after the other (all: as many as fit).")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a line of names, and a line a structure.")
@click.option("--text-arrays", is_flag=True, help="Show arrays of uint8_t and wchar_t as text, too.")
@click.option("--big-as-text", is_flag=True, help="With --json: integers beyond 2^53 as strings.")
@click.option("--lock", is_flag=True, help="Hold the object's lock (flock), shared, meanwhile.")
@watch_option
@pass_session
def command(session: Session, request: Request) -> None:
    """Show what an object holds (mmap).

    A hex dump on a terminal, the raw bytes elsewhere; or values of a --type, or the fields of a
    --struct: a table on a terminal, elsewhere field=value lines, with FIELDs their bare values.
    """
    if _is_raw(request):
        _copy_raw(session, request)
        return
    wanted = _wanted(session, request)
    if request.watch_seconds:
        from shmctl.render.watch import watch

        shown = request._replace(form=request.form or "hex")
        ending = "" if request.as_json else "\n"
        watch(
            session.output(),
            request.watch_seconds,
            lambda output: _show(session, shown, wanted, output),
            ending,
        )
    else:
        _show(session, request, wanted, session.output())


def _is_raw(request: Request) -> bool:
    """Whether the bytes go out as they are: nothing that lays out or colours is loaded for that."""
    if request.form is not None:
        return request.form == "raw"
    in_another_form = request.as_json or request.type_name or request.layout or request.watch_seconds
    return not in_another_form and not sys.stdout.isatty()


def _copy_raw(session: Session, request: Request) -> None:
    from shmctl.core.objects.copy_out import copy_out

    with readable(request.name, session.directory, lock=request.lock) as target:
        length = extent(target, request.offset, request.length)
        with progress_on(escape(target.name), length, wanted=not sys.stdout.isatty()) as progress:
            # What a lock protected must not change in the pipe when the lock is gone.
            by_reference = not request.lock
            copy_out(target, request.offset, length, sys.stdout.fileno(), progress, by_reference=by_reference)


def _wanted(session: Session, request: Request) -> "Wanted | None":
    """What to show of a structure; None where none is asked for."""
    if request.layout is None:
        return None
    from shmctl.cli.struct_output import Wanted, find_layout

    layout = find_layout(request.layout, request.name, session)
    if request.text_arrays:
        layout = layout.with_text_arrays()
    form = "json" if request.as_json else "csv" if request.as_csv else "text"
    in_frames = request.watch_seconds is not None
    return Wanted(
        layout, request.fields, request.offset, request.number, form, request.big_as_text, in_frames
    )


def _show(session: Session, request: Request, wanted: "Wanted | None", output: "Output") -> None:
    with ExitStack() as opened:
        try:
            target = opened.enter_context(readable(request.name, session.directory, lock=request.lock))
        except ShmError:
            if request.as_json:
                _write_records(output, request, [])
            raise
        if wanted is not None:
            from shmctl.cli.struct_output import show

            show(target, wanted, output)
        elif request.type_name is not None:
            _read_values(target, request, request.type_name, output)
        else:
            _read_range(target, request, output)


def _read_range(target: OpenObject, request: Request, output: "Output") -> None:
    offset = request.offset
    length = extent(target, offset, request.length)
    if request.as_json:
        _write_json_range(target, offset, length, request, output.stream)
    elif request.form == "text":
        _write_text(target, offset, length, output)
    elif request.length != 0:
        from shmctl.render.hexdump import write_hexdump

        parts = while_wanted(pieces(target, offset, length))
        write_hexdump(output.stream, parts, offset, color=output.color)


def while_wanted(parts: Iterator[bytes | int]) -> Iterator[bytes | int]:
    """The parts of a dump; where folded lines go on and on, only poll(2) tells that the reader has left."""
    import select

    output = select.poll()
    output.register(sys.stdout, 0)
    for part in parts:
        if output.poll(0):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        yield part


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


def _write_json_range(target: OpenObject, offset: int, length: int, request: Request, out: TextIO) -> None:
    """One element whose text or bytes, in hex, stream out as they are read."""
    import json

    from shmctl.render.records import name_fields

    head = {**name_fields(target.name), "offset": offset}
    edge = "" if request.watch_seconds else "\n"
    if request.form == "text":
        text = b"".join(_up_to_nul(target, offset, length))
        record = json.dumps({**head, "text": text.decode("utf-8", "backslashreplace")})
        out.write(f"[{edge}{record}{edge}]\n")
        return
    start = json.dumps({**head, "length": length, "hex": ""})
    out.write(f"[{edge}" + start.removesuffix('"}'))
    for chunk in chunks(target, offset, length):
        out.write(chunk.hex())
    out.write(f'"}}{edge}]\n')


def _read_values(target: OpenObject, request: Request, type_name: str, output: "Output") -> None:
    from shmctl.core.layouts.scalars import lookup, unpack
    from shmctl.core.layouts.values import to_json, to_text

    scalar = lookup(type_name)
    offset, count = request.offset, request.number
    if count == ALL:
        count = extent(target, offset, None) // scalar.size
    elif count is None:
        length = request.length
        count = 1 if length is None else extent(target, offset, length) // scalar.size
    values = unpack(scalar, read_bytes(target, offset, count * scalar.size), request.endian)
    if request.as_json:
        _write_json(
            target,
            request,
            output,
            {
                "type": scalar.name,
                "values": [to_json(value, big_as_text=request.big_as_text) for value in values],
            },
        )
    else:
        output.stream.writelines(to_text(value) + "\n" for value in values)


def _write_json(target: OpenObject, request: Request, output: "Output", content: dict[str, Any]) -> None:
    from shmctl.render.records import name_fields

    _write_records(output, request, [{**name_fields(target.name), "offset": request.offset, **content}])


def _write_records(output: "Output", request: Request, records: Sequence[dict[str, Any]]) -> None:
    from shmctl.render.jsonlines import write_array, write_line

    write = write_line if request.watch_seconds else write_array
    write(output.stream, records)
