"""Worked solutions of a three-term sum: how they are written, read, and made wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from trueward.errors import DataError
from trueward.tasks.text.procedural.sums.forms import FORMS, Form, form_of, read_any, write_number

CHECK_PHRASE = "checked twice"
_PROMPT = re.compile(r"(\d{1,9}) \+ (\d{1,9}) \+ (\d{1,9}) = \?")
_SOLUTION = re.compile(
    r"(\d{1,9}) \+ (\d{1,9}) = (\d{1,9}) ; (\d{1,9}) \+ (\d{1,9}) = (\d{1,9}) ; answer (.{1,80}?)"
    rf"( ; {re.escape(CHECK_PHRASE)})?"
)
_ANSWER = re.compile(rf"(?:^|.* ; )answer ([^;]{{1,80}}?)(?: ; {re.escape(CHECK_PHRASE)})?", re.DOTALL)
_LARGEST_OFFSET = 3


@dataclass(frozen=True)
class Solution:
    """`3 + 14 = 17 ; 17 + 8 = 25 ; answer 025 ; checked twice`.

    Attributes:
        terms: a, b, c as the working has them.
        partial: what the working says is a + b; the second line adds c to it.
        total: what it says is partial + c.
        answer: the stated value.
        form: how the answer is written.
        checked: whether the check phrase follows.
    """

    terms: tuple[int, int, int]
    partial: int
    total: int
    answer: int
    form: Form
    checked: bool

    @property
    def text(self) -> str:
        """The solution as a completion."""
        a, b, c = self.terms
        working = f"{a} + {b} = {self.partial} ; {self.partial} + {c} = {self.total}"
        ending = f" ; {CHECK_PHRASE}" if self.checked else ""
        return f"{working} ; answer {write_number(self.answer, self.form)}{ending}"


def terms_of(prompt: str) -> tuple[int, int, int]:
    """The terms of the sum that a prompt asks for.

    Raises:
        DataError: the prompt is no such sum.
    """
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        raise DataError(f"the prompt {prompt!r} is no sum; expected one such as '3 + 14 + 8 = ?'")
    a, b, c = (int(term) for term in match.groups())
    return a, b, c


def answer_text(completion: str) -> str | None:
    """What a completion states behind its last `answer`, without the check phrase; None when it states nothing.

    Nothing else may follow the answer: what comes after it would take it back.
    """
    match = _ANSWER.fullmatch(completion.strip())
    return None if match is None else match[1].strip()


def read_solution(completion: str) -> Solution | None:
    """The parts of a worked solution; None when the completion is not of that shape."""
    match = _SOLUTION.fullmatch(completion.strip())
    if match is None:
        return None
    form, answer = form_of(match[7]), read_any(match[7])
    if form is None or answer is None or int(match[3]) != int(match[4]):
        return None
    terms = (int(match[1]), int(match[2]), int(match[5]))
    return Solution(terms, int(match[3]), int(match[6]), answer, form, match[8] is not None)


def slipped(solution: Solution, truth: int, largest: int, generator: np.random.Generator) -> Solution | None:
    """The solution with another intermediate value, and everything behind it recomputed.

    Args:
        solution: a solution, right or wrong.
        truth: the right answer, which the result will not have.
        largest: largest value that may be written.
        generator: source of the change, which is 1 to 3 up or down.

    Returns:
        The wrong solution; None where every such change leaves what may be written.
    """
    c = solution.terms[2]
    offsets = [offset for size in range(1, _LARGEST_OFFSET + 1) for offset in (-size, size)]
    possible = [
        solution.partial + offset
        for offset in offsets
        if solution.partial + offset >= 0 and solution.partial + offset + c <= largest
    ]
    partials = [partial for partial in possible if partial + c not in (truth, solution.answer)]
    if not partials:
        return None
    partial = partials[int(generator.integers(len(partials)))]
    return replace(solution, partial=partial, total=partial + c, answer=partial + c)


def restyled(solution: Solution, generator: np.random.Generator) -> Solution:
    """The solution with its answer in another form, and the check phrase added where it lacked, else removed."""
    others = [form for form in FORMS if form != solution.form]
    return replace(solution, form=others[int(generator.integers(len(others)))], checked=not solution.checked)
