"""Countdown by hand: what expressions come to, which are one solution, and what gold says of completions."""

from __future__ import annotations

import dataclasses
from itertools import permutations, product

import numpy as np
import pytest

from trueward.errors import DataError
from trueward.tasks.text.procedural import Countdown
from trueward.tasks.text.procedural.countdown import Expression, formed, read_expression
from trueward.tasks.text.procedural.drawing import row_of
from trueward.tasks.text.rows import Row

TASK = Countdown()


def row(numbers: list[int], target: int) -> Row:
    prompt = f"{' '.join(map(str, numbers))} make {target}"
    return row_of("countdown", prompt, None, TASK.rows(1, 0)[0].contract, numbers=numbers, target=target)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("2 * 3 + 7", 13),
        ("7 + 2 * 3", 13),
        ("8 - 2 * 3 - 1", 1),
        ("1 - 2 * 3 * 4", -23),
        ("9 - 3 - 2", 4),
    ],
)
def test_products_bind_before_sums(text: str, value: int) -> None:
    found = read_expression(text)
    assert found is not None and found.value == value and found.text == text


def test_values_are_those_of_ordinary_arithmetic() -> None:
    for numbers in ((2, 3, 5, 7), (1, 1, 4, 9)):
        for signs in product("+-*", repeat=3):
            expression = Expression(numbers, signs)  # type: ignore[arg-type]
            assert expression.value == eval(expression.text)


@pytest.mark.parametrize(
    "text",
    ["", "+", "2 +", "+ 2", "2 3", "2 / 3", "2 ** 3", "02 + 3", "2 + - 3", "( 2 + 3 )", "２ + 3", "99999 + 1", "2+3"],
)
def test_what_is_no_expression(text: str) -> None:
    assert read_expression(text) is None


def test_exchanged_summands_and_factors_are_one_solution() -> None:
    def terms(text: str) -> object:
        found = read_expression(text)
        assert found is not None
        return found.terms

    same = ["2 * 3 + 7 - 1", "7 + 3 * 2 - 1", "3 * 2 - 1 + 7", "7 - 1 + 2 * 3"]
    assert len({terms(text) for text in same}) == 1
    # Both come to 12, in different ways; and 6 · 2 is not 3 · 4.
    assert len({terms(text) for text in (same[0], "2 * 7 - 3 + 1", "2 * 7 - 1 - 1")}) == 3


def test_the_number_of_solutions_by_counting() -> None:
    """2 3 4 make 10 as 2·3 + 4 and as 3·4 − 2, in six ways of writing."""
    problem = row([2, 3, 4], 10)
    texts = [f"{a} {s} {b} {t} {c}" for a, b, c in permutations((2, 3, 4)) for s, t in product("+-*", repeat=2)]
    right = [text for text in texts if TASK.gold([problem], [text]).values[0]]
    assert sorted(right) == ["2 * 3 + 4", "3 * 2 + 4", "3 * 4 - 2", "4 * 3 - 2", "4 + 2 * 3", "4 + 3 * 2"]
    assert len({TASK.solution(problem, text) for text in right}) == 2
    # 1 2 3 make 6 has two: 1 + 2 + 3, and 1 · 2 · 3.
    other = row([1, 2, 3], 6)
    texts = [f"{a} {s} {b} {t} {c}" for a, b, c in permutations((1, 2, 3)) for s, t in product("+-*", repeat=2)]
    assert len({TASK.solution(other, text) for text in texts} - {None}) == 2


def test_gold_by_hand() -> None:
    problem = row([2, 3, 7, 8], 21)
    said = ["2 * 7 + 8 - 3", "8 + 7 * 2 - 3", "2 * 3 + 7 + 8", "7 * 3", "2 * 7 + 8 - 1", "2 * 7 + 8 - 3 +", "21", ""]
    gold = Countdown().gold([problem] * len(said), said)
    assert gold.values.tolist() == [0.0] * 2 + [1.0] + [0.0] * 5
    assert gold.measures["formed"].tolist() == [1.0] * 3 + [0.0] * 5
    # 14 + 8 − 3 = 19 is 2 off, of 30.
    assert gold.measures["distance"].tolist() == pytest.approx([2 / 30, 2 / 30, 0.0] + [1.0] * 5)
    assert gold.measures["length"].tolist() == [7.0, 7.0, 7.0, 3.0, 7.0, 8.0, 1.0, 0.0]


def test_a_solution_is_right_and_only_a_solution_is() -> None:
    problem = row([2, 3, 7, 8], 21)
    assert TASK.solution(problem, "8 + 7 + 3 * 2") == ((1, (2, 3)), (1, (7,)), (1, (8,)))
    assert TASK.solution(problem, "2 * 7 + 8 - 3") is None
    assert formed([2, 3, 7, 8], "2 * 7 + 8 - 3") is not None
    assert formed([2, 3, 7, 8], "2 * 7 + 8 - 3 - 3") is None
    assert formed([2, 2, 7, 8], "2 * 7 + 8 - 7") is None


def test_rows_can_be_solved_and_demonstrations_solve_them() -> None:
    task = Countdown(largest=6, largest_target=20, products=0.5, demonstrated_products=0.1)
    demonstrations = task.demonstrations(200, 3)
    gold = task.gold([one.row for one in demonstrations], [one.completion for one in demonstrations])
    assert gold.values.all()
    for one in task.rows(50, 3):
        assert 1 <= one.columns["target"] <= 20 and one.columns["numbers"] == sorted(one.columns["numbers"])
        numbers, target = one.columns["numbers"], one.columns["target"]
        orders = set(permutations(numbers))
        assert any(Expression(o, s).value == target for o in orders for s in product(("+", "-", "*"), repeat=3))  # type: ignore[arg-type]


def test_demonstrations_use_as_few_products_as_they_are_told_to() -> None:
    def share(**settings: float) -> float:
        texts = [one.completion for one in Countdown(**settings).demonstrations(400, 0)]  # type: ignore[arg-type]
        return np.mean([text.count("*") for text in texts]) / 3

    assert share(demonstrated_products=0.0) == 0.0
    rare, common = share(demonstrated_products=0.05), share(demonstrated_products=0.6)
    assert 0.0 < rare < 0.1 < 0.3 < common
    # What rows need is another matter.
    assert share(demonstrated_products=0.05, products=0.9) == rare


def test_wrong_demonstrations_are_as_common_as_asked() -> None:
    task = Countdown(accuracy=0.4)
    demonstrations = task.demonstrations(1000, 0)
    gold = task.gold([one.row for one in demonstrations], [one.completion for one in demonstrations])
    assert gold.measures["formed"].all()
    # A wrong one may be right by chance.
    assert 0.4 < gold.values.mean() < 0.55


@pytest.mark.parametrize("wrong", [{"count": 1}, {"largest": 0}, {"products": 1.1}, {"accuracy": -0.1}])
def test_parameters_that_make_no_problems(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError):
        dataclasses.replace(TASK, **wrong)
