"""Countdown: reach a target with given numbers, in any of several ways, exactly checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueward.errors import DataError
from trueward.tasks.gold import Gold
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.procedural.countdown.expressions import SIGNS, Expression, Sign, read_expression
from trueward.tasks.text.procedural.drawing import draw_rows, generator_of, row_of
from trueward.tasks.text.procedural.steps import words_of
from trueward.tasks.text.procedural.task import Demonstration, Split
from trueward.tasks.text.rows import Row
from trueward.tasks.text.vocabulary import Vocabulary

_CONTRACT = Contract(type="expression", unique=False, form="value", declared=True)


@dataclass(frozen=True)
class Countdown:
    """Prompt `2 3 7 8 make 21`; completion `2 * 7 + 8 - 1`: every number once, with + - *, without brackets.

    Gold is 1 where the completion is such an expression and comes to the target. Measures: `formed`, 1 where it uses
    every number once, whatever it comes to; `distance` from the target in units of the largest one, at most 1, and 1
    where the completion is not formed; `length` in tokens.

    Attributes:
        count: how many numbers are given.
        largest: numbers are 1 … largest.
        largest_target: targets are 1 … largest_target, each reachable.
        products: probability of a product at each sign of the expression that a row's target is made of; sums and
            differences share the rest.
        demonstrated_products: the same of demonstrations; below `products`, it makes what needs products rare.
        accuracy: share of demonstrations that are right; the others have their numbers in another order with other
            signs.
        max_new_tokens: how long a completion may become.
        name: enters the seeds.
    """

    count: int = 4
    largest: int = 9
    largest_target: int = 30
    products: float = 1 / 3
    demonstrated_products: float = 1 / 3
    accuracy: float = 1.0
    max_new_tokens: int = 8
    name: str = "countdown"

    def __post_init__(self) -> None:
        """Raises `DataError` for parameters that make no problems."""
        if self.count < 2 or self.largest < 1 or self.largest_target < 1:
            raise DataError(f"{self.name}: count must be at least 2, largest and largest_target at least 1; got {self}")
        shares = (self.products, self.demonstrated_products, self.accuracy)
        if not all(0 <= share <= 1 for share in shares):
            raise DataError(f"{self.name}: shares of products and accuracy are probabilities; got {shares}")

    @property
    def vocabulary(self) -> Vocabulary:
        """Numbers, signs, and the word between numbers and target."""
        most = max(self.largest, self.largest_target)
        return Vocabulary("words", (*(str(number) for number in range(1, most + 1)), "make", *SIGNS))

    def rows(self, n: int, seed: int, split: Split = "train") -> list[Row]:
        """n problems; see `TextTask`."""
        return draw_rows(
            lambda g: self._problem(g, self.products)[0], n, generator_of(self.name, seed, f"rows {split}"), split
        )

    def demonstrations(self, n: int, seed: int) -> list[Demonstration]:
        """n solutions: the expressions that the targets were made of, or wrong ones of the same numbers."""
        generator = generator_of(self.name, seed, "demonstrations")
        made: dict[str, Expression] = {}

        def problem(generator: np.random.Generator) -> Row:
            row, expression = self._problem(generator, self.demonstrated_products)
            made[row.id] = expression
            return row

        demonstrations = []
        for _ in range(n):
            (row,) = draw_rows(problem, 1, generator, "train")
            expression = made[row.id]
            if generator.random() >= self.accuracy:
                expression = self._expression(expression.numbers, self.demonstrated_products, generator)
            demonstrations.append(Demonstration(row, expression.text))
        return demonstrations

    def gold(self, rows: Sequence[Row], completions: Sequence[str]) -> Gold:
        """1 where the target is reached; see the class for the measures."""
        pairs = list(zip(rows, completions, strict=True))
        found = [formed(row.columns["numbers"], text) for row, text in pairs]
        targets = [row.columns["target"] for row in rows]
        off = [
            1.0 if one is None else min(1.0, abs(one.value - target) / self.largest_target)
            for one, target in zip(found, targets, strict=True)
        ]
        return Gold(
            np.array([distance == 0.0 for distance in off], dtype=float),
            {
                "formed": np.array([one is not None for one in found], dtype=float),
                "distance": np.array(off, dtype=float),
                "length": np.array([len(words_of(text)) for text in completions], dtype=float),
            },
        )

    def solution(self, row: Row, completion: str) -> tuple[tuple[int, tuple[int, ...]], ...] | None:
        """The terms of a right expression, whatever their order; None where the completion is not right."""
        found = formed(row.columns["numbers"], completion)
        return found.terms if found is not None and found.value == row.columns["target"] else None

    def _problem(self, generator: np.random.Generator, products: float) -> tuple[Row, Expression]:
        while True:
            numbers = tuple(int(number) for number in generator.integers(1, self.largest + 1, self.count))
            expression = self._expression(numbers, products, generator)
            if 1 <= expression.value <= self.largest_target:
                break
        given = sorted(numbers)
        prompt = f"{' '.join(map(str, given))} make {expression.value}"
        return row_of(self.name, prompt, None, _CONTRACT, numbers=given, target=expression.value), expression

    def _expression(self, numbers: Sequence[int], products: float, generator: np.random.Generator) -> Expression:
        order = tuple(int(number) for number in generator.permutation(numbers))
        rest = (1 - products) / 2
        drawn = generator.choice(len(SIGNS), size=len(order) - 1, p=[rest, rest, products])
        signs: tuple[Sign, ...] = tuple(SIGNS[place] for place in drawn)
        return Expression(order, signs)


def formed(numbers: Sequence[int], completion: str) -> Expression | None:
    """The expression that a completion is, where it uses every number exactly once; else None."""
    expression = read_expression(completion)
    if expression is None or sorted(expression.numbers) != sorted(numbers):
        return None
    return expression
