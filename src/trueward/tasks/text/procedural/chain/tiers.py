r"""Chains of three difficulties with a scratchpad that nobody has to use.

All chains are equally long; a tier says how many of their operations change anything, the others are `+ 0`, `- 0` or
`* 1`. Every line of the scratchpad may be left out: the next one then starts from a value that was never written, or
the answer comes at once. On the first tier that costs little, on the last each line left out has to be done in the
head. Demonstrations also check lines that need no check, so that there is length to save without leaving any out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from trueward.errors import DataError
from trueward.tasks.gold import Gold
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.procedural.chain.lines import stated_answer
from trueward.tasks.text.procedural.chain.problems import SIGNS, Operation, Problem, Sign, draw_operation
from trueward.tasks.text.procedural.drawing import draw_rows, generator_of, row_of
from trueward.tasks.text.procedural.steps import LINE_BREAK, lines_of, words_of
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

CHECK = "check"
LABELS = ("a", "b", "c", "d", "e", "f", "g", "h")
IDLE = (Operation("+", 0), Operation("-", 0), Operation("*", 1))
_CONTRACT = Contract(type="int", unique=True, form="value", declared=True)
_PROMPT = re.compile(r"[0-9]{1,9}(?: ; [a-h] [+*-] [0-9]{1,9})+ \?")
_WORDS = (";", "?", "=", "ans", CHECK, LINE_BREAK, *LABELS, *SIGNS)


@dataclass(frozen=True)
class Scratchpad:
    """How demonstrations use the scratchpad.

    Attributes:
        skip: probability that a line is left out.
        recheck: probability that a written line is followed by itself, marked `check`, which says nothing new.
        slip: probability that the result of a step is off by one; what follows builds on it.
    """

    skip: float = 0.2
    recheck: float = 0.85
    slip: float = 0.02

    def __post_init__(self) -> None:
        """Raises `DataError` for rates that are no probabilities."""
        if not all(0 <= rate <= 1 for rate in (self.skip, self.recheck, self.slip)):
            raise DataError(f"{self}: skip, recheck and slip must be probabilities")

    def write(self, problem: Problem, generator: np.random.Generator) -> str:
        """A solution, ending in `ans = N`."""
        lines: list[str] = []
        value = problem.start
        for label, operation in zip(LABELS, problem.operations, strict=False):
            result = operation(value, problem.modulus)
            if generator.random() < self.slip:
                result = (result + (1 if generator.random() < 0.5 else -1)) % problem.modulus
            if generator.random() >= self.skip:
                lines.append(f"{label} {result}")
                if generator.random() < self.recheck:
                    lines.append(f"{CHECK} {lines[-1]}")
            value = result
        return " \n ".join([*lines, f"ans = {value}"])


@dataclass(frozen=True)
class TieredChains:
    r"""Prompt `7 ; a + 5 ; b * 2 ?`; completion `a 2 \n check a 2 \n b 4 \n ans = 4`.

    Gold is 1 where the completion ends with the right answer, however it was reached. All tiers are equally likely.
    Measures: `length` in tokens; `right_length`, the same where the answer is right, else 0; `lines` written before
    the answer; `checks` among them; `truncated`, 1 where no answer ends the completion; and for each tier t `tier_t`,
    1 where the row belongs to it, `tier_t_right` and `tier_t_length`, what the row adds to it. Divide means: accuracy
    on tier t is mean(tier_t_right) / mean(tier_t).

    Attributes:
        modulus: values are 0 … modulus − 1, one token each.
        operations: of every chain.
        tiers: how many of them change anything, in ascending order.
        scratchpad: how demonstrations are written.
        max_new_tokens: how long a completion may become.
        name: enters the seeds.
    """

    modulus: int = 5
    operations: int = 5
    tiers: tuple[int, ...] = (1, 3, 5)
    scratchpad: Scratchpad = field(default_factory=Scratchpad)
    max_new_tokens: int = 40
    name: str = "tiered_chains"

    def __post_init__(self) -> None:
        """Raises `DataError` for a modulus or tiers that make no problems."""
        if self.modulus < 4:
            raise DataError(f"{self.name}: the modulus is {self.modulus}; expected at least 4")
        if not 1 <= self.operations <= len(LABELS):
            raise DataError(f"{self.name}: chains have {self.operations} operations; expected 1 to {len(LABELS)}")
        if not self.tiers or sorted(set(self.tiers) & set(range(1, self.operations + 1))) != list(self.tiers):
            raise DataError(
                f"{self.name}: tiers are {self.tiers}; expected ascending numbers from 1 to "
                f"operations={self.operations}"
            )

    @property
    def vocabulary(self) -> Vocabulary:
        """Numbers, signs and words."""
        return Vocabulary("words", (*(str(number) for number in range(self.modulus)), *_WORDS))

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n chains; see `TextTask`."""
        return draw_rows(self._row, n, generator_of(self.name, seed, f"rows {split}"), split)

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n solutions by a writer with the task's scratchpad."""
        generator = generator_of(self.name, seed, "demonstrations")
        return [
            Demonstration(row, self.scratchpad.write(_read(row.prompt_text, self.modulus), generator))
            for row in draw_rows(self._row, n, generator, "train")
        ]

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """1 where the final answer is right; see the class for the measures."""
        problems = [_read(row.prompt_text, self.modulus) for row in rows]
        answers = [stated_answer(completion, self.modulus) for completion in completions]
        right = np.array([a == p.answer for a, p in zip(answers, problems, strict=True)], dtype=float)
        length = np.array([len(words_of(completion)) for completion in completions], dtype=float)
        written = [[line for line in lines_of(text) if line and "=" not in line] for text in completions]
        measures = {
            "length": length,
            "right_length": right * length,
            "lines": np.array([len(lines) for lines in written], dtype=float),
            "checks": np.array([sum(line.startswith(CHECK) for line in lines) for lines in written], dtype=float),
            "truncated": np.array([answer is None for answer in answers], dtype=float),
        }
        working = np.array([sum(operation not in IDLE for operation in problem.operations) for problem in problems])
        for place, tier in enumerate(self.tiers, 1):
            of = (working == tier).astype(float)
            measures |= {f"tier_{place}": of, f"tier_{place}_right": of * right, f"tier_{place}_length": of * length}
        return Gold(right, measures)

    def _row(self, generator: np.random.Generator) -> Row:
        working = self.tiers[int(generator.integers(len(self.tiers)))]
        places = set(generator.permutation(self.operations)[:working].tolist())
        operations = tuple(
            draw_operation(generator, self.modulus) if place in places else IDLE[int(generator.integers(len(IDLE)))]
            for place in range(self.operations)
        )
        problem = Problem(int(generator.integers(self.modulus)), operations, self.modulus)
        return row_of(self.name, _prompt(problem), str(problem.answer), _CONTRACT)


def _prompt(problem: Problem) -> str:
    steps = zip(LABELS, problem.operations, strict=False)
    return "".join([str(problem.start), *(f" ; {label} {o.sign} {o.operand}" for label, o in steps), " ?"])


def _read(prompt: str, modulus: int) -> Problem:
    if not _PROMPT.fullmatch(prompt):
        raise DataError(f"the prompt {prompt!r} is no labelled chain; expected one such as '7 ; a + 5 ; b * 2 ?'")
    start, *steps = prompt.removesuffix(" ?").split(" ; ")
    read = [step.split() for step in steps]
    return Problem(int(start), tuple(Operation(cast(Sign, sign), int(operand)) for _, sign, operand in read), modulus)
