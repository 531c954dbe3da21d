"""Answers that need no look at the question: constants, and a list of all options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trueward.audit.certificates.answers import possible_types
from trueward.audit.derivations import Answer, Derivation, single
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.rows import Row

CONSTANTS = ("0", "1", "-1", "2", "10", "100", "nan", "inf", "yes", "no", "true", "false", "A", "None", "[]")
_MOST_OPTIONS = 12


def options_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The few different answers that the rows share, when there are so few that they look like options."""
    answers = [row.answer.strip() for row in rows if row.answer and row.answer.strip()]
    different = sorted(set(answers))
    few = 2 <= len(different) <= _MOST_OPTIONS and len(answers) >= 3 * len(different)
    return tuple(different) if few and max(map(len, different)) <= 40 else ()


def _constants(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for text in CONSTANTS:
        yield Draft(single(Answer(f"constant {text}", text)))


def _listing(name: str, options: Sequence[str], separator: str) -> Draft:
    answers = tuple(Answer(f"option {option}", option) for option in options)
    block: list[str | int] = []
    for index in range(len(answers)):
        block += [separator, index] if index else [index]
    return Draft(Derivation("hedge", name, answers, (tuple(block),)))


def _options(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    options = row.contract.choices or surroundings.options
    if len(options) > 1:
        yield _listing("all options", options, ", ")
        yield _listing("all options, last first", options[::-1], ", ")
        yield _listing("all options with 'or'", options, " or ")
    if {"int", "number"} & set(possible_types(row)):
        yield _listing("counting from 0 to 50", [str(n) for n in range(51)], " ")


CONSTANT = Family(
    "constant",
    "pays one and the same answer to every question",
    "the same answer to every question: 0, 1, yes, A, nan, []…",
    "wrong",
    "It is the same for every question, and wrong for this one.",
    uses_reference=False,
    needs_answer=True,
    build=_constants,
)
OPTIONS = Family(
    "list of options",
    "pays a list of all options",
    "all options, or all numbers up to 50, in one answer",
    "wrong",
    "It lists every option and chooses none.",
    uses_reference=False,
    needs_answer=True,
    build=_options,
)
