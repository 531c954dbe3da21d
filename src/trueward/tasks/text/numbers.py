"""Reading numbers the way people write answers: thousands separators, fractions, per cent, units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_LONGEST = 400
_LARGEST_EXPONENT = 400
_MINUS = str.maketrans({"−": "-", "–": "-", "﹣": "-", "－": "-"})
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("__", "__"))
_LATEX_FRACTION = re.compile(r"([+-]?)\\[dt]?frac\{\s*([+-]?\d+)\s*\}\{\s*([+-]?\d+)\s*\}")
_PLAIN = re.compile(
    r"""(?P<sign>[+-]?)\s*(?P<currency>[$€£¥]|\\\$)?\s*
        (?:(?P<numerator>\d+)\s*/\s*(?P<denominator>\d+)
          |(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(?:[eE](?P<exponent>[+-]?\d{1,4}))?)
        \s*(?P<percent>\\?%)?
        (?:,?\s*(?P<unit>°[CF]?|[^\W\d_][^\W\d_]{0,14}(?:\^?[23²³]|\ ?/\ ?[^\W\d_]{1,8})?))?""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Number:
    """A number as written.

    Attributes:
        value: exact value of the digits, the percent sign not applied.
        percent: whether a percent sign follows.
        unit: what follows the number (letters, a degree sign), or the currency sign before it; "" for none.
        decimals: digits after the decimal point; None for fractions and numbers in scientific notation.
    """

    value: Fraction
    percent: bool = False
    unit: str = ""
    decimals: int | None = 0

    @property
    def scaled(self) -> Fraction:
        """The value with the percent sign applied."""
        return self.value / 100 if self.percent else self.value

    @property
    def is_integer(self) -> bool:
        """True when it is written as a plain integer: no point, fraction, percent sign or exponent."""
        return self.decimals == 0 and not self.percent


def strip_wrappers(text: str) -> str:
    """`text` without surrounding white space, math delimiters, Markdown's bold and a closing full stop."""
    text = text.strip()
    for opening, closing in _WRAPPERS:
        if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
            inner = text[len(opening) : -len(closing)]
            if opening.strip("\\")[0] not in inner:
                return strip_wrappers(inner)
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text


def read_number(text: str) -> Number | None:
    """The number that `text` as a whole stands for, or None.

    Accepts integers with or without thousands separators, decimals, a/b, LaTeX fractions of integers, scientific
    notation, a currency sign before, a percent sign or unit behind (also behind a comma). Anything longer than 400
    characters, or with an exponent beyond 400, is None, so that nothing expensive is ever computed.
    """
    text = strip_wrappers(text).translate(_MINUS)
    if not text or len(text) > _LONGEST:
        return None
    fraction = _LATEX_FRACTION.fullmatch(text)
    if fraction:
        sign, numerator, denominator = fraction.groups()
        if int(denominator) == 0:
            return None
        value = Fraction(int(numerator), int(denominator))
        return Number(-value if sign == "-" else value, decimals=None)
    match = _PLAIN.fullmatch(text)
    if not match:
        return None
    sign = -1 if match["sign"] == "-" else 1
    unit = (match["currency"] or match["unit"] or "").strip()
    percent = bool(match["percent"])
    if match["numerator"]:
        if int(match["denominator"]) == 0:
            return None
        return Number(Fraction(sign * int(match["numerator"]), int(match["denominator"])), percent, unit, None)
    digits = match["digits"].replace(",", "")
    exponent = int(match["exponent"] or 0)
    if abs(exponent) > _LARGEST_EXPONENT:
        return None
    decimals = len(digits.partition(".")[2]) if not match["exponent"] else None
    return Number(sign * Fraction(digits) * Fraction(10) ** exponent, percent, unit, decimals)
