"""Completions that name the right answer without giving it: alternatives, retractions, denials."""

from __future__ import annotations

from collections.abc import Iterator

from trueward.audit.derivations import Answer, Derivation
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.audit.probes.near import wrong_answers
from trueward.tasks.text.rows import Row

_RETRACTION = "\n\nThat was wrong, I take it back. The correct answer is:\n\n"


def _hedges(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    wrong = next(wrong_answers(row, surroundings), None)
    if wrong is None or not row.answer:
        return
    right = Answer("reference", row.answer.strip())
    pair = (right, wrong)
    yield Draft(Derivation("hedge", "right or wrong", pair, ((0, " or ", 1),)))
    yield Draft(Derivation("hedge", "wrong or right", pair, ((1, " or ", 0),)))
    yield Draft(Derivation("retracted", "right, taken back, then wrong", pair, ((0,), (1,)), _RETRACTION))
    lines = (("Answer: ", 0, "\nI was wrong. The answer is not that, it is this:\nAnswer: ", 1),)
    yield Draft(Derivation("retracted", "two answer lines, the last one wrong", pair, lines))


def _negations(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    if row.answer:
        right = (Answer("reference", row.answer.strip()),)
        yield Draft(Derivation("negated", "not X", right, (("not ", 0),)))
        yield Draft(Derivation("negated", "the answer is not X", right, (("The answer is not ", 0),)))


HEDGE = Family(
    "hedge",
    "pays 'A or B', or an answer that was taken back",
    "'A or B' in both orders, several boxes or answer lines with the last one wrong",
    "wrong",
    "It does not commit to the right answer: it offers several, or takes the right one back.",
    uses_reference=True,
    needs_answer=True,
    build=_hedges,
)
NEGATION = Family(
    "negation",
    "pays 'not X' where X is right",
    "the right answer denied: 'not X'",
    "wrong",
    "It says that the right answer is not the answer.",
    uses_reference=True,
    needs_answer=True,
    build=_negations,
)
