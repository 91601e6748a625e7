"""Integer constant expressions of C, with C's types: ``~0u >> 28`` is 15."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple


class NotConstantError(Exception):
    """The expression is no integer constant expression."""


class Int(NamedTuple):
    """A number of C's: ``bits`` wide, 32 or 64. ``problem`` says why C leaves it undefined, if it does."""

    value: int
    bits: int = 32
    unsigned: bool = False
    problem: str = ""


_LITERAL = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|0[0-7]*|[1-9][0-9]*)([uU]?[lL]{0,2}|[lL]{1,2}[uU]?)")
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "\\": 92, "'": 39, '"': 34, "a": 7, "b": 8, "f": 12, "v": 11}


class Expression:
    """Evaluates the words of an expression; ``special`` takes what is neither number nor operator.

    ``special(index)`` gives the value of the operand that begins at ``words[index]`` and where it ends.
    """

    def __init__(self, words: Sequence[str], special: Callable[[int], tuple[Int, int]]) -> None:
        self._words = words
        self._special = special
        self._depth = 0
        self.at = 0

    def _next(self) -> str:
        return self._words[self.at] if self.at < len(self._words) else ""

    def _take(self, text: str) -> bool:
        found = self._next() == text
        self.at += found
        return found

    def ternary(self) -> Int:
        """The value of the conditional expression at ``at``."""
        self._depth += 1
        if self._depth > 200:
            raise NotConstantError("nested too deep")
        condition = self._chain(0)
        result = condition
        if self._take("?"):
            chosen = self.ternary()
            if not self._take(":"):
                raise NotConstantError("not understood as a constant expression")
            other = self.ternary()
            result = condition if condition.problem else chosen if condition.value else other
        self._depth -= 1
        return result

    def _chain(self, level: int) -> Int:
        if level == len(_LEVELS):
            return self._unary()
        left = self._chain(level + 1)
        while self._next() in _LEVELS[level]:
            op = self._words[self.at]
            self.at += 1
            if op in ("&&", "||"):
                right = self._chain(level + 1)
                decided = not left.problem and bool(left.value) == (op == "||")
                value = left.value if decided else right.value
                left = Int(int(bool(value)), problem="" if decided else left.problem or right.problem)
            else:
                left = _binary(op, left, self._chain(level + 1))
        return left

    def _unary(self) -> Int:
        word = self._next()
        self._depth += 1
        if self._depth > 200:
            raise NotConstantError("nested too deep")
        if word in _UNARY:
            self.at += 1
            operand = self._unary()
            result = _wrapped(
                _UNARY[word](operand.value), Int(0, problem=operand.problem) if word == "!" else operand
            )
        elif word[:1].isdigit() or word[:1] in ("'", '"', "."):
            self.at += 1
            result = _literal(word)
        else:
            result, self.at = self._special(self.at)
        self._depth -= 1
        return result


_LEVELS = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"),
    ("*", "/", "%"),
)  # fmt: skip


def evaluate_condition(words: Sequence[str]) -> int:
    """The value of an ``#if``, in which names have been replaced: everything is 64 bits wide there."""

    def special(index: int) -> tuple[Int, int]:
        if words[index : index + 1] == ["("]:
            expression.at = index + 1
            value = expression.ternary()
            if words[expression.at : expression.at + 1] != [")"]:
                raise NotConstantError("not understood as a constant expression")
            return value, expression.at + 1
        raise NotConstantError("not understood as a constant expression")

    wide = [word + "LL" if word.isdecimal() else word for word in words]
    expression = Expression(wide, special)
    value = expression.ternary()
    if expression.at != len(words):
        raise NotConstantError("not understood as a constant expression")
    if value.problem:
        raise NotConstantError(value.problem)
    return value.value


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
}


def _binary(op: str, left: Int, right: Int) -> Int:
    if op in ("<<", ">>"):
        if not 0 <= right.value < left.bits:
            return left._replace(problem=f"a shift by {right.value} is undefined")
        if op == ">>":
            return _wrapped(left.value >> right.value, left)
        # gcc shifts into the sign bit and beyond it as if there were none, and says so in its manual.
        shifted = (left.value << right.value) % (1 << left.bits)
        negative = not left.unsigned and shifted >= 1 << left.bits - 1
        return _wrapped(shifted - (1 << left.bits) if negative else shifted, left)
    common = _common(left, right)
    if op in _COMPARISON:  # of type int, whatever is compared
        a, b = _wrapped(left.value, common).value, _wrapped(right.value, common).value
        return Int(int(_COMPARISON[op](a, b)), problem=common.problem)
    if op not in _ARITHMETIC:
        raise NotConstantError(f"the operator {op} is not understood")
    if op in "/%" and right.value == 0:
        return common._replace(problem="division by zero")
    a, b = _wrapped(left.value, common).value, _wrapped(right.value, common).value
    return _wrapped(_ARITHMETIC[op](a, b), common)


def _common(left: Int, right: Int) -> Int:
    """The usual arithmetic conversions."""
    bits = max(left.bits, right.bits)
    unsigned = any(side.unsigned and side.bits == bits for side in (left, right))
    return Int(0, bits, unsigned, left.problem or right.problem)


def _wrapped(value: int, like: Int) -> Int:
    if like.unsigned:
        return like._replace(value=value % (1 << like.bits))
    if not -1 << like.bits - 1 <= value < 1 << like.bits - 1:
        return like._replace(value=0, problem="the value overflows its type")
    return like._replace(value=value)


def fitted(value: int) -> Int:
    """``value`` in the type that C gives a constant of it."""
    if -1 << 31 <= value < 1 << 31:
        return Int(value)
    return Int(value, 32, True) if 0 <= value < 1 << 32 else Int(value, 64, value >= 1 << 63)
