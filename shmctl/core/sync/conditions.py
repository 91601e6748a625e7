"""What ``wait`` waits for: comparisons of typed values and struct fields, as users write them."""

import operator
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.layouts.values import Value, to_text
from shmctl.core.sync.waiting import Load

if TYPE_CHECKING:
    from shmctl.core.layouts.fields import Field
    from shmctl.core.layouts.layout import Layout

_CONDITION = re.compile(r"(?P<field>[^=!<>&]*)(?P<operator>==|!=|<=|>=|<|>|&)(?P<value>.*)", re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": operator.and_,
}
_HINT = "conditions look like '== 1', '!= 0', '& 0x4', or 'new_data == 1' with --struct"


class Operand(NamedTuple):
    """Where a value's bytes stand, and how they read."""

    start: int
    size: int
    decode: Callable[[bytes], Value]

    def load(self, load: Load) -> Value:
        """The value as it is now."""
        return self.decode(load(self.start, self.size))


class Comparison(NamedTuple):
    """One value compared with a constant, or with another value."""

    label: str
    value: Operand
    compare: Callable[[Any, Any], Any]
    other: Operand | Value

    def look(self, load: Load) -> Value | None:
        """The value, if the comparison holds."""
        value = self.value.load(load)
        other = self.other.load(load) if isinstance(self.other, Operand) else self.other
        return value if self.compare(value, other) else None


class Conditions(NamedTuple):
    """Comparisons that have to hold together, in a range of ``length`` bytes."""

    length: int
    comparisons: Sequence[Comparison]

    def look(self, load: Load) -> list[Value] | None:
        """The values, if all comparisons hold."""
        values = []
        for comparison in self.comparisons:
            value = comparison.look(load)
            if value is None:
                return None
            values.append(value)
        return values

    def lines(self, values: Sequence[Value]) -> list[str]:
        """The values as ``read`` prints them."""
        return [
            f"{comparison.label}={to_text(value)}" if comparison.label else to_text(value)
            for comparison, value in zip(self.comparisons, values, strict=True)
        ]


def parse_scalar_conditions(type_name: str, endian: Any, texts: Sequence[str]) -> Conditions:
    """``== 1`` and the like, for a value of a scalar type. Raises InputError."""
    from shmctl.core.layouts import scalars

    scalar = scalars.lookup(type_name)

    def comparison(text: str) -> Comparison:
        path, name, value = _split(text)
        if path:
            raise InputError(f"invalid condition '{text}': a field needs --struct", hint=_HINT)
        _check_operator(text, name, scalar.kind)
        # As it would be read back: a float has fewer digits than the text may give.
        constant = scalars.decode(scalar, scalars.encode(scalar, scalars.parse_value(scalar, value)))
        operand = Operand(0, scalar.size, lambda data: scalars.decode(scalar, data, endian))
        return Comparison("", operand, _OPERATORS[name], constant)

    return Conditions(scalar.size, [comparison(text) for text in _parts(texts)])


def parse_struct_conditions(layout: "Layout", texts: Sequence[str]) -> Conditions:
    """``new_data == 1``, ``head != tail`` and the like, for fields of a struct. Raises InputError."""

    def comparison(text: str) -> Comparison:
        path, name, value = _split(text)
        if not path:
            raise InputError(f"invalid condition '{text}': which field?", hint=_HINT)
        field = layout.single(path)
        if field is None:
            raise InputError(f"invalid condition '{text}': '{path}' is not a single value")
        _check_operator(text, name, field.type.kind)
        other = _constant_or_field(layout, field, value, text)
        if isinstance(other, Operand) and name == "&":
            raise InputError(f"invalid condition '{text}': & takes a number")
        return Comparison(path, _operand(field), _OPERATORS[name], other)

    return Conditions(layout.size, [comparison(text) for text in _parts(texts)])


def _operand(field: "Field") -> Operand:
    from shmctl.core.layouts import fields

    return Operand(field.offset, field.size, lambda data: fields.decode(field, data))


def _constant_or_field(layout: "Layout", field: "Field", value: str, text: str) -> Operand | Value:
    """What the value of ``field`` is compared with; what can be a value of it is no field's name."""
    from shmctl.core.layouts import fields

    if field.type.kind == "opaque":
        raise InputError(f"invalid condition '{text}': a {field.type.name} cannot be compared")
    try:
        constant = fields.parse_value(field, value)
    except InputError as error:
        try:
            other = layout.single(value)
        except InputError:
            other = None
        if other is None:
            raise error from None
        kinds = {_is_text(field), _is_text(other)}
        if len(kinds) > 1 or other.type.kind == "opaque":
            raise InputError(f"invalid condition '{text}': the two cannot be compared") from None
        return _operand(other)
    if field.bit_width is not None:
        return constant
    # As it would be read back: a float has fewer digits than the text may give.
    return fields.decode(field, fields.encode(field, constant))


def _is_text(field: "Field") -> bool:
    return field.type.kind in ("text", "char")


_AND = re.compile(r"\s+&&\s+")


def _parts(texts: Sequence[str]) -> list[str]:
    """``a == 1 && b == 2`` is two conditions."""
    return [part for text in texts for part in _AND.split(text.strip())]


def _split(text: str) -> tuple[str, str, str]:
    match = _CONDITION.fullmatch(text)
    if not match:
        raise InputError(f"invalid condition '{text}'", hint=_HINT)
    return match["field"].strip(), match["operator"], match["value"].strip()


def _check_operator(text: str, name: str, kind: str) -> None:
    if name == "&" and kind not in ("int", "uint", "bool", "address"):
        raise InputError(f"invalid condition '{text}': only integers have bits")
