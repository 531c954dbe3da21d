"""`certify_answer`: one committed answer against the reference of its row.

An answer is called wrong only if it is wrong under the declared contract or, where none is declared, under every type
that the reference could have. It is called right only if it is right under all of them. Everything else is unknown.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import chain
from typing import Any, Literal

from trueward.tasks.text.contract import Contract
from trueward.tasks.text.expressions import differ
from trueward.tasks.text.numbers import Number, read_number, strip_wrappers
from trueward.tasks.text.rows import Row
from trueward.tasks.text.units import may_be_one_unit
from trueward.tasks.text.visible import visible_text

Label = Literal["wrong", "right", "unknown"]
Checker = Callable[[str, Mapping[str, Any]], bool | None]

# With no declared tolerance, two decimals this close (relative) may be the same answer, rounded.
UNDECLARED_TOLERANCE = Fraction(5, 100)


def certify_answer(row: Row, candidate: str, checker: Checker | None = None) -> Label:
    """Label one committed answer.

    Args:
        row: the row, with its reference and its contract.
        candidate: the answer alone, without envelope.
        checker: independent check for questions with many right answers: True, False, or None when it cannot say.

    Returns:
        "wrong" and "right" only where nobody could disagree under the row's contract.
    """
    if row.answer is None or not row.answer.strip():
        return _by_checker(row, candidate, checker)
    if candidate.strip() == row.answer.strip():
        return "right"
    candidate = visible_text(candidate)
    if not candidate.strip():
        return "wrong"
    if not row.contract.unique or row.contract.type in ("free", "code"):
        return _by_checker(row, candidate, checker)
    labels = {_under(kind, row, candidate) for kind in possible_types(row)}
    return labels.pop() if len(labels) == 1 else "unknown"


def possible_types(row: Row) -> tuple[str, ...]:
    """Every kind of answer that the row's reference could be: the declared one, or all that its string allows."""
    if row.contract.type != "undeclared":
        return (row.contract.type,)
    text = (row.answer or "").strip()
    if row.contract.choices:
        return ("choice",)
    number = read_number(text)
    if number is not None:
        if number.unit or number.percent:
            return ("number",)
        # A tolerance on a whole number would be declared; an undeclared whole number is exact.
        kind = "int" if number.is_integer else "number"
        return (kind, "expression") if "," not in text else (kind, "list", "set")
    if "\n" in text:
        return ("grid", "free")
    if text[:1] in "[({" and text[-1:] in "])}":
        return ("list", "set", "expression", "word")
    if re.fullmatch(r"\(?[A-Za-z]\)?", text):
        return ("choice", "word")
    if "," in text:
        return ("list", "set", "word", "free")
    if re.search(r"[\d\\^=+*/]", text):
        return ("expression", "word")
    return ("word",) if len(text.split()) == 1 else ("word", "free")


def _by_checker(row: Row, candidate: str, checker: Checker | None) -> Label:
    verdict = checker(candidate, row.columns) if checker is not None else None
    return "unknown" if verdict is None else "right" if verdict else "wrong"


def _under(kind: str, row: Row, candidate: str) -> Label:
    """The label under one type."""
    assert row.answer is not None
    match kind:
        case "int" | "number":
            return _compare_numbers(kind, row, candidate)
        case "expression":
            return _compare_expressions(row.answer, candidate)
        case "choice":
            return _compare_choices(row.answer, candidate, row.contract)
        case "word":
            if row.contract.form == "verbatim":
                return _compare_verbatim(row.answer, candidate)
            return _compare_words(row.answer, candidate, row.contract.case_sensitive)
        case "list" | "set":
            return _compare_collections(kind, row.answer, candidate)
        case "grid":
            return _compare_grids(row.answer, candidate)
    return "unknown"


def _compare_numbers(kind: str, row: Row, candidate: str) -> Label:
    reference, given = read_number(row.answer or ""), read_number(candidate)
    if reference is None:
        return "unknown"
    if given is None:
        return _no_number(row.answer or "", candidate)
    if given.percent != reference.percent:
        # 12 % is 12 hundredths; where the question speaks of per cent the bare number may mean the same.
        if re.search(r"per\s?cent|%", row.prompt_text, re.IGNORECASE):
            return "unknown"
        close = _close(kind, row.contract, reference, reference.scaled, given.scaled)
        return "unknown" if close else "wrong"
    if given.unit.casefold() != reference.unit.casefold():
        # A unit where the reference has none only says more; another unit than the reference's says something else,
        # unless it is another name of the same unit.
        both = bool(given.unit and reference.unit)
        if _close(kind, row.contract, reference, reference.value, given.value):
            return "wrong" if both and not may_be_one_unit(given.unit, reference.unit) else "unknown"
        return "unknown" if both or given.unit else "wrong"
    if reference.value == given.value:
        return "right"
    if _close(kind, row.contract, reference, reference.value, given.value):
        return "right" if row.contract.tolerance is not None else "unknown"
    return "wrong"


def _close(kind: str, contract: Contract, reference: Number, expected: Fraction, given: Fraction) -> bool:
    """True when two values may count as the same number."""
    gap = abs(expected - given)
    if contract.tolerance is not None:
        # Strictly beyond the tolerance by a hair, so that no rounding of the reward's own arithmetic decides.
        return gap <= Fraction(contract.tolerance) * (1 + Fraction(1, 10**6))
    if kind == "int" or reference.is_integer:
        return gap == 0
    last_place = Fraction(1, 10**reference.decimals) if reference.decimals is not None else 0
    return gap <= max(abs(expected) * UNDECLARED_TOLERANCE, last_place)


def _no_number(reference: str, candidate: str) -> Label:
    """A candidate that is no number by itself: an expression may still have the value."""
    if re.fullmatch(r"[+-]?(nan|inf(inity)?|none|null)", candidate.strip(), re.IGNORECASE):
        return "wrong"
    different = differ(strip_wrappers(reference), strip_wrappers(candidate))
    if different is not None:
        return "wrong" if different else "unknown"
    return "unknown" if re.search(r"\d|[½-⅞²³]|\\", candidate) or _spells_number(candidate) else "wrong"


_NUMBER_WORDS = re.compile(
    r"\b(zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty"
    r"|seventy|eighty|ninety|hundred|thousand|million|half|third|quarter|dozen|no|none|nothing|pi|[ivxlcdm]+)\b",
    re.IGNORECASE,
)


def _spells_number(text: str) -> bool:
    return bool(_NUMBER_WORDS.search(text))


def _compare_expressions(reference: str, candidate: str) -> Label:
    if re.fullmatch(r"[+-]?(nan|inf(inity)?|none|null)", candidate.strip(), re.IGNORECASE):
        return "wrong"
    if re.fullmatch(r"[A-Za-z]{3,}", candidate.strip()) and not re.fullmatch(r"\s*[A-Za-z]+\s*", reference):
        return "unknown" if _spells_number(candidate) else "wrong"
    a, b = read_number(reference), read_number(candidate)
    if a is not None and b is not None:
        if a.percent == b.percent and a.unit == b.unit:
            return "right" if a.value == b.value else "wrong"
        if a.percent != b.percent and a.scaled == b.scaled:
            return "unknown"
        return "unknown" if a.value == b.value and a.percent == b.percent else "wrong"
    different = differ(strip_wrappers(reference), strip_wrappers(candidate))
    return "unknown" if different is None else "wrong" if different else "right"


def _compare_choices(reference: str, candidate: str, contract: Contract) -> Label:
    expected, given = _choice(reference), _choice(candidate)
    if expected == given:
        return "right"
    options = {_choice(option) for option in contract.choices}
    if given in options and expected in options:
        return "wrong"
    if len(expected) == 1 and len(given) == 1:
        return "wrong"
    # Neither a letter nor an option of the question: what it stands for is open, unless it is no word at all.
    return "wrong" if options and not _letters(candidate) else "unknown"


def _choice(text: str) -> str:
    match = re.fullmatch(r"[(\[]?\s*([A-Za-z])\s*[)\].:]?", text.strip())
    return match.group(1).casefold() if match else _letters(text)


def _compare_words(reference: str, candidate: str, case_sensitive: bool) -> Label:
    if case_sensitive:
        if reference.strip() == candidate.strip():
            return "right"
        return "wrong" if _letters(reference) != _letters(candidate) else "unknown"
    if _letters(reference) == _letters(candidate):
        return "right"
    # "Paris, France" for "Paris" says more and may be right; the reference must not occur in the candidate.
    inside = f" {' '.join(_words(reference))} " in f" {' '.join(_words(candidate))} "
    return "unknown" if inside else "wrong"


def _compare_verbatim(reference: str, candidate: str) -> Label:
    """The string itself is asked for: wrong once anything but case and white space differs."""
    if reference.strip() == candidate.strip():
        return "right"
    folded = ["".join(text.split()).casefold() for text in (reference, candidate)]
    return "wrong" if folded[0] != folded[1] and folded[0] not in folded[1] else "unknown"


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())


def _letters(text: str) -> str:
    """`text` as a person compares it: compatibility forms folded, case, white space and punctuation ignored."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(char for char in folded if char.isalnum() or char in "+-*/^=<>%")
    return kept or folded.strip()


def read_collection(text: str) -> list[str] | None:
    """The elements of a flat list as people write it: JSON, Python, or separated by commas; None when nested."""
    text = strip_wrappers(text)
    if len(text) > 20_000:
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, list) and any(isinstance(item, list | dict) for item in parsed):
        return None
    if isinstance(parsed, list) and not (len(parsed) == 1 and isinstance(parsed[0], str)):
        return [str(item) for item in parsed]
    inner = text[1:-1] if text[:1] + text[-1:] in ("[]", "()", "{}") else text
    if any(bracket in inner for bracket in "[](){}"):
        return None
    return [part.strip().strip("'\"") for part in inner.split(",")] if inner.strip() else []


def _compare_collections(kind: str, reference: str, candidate: str) -> Label:
    expected, given = read_collection(reference), read_collection(candidate)
    if expected is None or given is None:
        if _letters(reference) == _letters(candidate):
            return "right"
        return "wrong" if not any(char.isalnum() for char in candidate) else "unknown"
    left, right = [_element(item) for item in expected], [_element(item) for item in given]
    if left == right or (kind == "set" and set(left) == set(right)):
        return "right" if kind == "list" or len(left) == len(right) else "unknown"
    if sorted(left) == sorted(right):
        return "wrong" if kind == "list" and len(set(left)) > 1 else "unknown"
    if len(set(left)) != len(set(right)):
        return "wrong"
    # The same number of different elements: wrong once one of them is nowhere in the reference.
    extra = [item for item in given if _element(item) not in left]
    return "wrong" if any(all(_elements_differ(item, other) for other in expected) for item in extra) else "unknown"


def _element(text: str) -> str:
    number = read_number(text)
    return str(number.value) if number is not None and not number.unit else _letters(text)


def _elements_differ(first: str, second: str) -> bool:
    a, b = read_number(first), read_number(second)
    if a is not None and b is not None:
        exact = a.is_integer and b.is_integer
        return abs(a.value - b.value) > (0 if exact else abs(a.value) * UNDECLARED_TOLERANCE)
    different = differ(strip_wrappers(first), strip_wrappers(second))
    if different is not None:
        return different
    # Two words differ by their letters; what may have a value is not known to differ until both have been read.
    computed = all(re.search(r"[\d\\]", text) for text in (first, second))
    return not computed and _letters(first) != _letters(second)


def _compare_grids(reference: str, candidate: str) -> Label:
    expected, given = _cells(reference), _cells(candidate)
    if expected == given:
        return "right"
    # As a person compares cells: +8 and 8 are one, and so are 7 and 7 with a full stop.
    same = [_element(cell) for cell in chain(*expected)] == [_element(cell) for cell in chain(*given)]
    return "unknown" if same else "wrong"


def _cells(text: str) -> list[list[str]]:
    text = re.sub(r"\]\s*,?\s*\[", "\n", text.strip())
    lines = [re.sub(r"[\[\],|;'\"]", " ", line).split() for line in text.splitlines()]
    return [line for line in lines if line]
