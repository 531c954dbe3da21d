"""The right answer, written another way."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from trueward.audit.derivations import Answer, single
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.numbers import read_number
from trueward.tasks.text.rows import Row


def equivalents(row: Row) -> Iterator[Answer]:
    """Other ways to write the reference; not yet certified."""
    reference = (row.answer or "").strip()
    number = read_number(reference)
    if number is not None and not number.unit and not number.percent:
        value = number.value
        if number.is_integer:
            yield Answer("with a decimal point", f"{int(value)}.0")
            if abs(value) >= 1000:
                yield Answer("with thousands separators", f"{int(value):,}")
                yield Answer("without thousands separators", str(int(value)))
        elif number.decimals is None and "/" not in reference:
            yield Answer("as a plain fraction", f"{value.numerator}/{value.denominator}")
        elif number.decimals and value == Fraction(reference.replace(",", "")):
            yield Answer("trailing zero", reference + "0")
        yield Answer("in math delimiters", f"${reference.strip('$')}$")
    elif row.contract.type in ("word", "choice") and not row.contract.case_sensitive:
        yield Answer("in capitals", reference.upper())
        yield Answer("in small letters", reference.lower())


def _equivalents(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for answer in equivalents(row):
        if answer.text != (row.answer or "").strip():
            yield Draft(single(answer))


EQUIVALENT = Family(
    "equivalents",
    "refuses the right answer written another way",
    "the right answer written another way: 12.0, $12$, 1,200, capitals",
    "right",
    "It is the right answer, written another way.",
    uses_reference=True,
    needs_answer=True,
    build=_equivalents,
)
