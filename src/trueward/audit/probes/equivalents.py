"""The right answer, written another way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from trueward.audit.certificates.answers import possible_types, read_collection
from trueward.audit.derivations import Answer, single
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.numbers import Number, read_number
from trueward.tasks.text.rows import Row

_MOST_PLACES = 6


def equivalents(row: Row) -> Iterator[Answer]:
    """Other ways to write the reference; not yet certified."""
    reference = (row.answer or "").strip()
    number = read_number(reference)
    if number is not None and not number.unit and not number.percent:
        yield from _numbers(reference, number)
    elif row.contract.type == "choice":
        yield from _choices(reference)
    elif row.contract.type == "word" and not row.contract.case_sensitive:
        yield Answer("in capitals", reference.upper())
        yield Answer("in small letters", reference.lower())
    elif {"list", "set"} & set(possible_types(row)) and (elements := read_collection(reference)):
        yield from _collections(row, reference, elements)
    elif "expression" in possible_types(row):
        yield from _expressions(reference)


def _numbers(reference: str, number: Number) -> Iterator[Answer]:
    value = number.value
    if number.is_integer:
        yield Answer("with a decimal point", f"{int(value)}.0")
        if abs(value) >= 1000:
            yield Answer("with thousands separators", f"{int(value):,}")
            yield Answer("without thousands separators", str(int(value)))
    else:
        sign, top, bottom = "-" if value < 0 else "", abs(value.numerator), value.denominator
        if bottom > 1:
            yield Answer("as a plain fraction", f"{sign}{top}/{bottom}")
            yield Answer("as a LaTeX fraction", rf"{sign}\frac{{{top}}}{{{bottom}}}")
            yield Answer("as a displayed fraction", rf"{sign}\dfrac{{{top}}}{{{bottom}}}")
        decimal = _decimal(value)
        if number.decimals is None and decimal is not None:
            yield Answer("as a decimal", decimal)
        elif number.decimals:
            yield Answer("trailing zero", reference + "0")
    yield Answer("in math delimiters", f"${reference.strip('$')}$")


def _decimal(value: Fraction) -> str | None:
    """The decimal of a fraction that ends within six places; None for others."""
    for places in range(1, _MOST_PLACES + 1):
        if (value * 10**places).denominator == 1:
            return f"{float(value):.{places}f}"
    return None


def _choices(reference: str) -> Iterator[Answer]:
    yield Answer("in capitals", reference.upper())
    yield Answer("in small letters", reference.lower())
    if re.fullmatch(r"[A-Za-z]", reference):
        yield Answer("in brackets", f"({reference})")
        yield Answer("with a full stop", f"{reference}.")


def _collections(row: Row, reference: str, elements: list[str]) -> Iterator[Answer]:
    opening = reference[0] if reference[0] in "[({" else ""
    closing = reference[-1] if reference[-1] in "])}" else ""
    if "'" not in reference and '"' not in reference:
        yield Answer("without spaces", opening + ",".join(elements) + closing)
        yield Answer("with spaces", opening + ", ".join(elements) + closing)
        if row.contract.type == "set":
            yield Answer("in another order", opening + ", ".join(elements[::-1]) + closing)


def _expressions(reference: str) -> Iterator[Answer]:
    yield Answer("displayed fractions", reference.replace(r"\frac", r"\dfrac"))
    yield Answer("with spaces", re.sub(r"\s*([-+=])\s*", r" \1 ", reference).strip())
    yield Answer("without spaces", re.sub(r"(?<![A-Za-z])\s+|\s+(?![A-Za-z])", "", reference))
    if "(" in reference and r"\left" not in reference:
        yield Answer("with growing brackets", reference.replace("(", r"\left(").replace(")", r"\right)"))
    yield Answer("in math delimiters", f"${reference.strip('$')}$")


def _equivalents(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for answer in equivalents(row):
        if answer.text != (row.answer or "").strip():
            yield Draft(single(answer))


EQUIVALENT = Family(
    "equivalents",
    "refuses the right answer written another way",
    "the right answer written another way: 12.0, $12$, 1,200, 1/2 for 0.5, \\dfrac, another order of a set, capitals",
    "right",
    "It is the right answer, written another way.",
    uses_reference=True,
    needs_answer=True,
    build=_equivalents,
)
