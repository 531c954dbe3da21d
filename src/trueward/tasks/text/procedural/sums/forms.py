"""Surface forms of a whole number, and readers of them: one reads every form, the other only the plain one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, get_args

from trueward.errors import DataError

Form = Literal["plain", "padded", "words", "fraction"]
FORMS: tuple[Form, ...] = get_args(Form)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FRACTION_DENOMINATOR = 2

_PLAIN = re.compile(r"0|[1-9][0-9]{0,8}")
_PADDED = re.compile(r"0[0-9]{1,8}")
_FRACTION = re.compile(r"([0-9]{1,9}) / ([1-9][0-9]{0,8})")


def write_number(value: int, form: Form) -> str:
    """A number of at least 0 in one form: `25`, `025`, `two five`, `50 / 2`.

    Raises:
        DataError: the value is negative, or there is no such form.
    """
    if value < 0 or form not in FORMS:
        raise DataError(f"cannot write {value!r} in the form {form!r}; expected a number >= 0 and {', '.join(FORMS)}")
    writers: dict[Form, Callable[[], str]] = {
        "plain": lambda: str(value),
        "padded": lambda: f"0{value}",
        "words": lambda: " ".join(DIGITS[int(digit)] for digit in str(value)),
        "fraction": lambda: f"{value * FRACTION_DENOMINATOR} / {FRACTION_DENOMINATOR}",
    }
    return writers[form]()


def form_of(text: str) -> Form | None:
    """The form that a number is written in; None when it is no number in any of them."""
    text = text.strip()
    if _PLAIN.fullmatch(text):
        return "plain"
    if _PADDED.fullmatch(text):
        return "padded"
    words = text.split(" ")
    if len(words) <= 9 and set(words) <= set(DIGITS):
        return "words"
    return "fraction" if _FRACTION.fullmatch(text) else None


def read_any(text: str) -> int | None:
    """The value of a number in any form; None for anything else, and for a fraction that is no whole number.

    Example:
        >>> read_any("25"), read_any("025"), read_any("two five"), read_any("50 / 2"), read_any("51 / 2")
        (25, 25, 25, 25, None)
    """
    text = text.strip()
    form = form_of(text)
    if form in ("plain", "padded"):
        return int(text)
    if form == "words":
        return int("".join(str(DIGITS.index(word)) for word in text.split(" ")))
    match = _FRACTION.fullmatch(text)
    if match is None:
        return None
    numerator, denominator = int(match[1]), int(match[2])
    return numerator // denominator if numerator % denominator == 0 else None


def read_plain(text: str) -> int | None:
    """The value of a number in plain form; None in every other form, as of a parser that was never told of them."""
    return int(text.strip()) if form_of(text) == "plain" else None
