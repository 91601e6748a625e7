"""Structures on the command line: the layout that is meant, and records in the form that is wanted."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from shmctl.cli import messages
from shmctl.cli.session import Session
from shmctl.core.errors import InputError, ShmError, UnknownTypeError
from shmctl.core.models import Directory
from shmctl.core.names import Name, escape
from shmctl.core.objects.open import OpenObject
from shmctl.core.objects.read import check_end, read_bytes
from shmctl.core.requests import LayoutSource
from shmctl.core.sizes import ALL

if TYPE_CHECKING:
    from shmctl.core.layouts.fields import Field
    from shmctl.core.layouts.layout import Layout
    from shmctl.render.output import Output

_CHUNK = 1 << 20


def find_layout(source: LayoutSource, name: Name, session: Session) -> "Layout":
    """Return the layout that ``source`` gives; a bare type name is looked up in the object's holders.

    Says on standard error which program it came from. Raises InputError, FileError.
    """
    try:
        return source.load()
    except UnknownTypeError as error:
        try:
            pids = holders_of(name, session.directory)
        except ShmError:
            raise error from None
        if not pids:
            message = f"{error}, and no process that is visible from here has {escape(name)} open or mapped"
            raise InputError(message, error.hint) from None
        layout = source.load_from_processes(pids)
        messages.error(
            f"{escape(layout.name, keep=' ')}: from {layout.source}", command=messages.current_command()
        )
        return layout


def holders_of(name: Name, directory: Directory) -> list[int]:
    """Return the IDs of the processes that have the object open or mapped. Raises ShmError."""
    from shmctl.core.inspect.holders import find_holders
    from shmctl.core.objects.describe import describe

    holders = find_holders([describe(name, directory)]).holders
    return list(dict.fromkeys(holder.pid for holder in holders))


class Wanted(NamedTuple):
    """What of a structure is shown: ``number`` records (None: one, by itself), some ``fields`` or all."""

    layout: "Layout"
    fields: Sequence[str]
    offset: int
    number: int | None
    form: str
    """``json``, ``csv`` or ``text``."""
    big_as_text: bool
    in_frames: bool


def show(target: OpenObject, wanted: Wanted, output: "Output") -> None:
    """Write the records of an object in the form that is wanted."""
    layout = wanted.layout
    for path in wanted.fields:
        layout.places(path)  # before anything is read
    count = _count(target, wanted)
    if wanted.form == "json":
        _show_json(target, wanted, count, output)
    elif wanted.form == "csv":
        from shmctl.render.csv import write_line

        write_line(output.stream, [field.path for field in _fields(wanted)])
        for _, data in _records(target, wanted, count):
            write_line(output.stream, _texts(wanted, data))
    elif wanted.number is not None:
        from shmctl.render.fields import write_records

        rows = [(offset, _texts(wanted, data)) for offset, data in _records(target, wanted, count)]
        write_records(output, [field.path for field in _fields(wanted)], rows)
    else:
        _show_one(target, wanted, output)


def _count(target: OpenObject, wanted: Wanted) -> int:
    """How many records there are to show. Raises ShmError where the object has not as many."""
    size = wanted.layout.size
    if wanted.number == ALL:
        return max(0, target.size - wanted.offset) // size if size else 0
    count = 1 if wanted.number is None else wanted.number
    check_end(target, wanted.offset, count * size)
    return count


def _records(target: OpenObject, wanted: Wanted, count: int) -> Iterator[tuple[int, bytes]]:
    """Each record's offset in the object, and its bytes."""
    size = wanted.layout.size
    at_once = max(1, _CHUNK // size) if size else 1
    for first in range(0, count, at_once):
        number = min(at_once, count - first)
        start = wanted.offset + first * size
        data = read_bytes(target, start, number * size)
        for index in range(number):
            yield start + index * size, data[index * size : (index + 1) * size]


def _fields(wanted: Wanted) -> "Iterator[Field]":
    if not wanted.fields:
        return wanted.layout.fields()
    return (field for path in wanted.fields for field in wanted.layout.each(path))


def _texts(wanted: Wanted, data: bytes) -> list[str]:
    from shmctl.core.layouts.values import to_text

    return [to_text(wanted.layout.read(data, field)) for field in _fields(wanted)]


def _show_json(target: OpenObject, wanted: Wanted, count: int, output: "Output") -> None:
    from shmctl.core.layouts.fields import decode
    from shmctl.core.layouts.values import to_json
    from shmctl.render.jsonlines import write_array, write_line
    from shmctl.render.records import name_fields

    layout = wanted.layout

    def value(field: "Field", raw: bytes) -> object:
        return to_json(decode(field, raw), big_as_text=wanted.big_as_text)

    def record(offset: int, data: bytes) -> dict[str, Any]:
        tree = layout.tree(data, value)
        if wanted.fields:
            places = [place for path in wanted.fields for place in layout.places(path)]
            tree = {place.path: layout.subtree(data, place, value) for place in places}
        head = {**name_fields(target.name), "offset": offset}
        return {**head, "struct": layout.name, "size": layout.size, "fields": tree}

    write: Callable[..., None] = write_line if wanted.in_frames else write_array
    write(output.stream, (record(*each) for each in _records(target, wanted, count)))


def _show_one(target: OpenObject, wanted: Wanted, output: "Output") -> None:
    """``field=value`` lines or a table; the bare values of those fields that are asked for."""
    from shmctl.core.layouts.values import to_text

    layout = wanted.layout

    def load(start: int, length: int) -> bytes:
        return read_bytes(target, wanted.offset + start, length)

    if wanted.fields:
        spans = layout.spans(wanted.fields)
        loaded = {span: load(*span) for span in spans}
        for span, path in zip(spans, wanted.fields, strict=True):
            output.stream.writelines(
                to_text(layout.read(loaded[span], field, span[0])) + "\n" for field in layout.each(path)
            )
        return
    from shmctl.render.fields import write_fields

    data = load(0, layout.size)
    write_fields(
        output, [(field, to_text(layout.read(data, field))) for field in layout.fields()], wanted.offset
    )
