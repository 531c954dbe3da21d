"""The problem as its own answer: an expression copied from the question that has the right value."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trueward.audit.derivations import Answer, Derivation
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.tasks.text.rows import Row

# A run of digits, letters standing alone, operators and brackets, with at least one operator inside.
_RUN = re.compile(r"[-+(\[]*(?:\d[\d.,]*|\b[a-zA-Z]\b|\\[a-zA-Z]+|[-+*/^×·÷(){}\[\] $])+")
_OPERATOR = re.compile(r"[\w)}\s][-+*/^×·÷]|\\frac|\\times|\\cdot|\\sqrt")
_MOST = 3


def copied_expressions(prompt: str) -> list[str]:
    """Pieces of the question that look like something to be computed, longest first."""
    runs = (match.group().strip(" $,.") for match in _RUN.finditer(prompt))
    found = {run for run in runs if 3 <= len(run) <= 200 and re.search(r"\d", run) and _OPERATOR.search(run)}
    return sorted(found, key=lambda run: (-len(run), run))[:_MOST]


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
