"""Integer constant expressions of C, with C's types. What overflows or is undefined is no constant."""

import operator
import re
from collections.abc import Callable
from typing import NamedTuple

from shmctl.core.layouts.ctokens import Cursor
from shmctl.core.layouts.values import quote


class NotConstantError(Exception):
    """The expression is no integer constant expression."""


class Int(NamedTuple):
    """A number of C's: ``bits`` wide, 32 or 64."""

    value: int
    bits: int = 32
    unsigned: bool = False


_LITERAL = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)([uU]?[lL]{0,2}|[lL]{1,2}[uU]?)")
_CHARACTER = re.compile(r"'(?:([ -~])|\\([ntr0\\'\"abfv]))'")
_ESCAPES = dict(zip("ntr0\\'\"abfv", b"\n\t\r\0\\'\"\a\b\f\v", strict=True))
_LEVELS = (("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"),
           ("+", "-"), ("*", "/", "%"))  # fmt: skip
_LEVEL = {op: level for level, ops in enumerate(_LEVELS, 1) for op in ops}


class Constants(Cursor):
    """Evaluates the constant expression at hand."""

    _all_wide = False
    """Whether everything has 64 bits, as in ``#if``."""

    def _value(self) -> Int:
        with self._deeper():
            condition = self._binary(1)
            if not self._take("?"):
                return condition
            chosen = self._value()
            if not self._take(":"):
                raise NotConstantError("not understood as a constant expression")
            other = self._value()
            return chosen if condition.value else other

    def _binary(self, level: int) -> Int:
        """Return the value of a chain of operators that bind at least as ``level`` does."""
        left = self._unary()
        while (own := _LEVEL.get(self._next(), 0)) >= level:
            op = self._word()
            left = _combined(op, left, self._binary(own + 1))
        return left

    def _unary(self) -> Int:
        text = self._next()
        if text in ("+", "-", "~", "!"):
            self._at += 1
            with self._deeper():
                operand = self._unary()
            if text == "!":
                return Int(int(not operand.value))
            return _checked({"+": 1, "-": -1, "~": -1}[text] * operand.value - (text == "~"), operand)
        if text[:1].isdigit() or text[:1] in ("'", '"', "."):
            self._at += 1
            return _literal(text, self._all_wide)
        if self._take("("):
            value = self._bracketed()
            if not self._take(")"):
                raise NotConstantError("not understood as a constant expression")
            return value
        return self._operand()

    def _bracketed(self) -> Int:
        return self._value()

    def _operand(self) -> Int:
        raise NotConstantError("not understood as a constant expression")


def _literal(text: str, all_wide: bool) -> Int:
    match = _LITERAL.fullmatch(text)
    if match is None:
        found = _CHARACTER.fullmatch(text)
        if found is None:
            raise NotConstantError(f"{quote(text)} is not an integer constant")
        return Int(ord(found[1]) if found[1] else _ESCAPES[found[2]])
    digits, suffix = match[1].lower(), match[2].lower()
    if len(digits) > 70:
        raise NotConstantError(f"{digits[:20]}... is too large")
    value = int(digits, 8 if len(digits) > 1 and digits.isdecimal() and digits[0] == "0" else 0)
    for bits in (64,) if all_wide or "l" in suffix else (32, 64):
        for unsigned in (True,) if "u" in suffix else (False,) if digits[0] != "0" else (False, True):
            if value < 1 << bits - (not unsigned):
                return Int(value, bits, unsigned)
    raise NotConstantError(f"{text} is too large")


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor,
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "%": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
}  # fmt: skip
_COMPARISON: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le,
    ">=": operator.ge,
    "&&": lambda a, b: bool(a and b),
    "||": lambda a, b: bool(a or b),
}  # fmt: skip


def _combined(op: str, left: Int, right: Int) -> Int:
    if op in ("<<", ">>"):
        if not 0 <= right.value < left.bits:
            raise NotConstantError(f"a shift by {right.value} is undefined")
        value = left.value >> right.value if op == ">>" else left.value << right.value
        if op == "<<" and not left.unsigned:  # gcc shifts into the sign bit, and says so in its manual
            half = 1 << left.bits - 1
            value = (value + half) % (2 * half) - half
        return _checked(value, left)
    bits = max(left.bits, right.bits)  # the usual arithmetic conversions
    unsigned = any(side.unsigned and side.bits == bits for side in (left, right))
    common = Int(0, bits, unsigned)
    a, b = _checked(left.value, common).value, _checked(right.value, common).value
    if op in _COMPARISON:
        return Int(int(_COMPARISON[op](a, b)))
    if op in "/%" and b == 0:
        raise NotConstantError("division by zero")
    return _checked(_ARITHMETIC[op](a, b), common)


def _checked(value: int, like: Int) -> Int:
    """Return ``value`` in the type of ``like``: unsigned ones wrap, signed ones may not overflow."""
    if like.unsigned:
        return like._replace(value=value % (1 << like.bits))
    if not -1 << like.bits - 1 <= value < 1 << like.bits - 1:
        raise NotConstantError("the value overflows its type")
    return like._replace(value=value)


def fitted(value: int) -> Int:
    """Return ``value`` in the type that C gives an enumerator of it."""
    if -1 << 31 <= value < 1 << 31:
        return Int(value)
    return Int(value, 32, True) if 0 <= value < 1 << 32 else Int(value, 64, value >= 1 << 63)
