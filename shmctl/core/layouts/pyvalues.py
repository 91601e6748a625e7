"""Structures' fields as a Python program gives and takes them: values, and dicts and sequences of them."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shmctl.core.errors import InputError
from shmctl.core.layouts import fields
from shmctl.core.layouts.fields import Field, parse_value
from shmctl.core.layouts.values import Char, Value, quote
from shmctl.core.sizes import counted

if TYPE_CHECKING:
    from shmctl.core.layouts.layout import Layout


def decode(field: Field, raw: bytes) -> Value | bytes:
    """The value of ``field``, whose bytes are ``raw``; text is decoded as os.fsdecode() does."""
    if field.type.kind == "opaque":
        return raw
    if field.type.kind == "text":
        return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return fields.decode(field, raw)


Pairs = Iterator[tuple[Field, Value]]
Convert = Callable[[Field, Any], Value]


def pairs(
    layout: "Layout", values: Mapping[str, Any], convert: Convert | None = None
) -> list[tuple[Field, Value]]:
    """Each field that ``values`` give, by path, and its value. Raises InputError for what cannot be.

    ``convert`` makes the value that `fields.encode` takes; `to_value` is the default.
    """
    chosen = convert or to_value
    return [pair for path, value in values.items() for pair in _pairs(layout, path, value, chosen)]


def _pairs(layout: "Layout", path: str, value: Any, convert: Convert) -> Pairs:
    field = layout.single(path)
    if field is not None:
        yield field, convert(field, value)
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _pairs(layout, f"{path}.{key}", inner, convert)
        return
    if hasattr(value, "tolist"):  # of numpy and array: Python's own numbers
        value = value.tolist()
    found = layout.select(path)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        yield from _elements(layout, path, value, found, convert)
    else:
        raise InputError(
            f"{quote(path)} is not a single value: give a dict for a structure, a list for an array"
        )


def _elements(
    layout: "Layout", path: str, values: Sequence[Any], found: Sequence[Field], convert: Convert
) -> Pairs:
    indices = [field.path.removeprefix(path).partition("]")[0] for field in found]
    length = len(set(indices))
    if not all(index.startswith("[") for index in indices):
        raise InputError(f"{quote(path)} is not an array")
    if length != len(values):
        raise InputError(
            f"{quote(path)} has {counted(length, 'element')} and gets {counted(len(values), 'value')}"
        )
    if all(field.path == f"{path}[{index}]" for index, field in enumerate(found)):
        for field, value in zip(found, values, strict=True):
            yield field, convert(field, value)
        return
    for index, value in enumerate(values):
        yield from _pairs(layout, f"{path}[{index}]", value, convert)


def to_value(field: Field, value: Any) -> Value:  # noqa: PLR0911 - a return for each kind of field
    """``value`` as `fields.encode` takes it. Raises InputError where the field cannot hold it."""
    match field.type.kind:
        case "text":
            return parse_value(field, _text(field, value))
        case "opaque":
            return parse_value(field, value.hex() if isinstance(value, bytes) else _text(field, value))
        case "char":
            return _char(field, value)
        case "float" | "longdouble":
            return parse_value(field, repr(_number(field, value, float)))
        case "bool" if value in (0, 1):
            return bool(value)
        case _ if isinstance(value, str) and field.labels:
            return parse_value(field, value)
    return parse_value(field, str(_number(field, value, operator.index)))


def _text(field: Field, value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    if isinstance(value, str):
        return value.replace("\\", "\\\\")  # a program's text has no escapes
    raise _wrong(field, value)


def _char(field: Field, value: Any) -> Char:
    if isinstance(value, bytes) and len(value) == 1:
        return Char(chr(value[0]))
    if isinstance(value, str) and len(value) == 1 and ord(value) < 256:
        return Char(value)
    raise _wrong(field, value)


def _number(field: Field, value: Any, convert: Any) -> Any:
    if isinstance(value, str | bytes):
        raise _wrong(field, value)
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(field, value) from None


def _wrong(field: Field, value: Any) -> InputError:
    return InputError(f"{field.path}: {quote(repr(value))} is no value of {field.type.name}")
