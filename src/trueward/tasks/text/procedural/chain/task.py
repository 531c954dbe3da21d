"""Chain arithmetic: worked solutions of a chain of operations modulo a number, with every line exactly checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trueward.errors import DataError
from trueward.tasks.gold import Gold
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.procedural.chain.lines import MARKERS, Line, read_solution, stated_answer
from trueward.tasks.text.procedural.chain.problems import SIGNS, draw_problem, read_problem
from trueward.tasks.text.procedural.chain.writer import Habits, write_solution
from trueward.tasks.text.procedural.drawing import draw_rows, generator_of, row_of
from trueward.tasks.text.procedural.steps import LINE_BREAK, words_of
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

_CONTRACT = Contract(type="int", unique=True, form="value", declared=True)
_WORDS = ("start", ";", "?", "=", ":", "step", "ans", LINE_BREAK, *MARKERS, *SIGNS)


@dataclass(frozen=True)
class ChainArithmetic:
    r"""Prompt `start 7 ; + 5 ; * 2 ?`; completion `7 + 5 = 12 \n 12 * 2 = 24 \n ans = 24`.

    Gold is 1 where the completion ends with the right answer, however it was reached. Measures: `lines`; the shares of
    lines that are `duplicated` (an earlier line word for word) and `restated` (a true earlier claim again); the share
    `true_lines` of those that claim something, the answer included; `sound`, 1 where the answer is right, every
    operation was done and every claim is true; `length` in tokens; `truncated`, 1 where no answer ends the completion.

    Attributes:
        modulus: values are 0 … modulus − 1, one token each.
        operations: least and most steps of a chain.
        habits: of the demonstrations' writer.
        max_new_tokens: how long a completion may become.
        name: enters the seeds.
    """

    modulus: int = 100
    operations: tuple[int, int] = (3, 6)
    habits: Habits = field(default_factory=Habits)
    max_new_tokens: int = 96
    name: str = "chain_arithmetic"

    def __post_init__(self) -> None:
        """Raises `DataError` for a modulus or a range of steps that makes no problems."""
        if self.modulus < 4:
            raise DataError(f"{self.name}: the modulus is {self.modulus}; expected at least 4")
        if not 1 <= self.operations[0] <= self.operations[1]:
            raise DataError(f"{self.name}: operations are {self.operations}; expected 1 <= least <= most")
        if "numbered" in self.habits.styles and self.operations[1] >= self.modulus:
            raise DataError(f"{self.name}: steps up to {self.operations[1]} have no number below {self.modulus}")

    @property
    def vocabulary(self) -> Vocabulary:
        """Numbers, signs and words."""
        return Vocabulary("words", (*(str(number) for number in range(self.modulus)), *_WORDS))

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n chains; see `TextTask`."""
        return draw_rows(self._row, n, generator_of(self.name, seed, f"rows {split}"), split)

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n solutions by a writer with the task's habits."""
        generator = generator_of(self.name, seed, "demonstrations")
        return [
            Demonstration(row, write_solution(read_problem(row.prompt_text, self.modulus), self.habits, generator))
            for row in draw_rows(self._row, n, generator, "train")
        ]

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """1 where the final answer is right; see the class for the measures."""
        records = [self._judge(row, completion) for row, completion in zip(rows, completions, strict=True)]
        values = np.array([record.pop("right") for record in records])
        names = ("lines", "duplicated", "restated", "true_lines", "sound", "length", "truncated")
        return Gold(values, {name: np.array([record[name] for record in records], dtype=float) for name in names})

    def lines(self, row: Row, completion: str) -> list[Line]:
        """Every line of a completion, judged."""
        return read_solution(read_problem(row.prompt_text, self.modulus), completion)

    def _row(self, generator: np.random.Generator) -> Row:
        problem = draw_problem(generator, self.operations, self.modulus)
        return row_of(self.name, problem.prompt, str(problem.answer), _CONTRACT)

    def _judge(self, row: Row, completion: str) -> dict[str, float]:
        problem = read_problem(row.prompt_text, self.modulus)
        lines = read_solution(problem, completion)
        answer = stated_answer(completion, self.modulus)
        right = answer == problem.answer
        claims = [line for line in lines if line.kind != "unread"]
        done = sum(line.kind == "step" and line.on_path for line in lines) == len(problem.operations)
        return {
            "right": float(right),
            "lines": float(len(lines)),
            "duplicated": _share([line.duplicate for line in lines]),
            "restated": _share([line.kind == "restatement" for line in lines]),
            "true_lines": _share([line.true for line in claims]),
            "sound": float(right and done and all(line.true for line in claims)),
            "length": float(len(words_of(completion))),
            "truncated": float(answer is None),
        }


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found) if found else 0.0
