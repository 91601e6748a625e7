"""Constant expressions within declarations: enumerators, ``sizeof``, ``offsetof``, static assertions."""

from collections.abc import Sequence

from shmctl.core.layouts.cconstants import Expression, Int, NotConstantError, fitted
from shmctl.core.layouts.csource import SETTLE, Token
from shmctl.core.layouts.ctokens import KEYWORDS, MAX_DEPTH, AnyType, Cursor, FalseError, Void
from shmctl.core.layouts.model import RecordType
from shmctl.core.layouts.values import escape, quote


class Expressions(Cursor):
    """Evaluates the constant expression at hand."""

    def _type_name(self) -> AnyType:
        raise NotImplementedError

    def _constant(self, what: str) -> int:
        where = self._token()
        try:
            value = self._expression()
        except NotConstantError as error:
            self._refuse(f"{what}: {error}", where, SETTLE if "not a known constant" in str(error) else None)
        if value.problem:
            self._refuse(f"{what}: {value.problem}", where)
        return value.value

    def _expression(self) -> Int:
        self._depth += 1
        if self._depth > 2 * MAX_DEPTH:
            raise NotConstantError("nested too deep")
        expression = Expression(_Words(self._tokens), self._operand)
        expression.at = self._at
        value = expression.ternary()
        self._at = expression.at
        self._depth -= 1
        return value

    def _operand(self, index: int) -> tuple[Int, int]:
        """An operand that is no number: a name, a bracket, a cast, sizeof and its like."""
        self._at = index
        text = self._next()
        if text == "(":
            self._at += 1
            if self._is_type(self._next()):
                raise NotConstantError("a cast is not understood here")
            value = self._expression()
            self._close()
            return value, self._at
        if text in ("sizeof", "_Alignof", "alignof", "__alignof__"):
            return self._measured(text), self._at
        if text in ("offsetof", "__builtin_offsetof"):
            return self._offset_of(), self._at
        self._at += 1
        if text in self._constants:
            return fitted(self._constants[text]), self._at
        if text in ("true", "false"):
            return Int(int(text == "true")), self._at
        if self._is_word(text) and text not in KEYWORDS:
            raise NotConstantError(f"{quote(text)} is not a known constant")
        raise NotConstantError("not understood as a constant expression")

    def _measured(self, word: str) -> Int:
        self._at += 1
        if self._next() != "(" or not self._is_type(self._peek()):
            raise NotConstantError(f"{word} is understood of a type only")
        self._at += 1
        type_ = self._type_name()
        self._close()
        if isinstance(type_, Void):
            raise NotConstantError(f"{word} of a type without size")
        return Int(type_.size if word == "sizeof" else type_.align, 64, unsigned=True)

    def _offset_of(self) -> Int:
        from shmctl.core.layouts.layout import Layout

        self._at += 1
        self._expect("(")
        type_ = self._type_name()
        self._expect(",")
        path = ""
        while self._next() not in (")", ""):
            path += self._word()
        self._close()
        if isinstance(type_, Void) or not isinstance(type_, RecordType):
            raise NotConstantError("offsetof of a type without members")
        place = next(Layout(type_, "", "").places(path), None)
        if place is None or place.offset % 8:
            raise NotConstantError("offsetof of what has no offset")
        return Int(place.offset // 8, 64, unsigned=True)

    def _close(self) -> None:
        if not self._take(")"):
            raise NotConstantError("not understood as a constant expression")

    def _static_assert(self) -> None:
        where = self._token()
        self._at += 1
        self._expect("(")
        try:
            value: Int | None = self._expression()
        except NotConstantError:
            value = None  # of something that is not known here, and need not be
        if value is not None and not value.problem and not value.value:
            message = self._peek() if self._next() == "," else ""
            raise FalseError(
                f"{escape(where.file)}:{where.line}: _Static_assert fails: shmctl's layout is another"
                + (f": {quote(message)}" if message else ""),
                SETTLE,
            )
        self._skip_to(")")
        self._expect(")")


class _Words(Sequence[str]):
    """The texts of tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens

    def __len__(self) -> int:
        return len(self._tokens)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._tokens[index].text
