"""What ``wait`` waits for: comparisons of typed values and struct fields, as users write them."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shmctl.core.errors import InputError
from shmctl.core.layouts.values import Value, to_text
from shmctl.core.sync.waiting import Load

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


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value compared with a constant: where its bytes stand, how they read, and the comparison."""

    label: str
    start: int
    length: int
    decode: Callable[[bytes], Value]
    compare: Callable[[Any, Any], Any]
    constant: Value

    def look(self, load: Load) -> Value | None:
        """The value, if the comparison holds."""
        value = self.decode(load(self.start, self.length))
        return value if self.compare(value, self.constant) else None


@dataclass(frozen=True, slots=True)
class Conditions:
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
        field, name, value = _split(text)
        if field:
            raise InputError(f"invalid condition '{text}': a field needs --struct", hint=_HINT)
        _check_operator(text, name, scalar.kind)
        # As it would be read back: a float has fewer digits than the text may give.
        constant = scalars.decode(scalar, scalars.encode(scalar, scalars.parse_value(scalar, value)))
        return Comparison(
            "", 0, scalar.size, lambda data: scalars.decode(scalar, data, endian), _OPERATORS[name], constant
        )

    return Conditions(scalar.size, [comparison(text) for text in texts])


def parse_struct_conditions(layout: Any, texts: Sequence[str]) -> Conditions:
    """``new_data == 1`` and the like, for fields of a struct. Raises InputError."""
    from shmctl.core.layouts import fields, scalars

    def comparison(text: str) -> Comparison:
        path, name, value = _split(text)
        if not path:
            raise InputError(f"invalid condition '{text}': which field?", hint=_HINT)
        found = list(islice(layout.each(path), 2))
        if len(found) != 1 or found[0].path != path:
            raise InputError(f"invalid condition '{text}': '{path}' is not a single value")
        field = found[0]
        _check_operator(text, name, field.type.kind)
        constant = fields.parse_value(field, value)
        if field.type.kind == "float":
            constant = scalars.decode(field.type, scalars.encode(field.type, constant))
        return Comparison(
            path,
            field.offset,
            field.size,
            lambda data: fields.decode(field, data),
            _OPERATORS[name],
            constant,
        )

    return Conditions(layout.size, [comparison(text) for text in texts])


def _split(text: str) -> tuple[str, str, str]:
    match = _CONDITION.fullmatch(text)
    if not match:
        raise InputError(f"invalid condition '{text}'", hint=_HINT)
    return match["field"].strip(), match["operator"], match["value"].strip()


def _check_operator(text: str, name: str, kind: str) -> None:
    if name == "&" and kind not in ("int", "uint", "bool", "address"):
        raise InputError(f"invalid condition '{text}': only integers have bits")
