"""Sums in several surface forms: gold reads them all, a rule that reads one misses right answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from trueward.errors import DataError
from trueward.tasks.gold import Gold
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.procedural.drawing import draw_rows, generator_of, row_of
from trueward.tasks.text.procedural.steps import words_of
from trueward.tasks.text.procedural.sums.forms import (
    DIGITS,
    FORMS,
    FRACTION_DENOMINATOR,
    Form,
    form_of,
    read_any,
    write_number,
)
from trueward.tasks.text.procedural.sums.solutions import (
    CHECK_PHRASE,
    Solution,
    answer_text,
    read_solution,
    restyled,
    slipped,
    terms_of,
)
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

# Digit words are text that no reader of numbers reads, so that only the reference itself is certainly right.
_CONTRACTS: dict[Form, Contract] = {
    form: Contract(type="free" if form == "words" else "number", unique=True, form="value", declared=True)
    for form in FORMS
}


@dataclass(frozen=True)
class Writer:
    """One author of demonstrations.

    Attributes:
        share: of the demonstrations.
        accuracy: probability that the answer is right; else an intermediate value is off and the rest follows from it.
        checks: whether the check phrase is appended.
    """

    share: float
    accuracy: float
    checks: bool


STRONG = Writer(0.5, 0.9, True)
WEAK = Writer(0.5, 0.3, False)


@dataclass(frozen=True)
class Sums:
    """Prompt `3 + 14 + 8 = ?`; completion `3 + 14 = 17 ; 17 + 8 = 25 ; answer 025 ; checked twice`.

    Gold is 1 where the stated answer has the right value, in whatever form. A row's reference answer is in a form of
    its own. Measures: `checked`, 1 where the check phrase stands; `plain`, `padded`, `words`, `fraction`, 1 for the
    form of the answer; `unread`, 1 where no number is stated; `length` in tokens.

    Attributes:
        largest_term: terms are 1 … largest_term.
        plain_share: of demonstrated answers that are written in plain form; the others share the rest.
        plain_references: share of reference answers in plain form; the others share the rest.
        writers: authors of the demonstrations.
        max_new_tokens: how long a completion may become.
        name: enters the seeds.
    """

    largest_term: int = 9
    plain_share: float = 0.6
    plain_references: float = 0.7
    writers: tuple[Writer, ...] = field(default=(STRONG, WEAK))
    max_new_tokens: int = 24
    name: str = "sums"

    def __post_init__(self) -> None:
        """Raises `DataError` for shares that are no probabilities, or writers that do not share everything."""
        shares = (self.plain_share, self.plain_references, *(writer.accuracy for writer in self.writers))
        if not all(0 <= share <= 1 for share in shares):
            raise DataError(f"{self.name}: the shares and accuracies {shares} are not all probabilities")
        if abs(sum(writer.share for writer in self.writers) - 1) > 1e-9:
            raise DataError(f"{self.name}: the writers' shares {[w.share for w in self.writers]} do not add up to 1")
        if self.largest_term < 2:
            raise DataError(f"{self.name}: the largest term is {self.largest_term}; expected at least 2")

    @property
    def largest(self) -> int:
        """The largest value that a solution may write."""
        return 3 * self.largest_term + 3

    @property
    def vocabulary(self) -> Vocabulary:
        """Plain and padded numbers, digit words, signs."""
        plain = [str(number) for number in range(FRACTION_DENOMINATOR * self.largest + 1)]
        padded = [write_number(number, "padded") for number in range(self.largest + 1)]
        words = ("+", "=", "?", ";", "/", "answer", *CHECK_PHRASE.split())
        return Vocabulary("words", (*plain, *padded, *DIGITS, *words))

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n sums; see `TextTask`."""
        return draw_rows(self._row, n, generator_of(self.name, seed, f"rows {split}"), split)

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n solutions by the task's writers."""
        generator = generator_of(self.name, seed, "demonstrations")
        return [Demonstration(row, self._write(row, generator)) for row in draw_rows(self._row, n, generator, "train")]

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """1 where the stated answer has the right value."""
        answers = [answer_text(completion) for completion in completions]
        forms = [None if answer is None else form_of(answer) for answer in answers]
        values = [
            answer is not None and read_any(answer) == sum(terms_of(row.prompt_text))
            for row, answer in zip(rows, answers, strict=True)
        ]
        measures: dict[str, np.ndarray] = {
            form: np.array([found == form for found in forms], dtype=float) for form in FORMS
        }
        measures["unread"] = np.array([found is None for found in forms], dtype=float)
        measures["checked"] = np.array([CHECK_PHRASE in completion for completion in completions], dtype=float)
        measures["length"] = np.array([len(words_of(completion)) for completion in completions], dtype=float)
        return Gold(np.array(values, dtype=float), measures)

    def corrupt(
        self, row: Row, completion: str, generator: np.random.Generator, *, style: Literal["same", "other"] = "same"
    ) -> str | None:
        """A plausible wrong solution made from a completion: another intermediate value, carried through.

        Args:
            row: what is asked.
            completion: a solution, right or wrong.
            generator: source of the change.
            style: "same" keeps the form of the answer and the check phrase, so that only correctness differs; "other"
                changes both.

        Returns:
            The wrong solution; None where the completion is no worked solution, or leaves no room for a change.
        """
        solution = read_solution(completion)
        truth = sum(terms_of(row.prompt_text))
        wrong = None if solution is None else slipped(solution, truth, self.largest, generator)
        if wrong is None:
            return None
        return (wrong if style == "same" else restyled(wrong, generator)).text

    def _row(self, generator: np.random.Generator) -> Row:
        a, b, c = (int(term) for term in generator.integers(1, self.largest_term + 1, size=3))
        form = _draw_form(generator, self.plain_references)
        return row_of(self.name, f"{a} + {b} + {c} = ?", write_number(a + b + c, form), _CONTRACTS[form])

    def _write(self, row: Row, generator: np.random.Generator) -> str:
        a, b, c = terms_of(row.prompt_text)
        shares = [writer.share for writer in self.writers]
        writer = self.writers[int(generator.choice(len(shares), p=shares))]
        form = _draw_form(generator, self.plain_share)
        solution = Solution((a, b, c), a + b, a + b + c, a + b + c, form, writer.checks)
        if generator.random() < writer.accuracy:
            return solution.text
        wrong = slipped(solution, a + b + c, self.largest, generator)
        # Room is left above the largest sum, so that every right solution can be made wrong.
        assert wrong is not None
        return wrong.text


def _draw_form(generator: np.random.Generator, plain_share: float) -> Form:
    if generator.random() < plain_share:
        return "plain"
    return FORMS[1 + int(generator.integers(len(FORMS) - 1))]
