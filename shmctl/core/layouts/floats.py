"""Floating-point formats that Python has no type for, exactly: x87's 80 bits and IEEE's binary128.

A finite value is ``mantissa * 2**exponent``. Its text is the shortest decimal
that names it, and ``bits(0x...)`` what no number names: other NaNs than the
usual one, and encodings that the processor calls invalid.
"""

import re
from typing import NamedTuple

from shmctl.core.errors import InputError
from shmctl.core.layouts.values import Spelled, quote


class _Format(NamedTuple):
    """``precision`` counts the leading bit, which ``explicit`` formats store."""

    size: int
    precision: int
    exponent_bits: int
    explicit: bool


FORMATS = {
    "x87": _Format(10, 64, 15, explicit=True),
    "quad": _Format(16, 113, 15, explicit=False),
}
BITS = re.compile(r"bits\(0[xX]([0-9a-fA-F]{1,32})\)")
_DECIMAL = re.compile(r"([+-]?)([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]{1,9}))?")
_HEXADECIMAL = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?[0-9]{1,9}))?")
_MOST_DIGITS = 40
_RANGE = 20_000


def decode(code: str, raw: bytes, endian: str) -> Spelled:
    """The value of the format ``code`` in ``raw``."""
    form = FORMATS[code]
    data = raw[: form.size] if endian == "little" else raw[-form.size :]
    bits = int.from_bytes(data, "little" if endian == "little" else "big")
    stored = form.precision - (0 if form.explicit else 1)
    mantissa = bits & (1 << stored) - 1
    biased = bits >> stored & (1 << form.exponent_bits) - 1
    sign = "-" if bits >> stored + form.exponent_bits else ""
    bias = (1 << form.exponent_bits - 1) - 1
    top = 1 << form.precision - 1
    if biased == (1 << form.exponent_bits) - 1:
        return _not_finite(bits, mantissa, sign, form)
    if form.explicit and bool(mantissa & top) != bool(biased):
        if biased or mantissa & top:
            return Spelled(float("nan"), f"bits({bits:#x})")
    elif biased and not form.explicit:
        mantissa |= top
    exponent = max(biased, 1) - bias - (form.precision - 1)
    text = sign + _shortest(mantissa, exponent, form)
    return Spelled(float(text), text)


def _not_finite(bits: int, mantissa: int, sign: str, form: _Format) -> Spelled:
    top = 1 << form.precision - 1
    quiet = top >> 1
    infinite, usual = (top, top | quiet) if form.explicit else (0, quiet)
    if mantissa == infinite:
        return Spelled(float(sign + "inf"), sign + "inf")
    if mantissa == usual:
        return Spelled(float("nan"), sign + "nan")
    return Spelled(float("nan"), f"bits({bits:#x})")


def encode(code: str, text: str, endian: str, name: str) -> bytes:
    """The bytes of the value that ``text`` names, without padding. Raises InputError."""
    form = FORMATS[code]
    order = "little" if endian == "little" else "big"
    match = BITS.fullmatch(text)
    bits = int(match[1], 16) if match else _bits(text, form, name)
    if bits >= 1 << form.size * 8:
        raise InputError(f"{quote(text)} is out of range for {name}")
    return bits.to_bytes(form.size, order)  # type: ignore[arg-type]


def _bits(text: str, form: _Format, name: str) -> int:
    stored = form.precision - (0 if form.explicit else 1)
    top = 1 << form.precision - 1
    special = (1 << form.exponent_bits) - 1 << stored
    bare = text.lstrip("+-").lower()
    sign = (1 << stored + form.exponent_bits) if text.startswith("-") else 0
    if bare in ("inf", "infinity"):
        return sign | special | (top if form.explicit else 0)
    if bare == "nan":
        return sign | special | (top if form.explicit else 0) | top >> 1
    mantissa, exponent = _rounded(*_ratio(text, name), form)
    bias = (1 << form.exponent_bits - 1) - 1
    biased = exponent + bias + form.precision - 1
    if mantissa and biased >= (1 << form.exponent_bits) - 1:
        raise InputError(f"{quote(text)} is out of range for {name}")
    if not mantissa & top:
        biased = 0  # zero, or too small to be normal
    return sign | biased << stored | (mantissa if form.explicit else mantissa & top - 1)


def _ratio(text: str, name: str) -> tuple[int, int]:
    """The absolute value of a number as numerator and denominator."""
    match = _HEXADECIMAL.fullmatch(text)
    base, power = 16, 2
    if match is None:
        match, base, power = _DECIMAL.fullmatch(text), 10, 10
    if match is None or not match[2] + match[3]:
        raise InputError(f"{quote(text)} is not a number, as {name} needs")
    digits = match[2] + match[3]
    if len(digits) > 4000:
        raise InputError(f"{quote(text)} has too many digits")
    exponent = max(-_RANGE, min(_RANGE, int(match[4] or "0")))
    numerator = int(digits, base)
    scale = len(match[3]) * (4 if base == 16 else 1)
    exponent -= scale
    return (numerator * power**exponent, 1) if exponent >= 0 else (numerator, power**-exponent)


def _rounded(numerator: int, denominator: int, form: _Format) -> tuple[int, int]:
    """The nearest ``mantissa * 2**exponent`` of the format, ties to even."""
    least = 2 - (1 << form.exponent_bits - 1) - (form.precision - 1)
    if not numerator:
        return 0, least
    exponent = max(numerator.bit_length() - denominator.bit_length() - form.precision, least)
    while True:
        scaled, divisor = (
            (numerator << -exponent, denominator) if exponent < 0 else (numerator, denominator << exponent)
        )
        mantissa, rest = divmod(scaled, divisor)
        if mantissa.bit_length() <= form.precision:
            break
        exponent += 1
    if rest * 2 > divisor or (rest * 2 == divisor and mantissa & 1):
        mantissa += 1
    if mantissa.bit_length() > form.precision:
        mantissa, exponent = mantissa >> 1, exponent + 1
    return mantissa, exponent


def _shortest(mantissa: int, exponent: int, form: _Format) -> str:
    if not mantissa:
        return "0.0"
    numerator, denominator = (mantissa << exponent, 1) if exponent >= 0 else (mantissa, 1 << -exponent)
    wanted = _rounded(numerator, denominator, form)
    # About: what it is exactly, the digits show.
    point = round((numerator.bit_length() - denominator.bit_length()) * 0.30103)
    text = ""
    for digits in range(1, _MOST_DIGITS):
        text = _decimal(numerator, denominator, digits, point)
        if _rounded(*_ratio(text, ""), form) == wanted:
            break
    return text


def _decimal(numerator: int, denominator: int, digits: int, point: int) -> str:
    """The value rounded to ``digits`` digits; ``point`` is about where its decimal point stands."""
    while True:
        shift = digits - point
        top, bottom = (
            (numerator * 10**shift, denominator) if shift >= 0 else (numerator, denominator * 10**-shift)
        )
        value, rest = divmod(top, bottom)
        if rest * 2 > bottom or (rest * 2 == bottom and value & 1):
            value += 1
        if len(str(value)) > digits:
            point += 1
        elif len(str(value)) < digits:
            point -= 1
        else:
            break
    figures = str(value)
    if -4 < point <= 17:
        if point <= 0:
            return "0." + "0" * -point + figures
        if point >= len(figures):
            return figures + "0" * (point - len(figures)) + ".0"
        return f"{figures[:point]}.{figures[point:]}"
    fraction = figures[1:].rstrip("0")
    return f"{figures[0]}{'.' + fraction if fraction else ''}e{point - 1:+03d}"
