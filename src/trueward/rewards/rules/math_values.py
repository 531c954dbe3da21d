r"""Comparing two single answers: numbers, words, expressions.

Each comparison says True or False only where that is certain, and None where it cannot read one of the two.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from trueward.tasks.text.expressions import FUNCTIONS, Expression, read_expression, values_differ
from trueward.tasks.text.numbers import Number, read_number
from trueward.tasks.text.units import may_be_one_unit

_DECIMALS = 6  # places to which a decimal counts, as in math-verify
_LARGEST_BINOMIAL = 60
_LARGEST_FACTORIAL = 20

_MIXED = re.compile(r"([-+]?)(\d{1,9})\s*\\frac\{(\d{1,9})\}\{(\d{1,9})\}")
_WORD = re.compile(r"\(?([^\W\d_][^\W\d_' -]*)\)?[.:]?")
_NOT_UNITS = frozenset("abefijknpqruvwxyzBDEGHIMOPQRSTUXYZ")  # letters that no unit of one letter has
_FACTORS = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,3}(?![a-zA-Z])")
_NAMES = FUNCTIONS | {"log", "pi", "min", "max", "gcd", "lcm", "mod", "arg", "det", "deg", "infinity", "inf", "infty"}
_BINOMIALS = re.compile(r"\\d?binom\{\s*(\d{1,2})\s*\}\{\s*(\d{1,2})\s*\}")
_FACTORIALS = re.compile(r"(?<![\d.])(\d{1,2})\s*!(?![!=])")
_ABSOLUTE = re.compile(r"(?:\||\\lvert(?![a-z]))([^|]{1,80}?)(?:\||\\rvert(?![a-z]))")
_COMMON_LOGARITHM = re.compile(r"\\log(?![a-zA-Z_])\s*(\d{1,9}|[a-zA-Z])?")
_LOGARITHM = re.compile(r"\\log_\{?\s*(\d{1,4})\s*\}?\s*[{(]?\s*(\d{1,9}|[a-zA-Z])\s*[)}]?(?![\w^({.])")
_RAISED_FUNCTION = re.compile(
    r"\\(sin|cos|tan|cot|sec|csc)\s*\^\s*\{?(\d)\}?\s*(?:\(([^()]{1,40})\)|([a-zA-Z]|\\[a-z]+)(?=\s*(?:$|[-+)}=,])))"
)
_STAND_INS = {
    "alpha": "j",
    "beta": "v",
    "gamma": "w",
    "delta": "d",
    "theta": "q",
    "lambda": "l",
    "mu": "m",
    "phi": "u",
    "varphi": "k",
    "omega": "o",
    "sigma": "s",
    "tau": "t",
    "rho": "r",
}
_GREEK = re.compile(rf"\\({'|'.join(_STAND_INS)})(?![a-zA-Z])")
_LINEAR = re.compile(r"\s*-?\s*(?:\d+\.?\d*[a-z]?|[a-z])(?:\s*[-+]\s*(?:\d+\.?\d*[a-z]?|[a-z]))*\s*")
_IMAGINARY = re.compile(r"(?<![a-zA-Z\\])i(?![a-zA-Z])")


@dataclass(frozen=True)
class Terms:
    """On what terms two answers are compared.

    Attributes:
        ordered: elements of a list count in their order.
        tolerance: absolute difference up to which two numbers are the same; None where none is declared.
        percent: whether the question speaks of per cent, so that 12 and 12 % may mean the same.
    """

    ordered: bool = False
    tolerance: float | None = None
    percent: bool = False


PLAIN = Terms()


def number_of(text: str) -> Number | None:
    """The number that a plain text stands for, mixed numbers included; a unit may stand behind it."""
    number = read_number(text)
    if number is not None:
        # A letter behind a number is a variable, unless it is one of the units of one letter.
        return None if number.unit in _NOT_UNITS else number
    mixed = _MIXED.fullmatch(text) if "\\" in text else None
    if mixed is None or int(mixed[4]) == 0:
        return None
    value = int(mixed[2]) + Fraction(int(mixed[3]), int(mixed[4]))
    return Number(-value if mixed[1] == "-" else value, decimals=None)


def same_numbers(a: Number, b: Number, units: tuple[str, str], terms: Terms) -> bool:
    r"""Whether two numbers are the same.

    A unit that only one of them has says more and contradicts nothing; two known and different units do. 12 % is 12
    hundredths, unless the question speaks of per cent.

    Args:
        a, b: reference and answer.
        units: units that stand behind them in `\text`.
        terms: on what terms.
    """
    first, second = units[0] or a.unit, units[1] or b.unit
    if first and second and not may_be_one_unit(first, second):
        return False
    decimal = bool(a.decimals or b.decimals)
    if a.percent == b.percent or (terms.percent and _equal(a.value, b.value, decimal, terms)):
        return _equal(a.value, b.value, decimal, terms)
    scale = Fraction(1, 100)
    return _equal(a.value * (scale if a.percent else 1), b.value * (scale if b.percent else 1), True, terms)


def _equal(a: Fraction, b: Fraction, decimal: bool, terms: Terms) -> bool:
    """Exactly, or to six places where one of the two is a decimal and neither a whole number."""
    if a == b:
        return True
    if terms.tolerance is not None:
        return abs(a - b) <= Fraction(terms.tolerance)
    return decimal and a.denominator != 1 and b.denominator != 1 and round(a, _DECIMALS) == round(b, _DECIMALS)


def word_of(text: str) -> str:
    """The letters of an answer in words, or ""; one letter is a word too, since an option and a variable look alike."""
    found = _WORD.fullmatch(text)
    words = found[1].casefold().split() if found else []
    return "" if _NAMES.intersection(words) else " ".join(words)


def same_words(a: str, b: str, is_number: bool) -> bool | None:
    """By their letters; None where neither is a word, or a few letters may be a product (ab, xyz).

    Args:
        a, b: as `word_of` gives them.
        is_number: whether one of the two answers is a number.
    """
    if a and b and (a == b or max(len(a), len(b)) > 3):
        return a == b
    if (a or b) and (max(len(a), len(b)) > 3 or is_number):
        return False
    return a == b if len(a) == len(b) == 1 else None


def same_values(a: str, b: str, terms: Terms) -> bool | None:
    """By evaluating both; decimals to six places. Symbols that cannot be real variables are replaced by ones that can.

    i is first taken for a variable: what is equal for every i is equal for the imaginary unit, and two expressions that
    hold it once, in a sum, are equal only so.
    """
    replaced = _with_stand_ins(a, b)
    if replaced is None:
        return None
    imaginary = any(_IMAGINARY.search(text) for text in replaced)
    if imaginary:
        if re.search(r"(?<![a-zA-Z\\])z", "".join(replaced)):
            return None
        replaced = (_IMAGINARY.sub("z", replaced[0]), _IMAGINARY.sub("z", replaced[1]))
    first, second = expression_of(replaced[0]), expression_of(replaced[1])
    if first is None or second is None:
        return None
    if not first.variables and not second.variables and (terms.tolerance is not None or _is_decimal(a, b)):
        left, right = first.at(1.0), second.at(1.0)
        if left is None or right is None:
            return None
        if terms.tolerance is not None:
            return abs(left - right) <= terms.tolerance
        return round(left, _DECIMALS) == round(right, _DECIMALS)
    different = values_differ(first, second)
    if different and imaginary and not all(_is_linear(text) for text in replaced):
        return None
    return None if different is None else not different


def _with_stand_ins(a: str, b: str) -> tuple[str, str] | None:
    """Both with letters for Greek letters; None when such a letter is already used."""
    if "\\" not in a + b or not _GREEK.search(a + b):
        return a, b
    used = set(re.findall(r"(?<![a-zA-Z\\])[a-zA-Z]", a + b))
    if used & {_STAND_INS[name] for name in _GREEK.findall(a + b)}:
        return None
    first, second = (_GREEK.sub(lambda found: f" {_STAND_INS[found[1]]} ", text) for text in (a, b))
    return first, second


def _is_linear(text: str) -> bool:
    return text.count("z") <= 1 and not any(mark in text for mark in ("^", "/", "\\", "("))


def _is_decimal(a: str, b: str) -> bool:
    numbers = number_of(a), number_of(b)
    return any(number is not None and bool(number.decimals) for number in numbers)


def expression_of(text: str) -> Expression | None:
    """An expression with letters side by side as a product, e as Euler's number, and some more functions."""

    def factors(found: re.Match[str]) -> str:
        return found.group() if found.group() in _NAMES else "*".join(found.group())

    if "\\" in text:
        text = _BINOMIALS.sub(_binomial, text)
        text = _COMMON_LOGARITHM.sub(lambda found: f" lg({found[1]})" if found[1] else " lg", text)
        text = _LOGARITHM.sub(r"(\\ln(\2)/\\ln(\1))", text)
        text = _RAISED_FUNCTION.sub(lambda found: rf"(\{found[1]}({found[3] or found[4]}))^{found[2]}", text)
    if "!" in text:
        text = _FACTORIALS.sub(_factorial, text)
    if "|" in text or "vert" in text:
        text = _ABSOLUTE.sub(r" abs(\1)", text)
    return read_expression(_FACTORS.sub(factors, text), euler=True)


def _factorial(found: re.Match[str]) -> str:
    return str(math.factorial(int(found[1]))) if int(found[1]) <= _LARGEST_FACTORIAL else found.group()


def _binomial(found: re.Match[str]) -> str:
    top, bottom = int(found[1]), int(found[2])
    return str(math.comb(top, bottom)) if top <= _LARGEST_BINOMIAL else found.group()


def same_up_to_a_factor(a: tuple[str, str], b: tuple[str, str]) -> bool | None:
    """Whether two equations of several variables are one, multiplied by a number: 2x + 4y = 6 and x + 2y = 3.

    False only where both are linear: then equations that are not in proportion have different solutions.
    """
    first, second = (expression_of(f"({left})-({right})") for left, right in (a, b))
    if first is None or second is None or len(first.variables | second.variables) < 2:
        return None
    ratios = []
    for point in (0.731, 1.2909, -1.8173):
        top, bottom = first.at(point), second.at(point)
        if top is None or not bottom:
            return None
        ratios.append(top / bottom)
    if ratios[0] and all(abs(ratio - ratios[0]) <= 1e-9 * abs(ratios[0]) for ratio in ratios):
        return True
    return False if all(_LINEAR.fullmatch(side) for side in (*a, *b)) else None


def constant(text: str) -> float | None:
    """The value of an expression without variables; None for everything else."""
    expression = expression_of(text)
    return None if expression is None or expression.variables else expression.at(1.0)
