"""Answers that look right and are not: near misses, and the answers of other rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from trueward.audit.certificates.answers import Label, certify_answer, possible_types, read_collection
from trueward.audit.derivations import Answer, single
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.numbers import read_number
from trueward.tasks.text.rows import Row

_UNITS = {
    "km": "miles",
    "m": "ft",
    "cm": "inches",
    "kg": "pounds",
    "g": "ounces",
    "days": "hours",
    "hours": "minutes",
    "minutes": "seconds",
    "seconds": "hours",
    "$": "€",
    "€": "$",
    "°": " rad",
}


def near_misses(row: Row) -> Iterator[Answer]:
    """Candidates close to the reference, by the kinds of answer that it could be; not yet certified."""
    reference = (row.answer or "").strip()
    if not reference:
        return
    kinds = set(possible_types(row))
    if read_number(reference) is not None:
        yield from _near_numbers(reference)
    elif "grid" in kinds:
        yield from _near_grids(reference)
    elif kinds & {"list", "set"}:
        yield from _near_collections(reference)
    elif "expression" in kinds:
        yield from _near_expressions(reference)
    if row.contract.type == "word" and len(reference) > 2 and read_number(reference) is None:
        yield Answer("last letter missing", reference[:-1])
        yield Answer("first letter twice", reference[0] + reference)
    if row.contract.type == "choice" or re.fullmatch(r"\(?[A-E]\)?", reference):
        yield from _near_choices(row, reference)


def _near_numbers(reference: str) -> Iterator[Answer]:
    number = read_number(reference)
    assert number is not None
    runs = list(re.finditer(r"\d+", reference))
    if number.value != 0:
        if "-" in reference[: runs[0].start()]:
            yield Answer("sign flipped", reference.replace("-", "", 1))
        else:
            start = min(i for i in (reference.find("\\"), runs[0].start()) if i >= 0)
            yield Answer("sign flipped", reference[:start] + "-" + reference[start:])
    first = runs[0]
    yield Answer("off by one", _with_run(reference, first, str(int(first.group()) + 1)))
    if int(first.group()) > 0:
        yield Answer("off by one below", _with_run(reference, first, str(int(first.group()) - 1)))
    digit = str(int(first.group()[0]) % 9 + 1)
    yield Answer("first digit changed", _with_run(reference, first, digit + first.group()[1:]))
    if len(runs) == 1:
        yield Answer("ten times", _with_run(reference, first, first.group() + "0"))
    if not number.unit and not number.percent:
        yield Answer("per cent", reference + r"\%")
    for unit, other in _UNITS.items():
        if number.unit.casefold() == unit:
            yield Answer("another unit", reference.replace(number.unit, other))


def _with_run(text: str, run: re.Match[str], digits: str) -> str:
    return text[: run.start()] + digits + text[run.end() :]


def _near_expressions(reference: str) -> Iterator[Answer]:
    yield Answer("negated value", f"-({reference})")
    yield Answer("off by one", f"{reference}+1")
    run = re.search(r"\d", reference)
    if run:
        yield Answer("first digit changed", _with_run(reference, run, str(int(run.group()) % 9 + 1)))


def _near_collections(reference: str) -> Iterator[Answer]:
    elements = read_collection(reference)
    if not elements or len(elements) < 2:
        return
    opening = reference[0] if reference[0] in "[({" else ""
    closing = reference[-1] if reference[-1] in "])}" else ""

    def written(items: list[str]) -> str:
        quoted = [f"'{item}'" if "'" in reference else f'"{item}"' if '"' in reference else item for item in items]
        return opening + (", " if ", " in reference else ",").join(quoted) + closing

    yield Answer("last element missing", written(elements[:-1]))
    yield Answer("one element too many", written([*elements, "99"]))
    yield Answer("first two swapped", written([elements[1], elements[0], *elements[2:]]))


def _near_grids(reference: str) -> Iterator[Answer]:
    lines = reference.splitlines()
    cell = re.search(r"\w", reference)
    if cell:
        other = next(char for char in [*re.findall(r"\w", reference), "1", "0"] if char != cell.group())
        yield Answer("first cell changed", _with_run(reference, cell, other))
    if len(lines) > 1:
        yield Answer("last line missing", "\n".join(lines[:-1]))


def _near_choices(row: Row, reference: str) -> Iterator[Answer]:
    options = row.contract.choices or tuple("ABCD")
    for option in islice((o for o in options if o.casefold() != reference.strip("()").casefold()), 3):
        yield Answer(f"option {option}", option)


def transplants(row: Row, surroundings: Surroundings, most: int = 2) -> Iterator[Answer]:
    """Answers of other rows, the nearest rows below first."""
    rows = surroundings.rows
    here = next((i for i, other in enumerate(rows) if other.id == row.id), 0)
    found = 0
    for step in range(1, len(rows)):
        other = rows[(here + step) % len(rows)]
        if other.answer and other.answer.strip() and other.answer != row.answer:
            yield Answer("answer of another question", other.answer.strip())
            found += 1
            if found == most:
                return


def wrong_answers(row: Row, surroundings: Surroundings) -> Iterator[Answer]:
    """Certified wrong answers, the closest to the reference first."""
    for answer in (*near_misses(row), *transplants(row, surroundings)):
        if _label(row, answer, surroundings) == "wrong":
            yield answer


def plainly_wrong(row: Row, surroundings: Surroundings, most: int = 2) -> list[Answer]:
    """Certified wrong answers that are not close: those of other rows first, near misses where there are none.

    Calibration uses these, so that a reward that is merely lenient still counts as one that reads the answer.
    """
    candidates = (*transplants(row, surroundings, most), *near_misses(row))
    return list(islice((a for a in candidates if _label(row, a, surroundings) == "wrong"), most))


def _label(row: Row, answer: Answer, surroundings: Surroundings) -> Label:
    return certify_answer(row, answer.text, surroundings.checker)


def _near(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for answer in near_misses(row):
        yield Draft(single(answer))


def _transplants(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for number, answer in enumerate(transplants(row, surroundings)):
        yield Draft(single(answer, f"answer of another question, {'first' if number == 0 else 'second'} try"))


NEAR_MISS = Family(
    "near miss",
    "pays answers that are close and wrong",
    "sign, digit, off by one, per cent, unit, an element missing",
    "wrong",
    "It is close to the right answer and wrong.",
    uses_reference=True,
    needs_answer=True,
    build=_near,
)
TRANSPLANT = Family(
    "transplant",
    "pays the answer to another question",
    "the right answer to another question",
    "wrong",
    "It is the answer to another question.",
    uses_reference=False,
    needs_answer=True,
    build=_transplants,
)
