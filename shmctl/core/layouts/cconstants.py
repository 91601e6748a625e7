"""Integer constant expressions of C, with C's types: ``~0u >> 28`` is 15."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


class NotConstantError(Exception):
    """The expression is no integer constant expression, or one that C leaves undefined."""


@dataclass(frozen=True, slots=True)
class Int:
    """A number of C's: ``bits`` wide, 32 or 64."""

    value: int
    bits: int = 32
    unsigned: bool = False


_LITERAL = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)([uU]?[lL]{0,2}|[lL]{1,2}[uU]?)")
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "\\": 92, "'": 39, '"': 34, "a": 7, "b": 8, "f": 12, "v": 11}


def evaluate(node: Any, names: Mapping[str, int], sizeof: Callable[[Any], int]) -> Int:
    """The value of a pycparser expression; ``names`` are enumerators, ``sizeof`` gives a Typename's bytes."""
    kind = type(node).__name__
    if kind == "Constant":
        return _literal(node.value)
    if kind == "ID" and node.name in names:
        return _fitted(names[node.name])
    if kind == "UnaryOp":
        return _unary(node, names, sizeof)
    if kind == "BinaryOp":
        return _binary(node.op, evaluate(node.left, names, sizeof), evaluate(node.right, names, sizeof))
    if kind == "TernaryOp":
        chosen = node.iftrue if evaluate(node.cond, names, sizeof).value else node.iffalse
        return evaluate(chosen, names, sizeof)
    what = (
        f"{node.name} is not a known constant" if kind == "ID" else "not understood as a constant expression"
    )
    raise NotConstantError(what)


def _unary(node: Any, names: Mapping[str, int], sizeof: Callable[[Any], int]) -> Int:
    if node.op == "sizeof" and type(node.expr).__name__ == "Typename":
        return Int(sizeof(node.expr), 64, True)
    if node.op not in _UNARY:
        raise NotConstantError(f"{node.op} is not understood here")
    operand = evaluate(node.expr, names, sizeof)
    if node.op == "!":
        return Int(int(not operand.value))
    return _wrapped(_UNARY[node.op](operand.value), operand)


def _literal(text: str) -> Int:
    match = _LITERAL.fullmatch(text)
    if match is None:
        return Int(_character(text))
    digits, suffix = match[1].lower(), match[2].lower()
    octal = len(digits) > 1 and digits.isdecimal() and digits[0] == "0"
    if len(digits) > 70:
        raise NotConstantError(f"{digits[:20]}... is too large")
    value = int(digits, 8 if octal else 0)
    decimal = digits[0] != "0"
    for bits in (32, 64) if "l" not in suffix else (64,):
        for unsigned in (True,) if "u" in suffix else (False,) if decimal else (False, True):
            if value < 1 << bits - (not unsigned):
                return Int(value, bits, unsigned)
    raise NotConstantError(f"{text} is too large")


def _character(text: str) -> int:
    inner = text[1:-1]
    if text[:1] == "'" and len(inner) == 1 and inner.isascii():
        return ord(inner)
    if text[:1] == "'" and len(inner) == 2 and inner[0] == "\\" and inner[1] in _ESCAPES:
        return _ESCAPES[inner[1]]
    raise NotConstantError(f"{text[:20]} is not an integer constant")


_UNARY: dict[str, Callable[[int], int]] = {
    "+": lambda a: a,
    "-": lambda a: -a,
    "~": lambda a: ~a,
    "!": lambda a: not a,  # of C's type int, whatever the operand's
}
_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
    "%": lambda a, b: abs(a) % abs(b) * (-1 if a < 0 else 1),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}
_COMPARISON: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "&&": lambda a, b: bool(a and b),
    "||": lambda a, b: bool(a or b),
}


def _binary(op: str, left: Int, right: Int) -> Int:
    if op in ("<<", ">>"):
        if not 0 <= right.value < left.bits:
            raise NotConstantError(f"a shift by {right.value} is undefined")
        if op == ">>":
            return _wrapped(left.value >> right.value, left)
        # gcc shifts into the sign bit and beyond it as if there were none, and says so in its manual.
        shifted = (left.value << right.value) % (1 << left.bits)
        negative = not left.unsigned and shifted >= 1 << left.bits - 1
        return _wrapped(shifted - (1 << left.bits) if negative else shifted, left)
    common = _common(left, right)
    if op in _COMPARISON:
        a, b = _wrapped(left.value, common).value, _wrapped(right.value, common).value
        return Int(int(_COMPARISON[op](a, b)))
    if op not in _ARITHMETIC:
        raise NotConstantError(f"the operator {op} is not understood")
    if op in "/%" and right.value == 0:
        raise NotConstantError("division by zero")
    a, b = _wrapped(left.value, common).value, _wrapped(right.value, common).value
    return _wrapped(_ARITHMETIC[op](a, b), common)


def _common(left: Int, right: Int) -> Int:
    """The usual arithmetic conversions."""
    bits = max(left.bits, right.bits)
    return Int(0, bits, any(side.unsigned and side.bits == bits for side in (left, right)))


def _wrapped(value: int, like: Int) -> Int:
    if like.unsigned:
        return Int(value % (1 << like.bits), like.bits, True)
    if not -1 << like.bits - 1 <= value < 1 << like.bits - 1:
        raise NotConstantError("the value overflows its type")
    return Int(value, like.bits, False)


def _fitted(value: int) -> Int:
    if -1 << 31 <= value < 1 << 31:
        return Int(value)
    return Int(value, 32, True) if 0 <= value < 1 << 32 else Int(value, 64, value >= 1 << 63)
