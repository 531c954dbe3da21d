"""Doubts: why an answer that reads as wrong may still be a way to say the right one.

A probe is made by us, and its answer is what we put there. What a policy writes is free text: "a couple", "douze",
"x = 12", "1.234" as the French write it, the letter of an option. An answer with any doubt is left unlabelled.
"""

from __future__ import annotations

import re
from fractions import Fraction

from trueward.audit.certificates.answers import certify_answer, possible_types
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.numbers import Number, read_number, strip_wrappers
from trueward.tasks.text.rows import Row

NUMERIC = frozenset({"int", "number", "expression"})
_DECIDABLE = NUMERIC | {"choice", "list", "set", "grid"}

# Words that may stand for a number or for a part of one. The list may only grow: a word too many costs a find.
_QUANTITY = re.compile(
    r"\b(?:zero|nil|nought|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|\w+teen(?:th)?"
    r"|twent\w+|thirt\w+|fort\w+|fift\w+|sixt\w+|sevent\w+|eight\w+|ninet\w+|hundred\w*|thousand\w*|million\w*|billion\w*"
    r"|half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|first|second|couple|pairs?"
    r"|twins?|both|single|once|twice|thrice|doubled?|tripled?|triples?|score|gross|same|equal|unchanged|all|every\w*|each"
    r"|pi|unity|infinit\w*|numbers?|many|much|amount|counts?|sum|product|difference|total|plus|minus|times|squared?|root|cube"
    r"|most|least|last|previous|next|rest|remaining|left|days?|weeks?|months?|years?)\b",
    re.IGNORECASE,
)
_ZERO = re.compile(r"\b(?:none|no|nothing|nobody|empty|never|without|undefined|impossible|false)\b", re.IGNORECASE)
_TRUTH = re.compile(r"yes|no|true|false|none|inf(?:inity)?", re.IGNORECASE)
_ROMAN = re.compile(r"\b[IVXLCDM]{2,}\b|\b[VXLCDM]\b")
_ENGLISH = frozenset(
    {"the", "a", "an", "is", "are", "was", "of", "to", "in", "and", "or", "that", "this", "it", "i", "you", "we", "for"}
    | {"with", "not", "be", "have", "do", "can", "as", "on"}
)
_LETTERS = re.compile(r"[^\W\d_]+")
_LATEX = re.compile(r"\\[a-zA-Z]+|[^\x00-\x7f]")
_VARIABLE = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_NO_ANSWER = re.compile(r"[+-]?(?:nan|null)|n/?a|idk|[\s!-/:-@\[\]^`~]*", re.IGNORECASE)  # "|||" may be a tally


def is_number_row(row: Row) -> bool:
    """True when the reference is a number, and can be nothing else."""
    return set(possible_types(row)) <= NUMERIC and read_number(row.answer or "") is not None


def says_no_number(row: Row, text: str) -> bool:
    """True for English text in which nothing can be read as a number: no digit, no word for one, no mathematics."""
    number = read_number(row.answer or "")
    if number is not None and number.value == 0 and _ZERO.search(text):
        return False
    words = [word.casefold() for word in _LETTERS.findall(text)]
    if not words or _LATEX.search(text) or re.search(r"\d", text) or names_quantity(text):
        return False
    # In another language the words for numbers are others.
    return sum(word in _ENGLISH for word in words) >= max(2, len(words) // 6)


def names_quantity(text: str) -> bool:
    """Whether an English word in the text may stand for a number."""
    return _QUANTITY.search(text) is not None or _ROMAN.search(text) is not None


def may_say_number(row: Row, text: str) -> bool:
    """Whether a text behind an answer could give a number in words, in any language."""
    words = _LETTERS.findall(text)
    if names_quantity(text):
        return True
    return len(words) > 5 and not says_no_number(row, re.sub(r"\d+", " ", _LATEX.sub(" ", text)))


def may_be_right(row: Row, answer: str) -> bool:
    """Whether an answer that the certificate calls wrong could be meant rightly."""
    reference = (row.answer or "").strip()
    kinds = set(possible_types(row))
    if row.contract.type == "undeclared" and not kinds & _DECIDABLE:
        return True  # words: "automobile" for "car"
    if len(answer) > 200 or row.contract.type in ("free", "code"):
        return True
    if kinds & {"list", "set"} and _collection_may_be_right(row, answer):
        return True
    if "=" in answer or "=" in reference:
        return _equation_may_be_right(row, answer)
    number, given = read_number(reference), read_number(answer)
    if number is None and _squashed(reference) in _squashed(answer):
        return True
    if number is not None and given is not None:
        return _numbers_may_agree(row.contract, number, given, answer)
    if number is None and not any(char.isalnum() for char in answer):
        return True  # "+" is a way to say "plus"
    if _NO_ANSWER.fullmatch(answer.strip()):
        return False
    if number is not None and number.value not in (0, 1) and _TRUTH.fullmatch(answer.strip().lstrip("+-")):
        return False
    if kinds & NUMERIC:
        return _expression_may_be_right(reference, answer)
    if "choice" in kinds:
        return not _is_option(row, answer)
    # A list or grid of words and numbers: certified element by element, but not where it says more.
    return _occurs(reference, answer)


def _equation_may_be_right(row: Row, answer: str) -> bool:
    """An equation is as good as its value ("x = 12"); every side must be wrong, or a name."""
    if row.answer is not None and "=" in row.answer:
        return True
    sides = [side.strip() for side in strip_wrappers(answer).split("=")]
    values = [side for side in sides if not re.fullmatch(r"\\?[A-Za-z](?:_?\w|\([a-z]\))?", side)]
    return not values or any(
        not side or certify_answer(row, side) != "wrong" or may_be_right(row, side) for side in values
    )


def _collection_may_be_right(row: Row, answer: str) -> bool:
    """Elements may carry names ("x = 3, y = 4"), and stand apart by "and", semicolons or blanks."""
    if "=" in answer and "=" not in (row.answer or ""):
        return True
    parts = [part for part in re.split(r"(?:\band\b|[\s,;])+", answer.strip(" .[](){}$\\")) if part]
    return len(parts) > 1 and certify_answer(row, ", ".join(parts)) != "wrong"


def _numbers_may_agree(contract: Contract, number: Number, given: Number, answer: str) -> bool:
    """Whether one number may be another way to write, to round or to measure the other."""
    if number.unit != given.unit:
        return True  # 0.5 m and 50 cm; .785 and 45°
    if _punctuated(answer) == number.value:
        return True
    if given.percent != number.percent:
        # 12 % is not 12; but where a per cent sign is asked for, people leave it out.
        scaled = [n.value / (100 if n.percent else 1) for n in (number, given)]
        return scaled[0] == scaled[1] or (number.percent and given.value == number.value)
    if contract.tolerance is not None:
        return False
    if number.is_integer and not given.is_integer:
        return abs(given.value - number.value) < 1  # unrounded, where the reference is rounded
    return abs(given.value - number.value) <= Fraction(1, 10**6) * abs(number.value)


def _punctuated(answer: str) -> Fraction | None:
    """The value with points and commas the other way round, as on the European continent."""
    if not re.search(r"[.,]", answer):
        return None
    swapped = read_number(answer.translate({ord("."): ",", ord(","): "."}))
    return swapped.value if swapped is not None else None


def _expression_may_be_right(reference: str, answer: str) -> bool:
    """Words, and other variables than the reference has, may name the same thing."""
    if not re.search(r"\d", answer):
        return True
    if re.search(r"(?<![A-Za-z\\])[A-Za-z]{2,}", re.sub(r"\b(?:sin|cos|tan|exp|ln|log|sqrt|pi)\b", "", answer)):
        return True
    return set(_VARIABLE.findall(reference)) != set(_VARIABLE.findall(answer))


def _is_option(row: Row, answer: str) -> bool:
    """True for a letter that stands alone, or an option as the row spells it."""
    if row.contract.choices:
        return answer.strip(" ()[].:").casefold() in {option.casefold() for option in row.contract.choices}
    return re.fullmatch(r"[(\[]?[A-Za-z][)\].:]?", answer.strip()) is not None


def _squashed(text: str) -> str:
    """Letters and digits alone; marks around an answer were perhaps taken for emphasis."""
    return "".join(char for char in text.casefold() if char.isalnum())


def _occurs(reference: str, text: str) -> bool:
    words, said = (" ".join(re.findall(r"\w+", part.casefold())) for part in (reference, text))
    return bool(words) and f" {words} " in f" {said} "


def names_right(row: Row, text: str) -> bool:
    """Whether the right answer stands in a text: its words, or a number with its value.

    For numbers a sign and a per cent sign do not matter: what follows a wrong answer is only looked through for reasons
    not to call it wrong.
    """
    if _occurs(row.answer or "", text) or ((row.answer or "").strip() in text):
        return True
    number = read_number(row.answer or "")
    if number is None:
        return False
    # Two runs with an operator between them can have the value too.
    runs = re.findall(r"\d[\d.,]*(?:\s?[-+*/^×÷]\s?\d[\d.,]*)*", text[:20_000])
    return any(_has_value(row, run.rstrip(".,"), number) for run in runs[:500])


def _has_value(row: Row, run: str, number: Number) -> bool:
    given = read_number(run)
    if given is not None:
        return abs(given.value) == abs(number.value) or _punctuated(run) == abs(number.value)
    return certify_answer(row, run) != "wrong"
