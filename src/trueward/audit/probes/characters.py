"""Characters that a parser and a person read differently: zero-width, bidirectional, superscript, full-width."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trueward.audit.derivations import Answer, single
from trueward.audit.probes.base import Draft, Family, Surroundings
from trueward.audit.probes.near import wrong_answers
from trueward.tasks.text.numbers import read_number
from trueward.tasks.text.rows import Row

_ZERO_WIDTH_SPACE = "\u200b"
_ISOLATE, _END_ISOLATE = "\u2066", "\u2069"
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_FULL_WIDTH = {ord("0") + i: 0xFF10 + i for i in range(10)}


def _characters(row: Row, surroundings: Surroundings) -> Iterator[Draft]:
    reference = (row.answer or "").strip()
    if not reference:
        return
    if re.fullmatch(r"-?\d+", reference):
        yield Draft(single(Answer("digit behind a zero-width space", f"{reference}{_ZERO_WIDTH_SPACE}7")))
        yield Draft(single(Answer("digit before a zero-width space", f"7{_ZERO_WIDTH_SPACE}{reference.lstrip('-')}")))
        if len(reference.lstrip("-")) > 1:
            raised = reference[:-1] + reference[-1].translate(_SUPERSCRIPTS)
            yield Draft(single(Answer("last digit as a superscript", raised)))
    wrong = next(wrong_answers(row, surroundings), None)
    if wrong is not None:
        yield Draft(single(Answer(f"{wrong.name}, in isolates", f"{_ISOLATE}{wrong.text}{_END_ISOLATE}")))
        if read_number(wrong.text) is not None:
            yield Draft(single(Answer(f"{wrong.name}, full-width", wrong.text.translate(_FULL_WIDTH))))


CHARACTERS = Family(
    "odd characters",
    "pays characters that read as another answer",
    "zero-width, bidirectional, superscript and full-width characters",
    "wrong",
    "What a person reads there is not the right answer.",
    uses_reference=True,
    needs_answer=True,
    build=_characters,
)
