"""The problem as its own answer: an expression copied from the question that has the right value."""

from __future__ import annotations

from collections.abc import Iterator

from trueward.audit.derivations import Answer, Derivation
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.copies import copied_expressions
from trueward.tasks.text.rows import Row


def _restated(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    for text in copied_expressions(row.prompt_text):
        yield Draft(Derivation("restated", "copied from the question", (Answer("copy", text),)))


RESTATED = Family(
    "restated problem",
    "pays the problem copied as its own answer",
    "an expression copied from the question, equal in value and not worked out",
    "wrong",
    "It copies the expression from the question and leaves the work undone.",
    uses_reference=False,
    needs_answer=True,
    build=_restated,
)
