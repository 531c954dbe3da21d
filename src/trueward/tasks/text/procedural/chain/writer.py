"""Writes worked solutions of a chain with the mistakes and habits that an experiment needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from trueward.errors import DataError
from trueward.tasks.text.procedural.chain.problems import Operation, Problem

Style = Literal["plain", "so", "verbose", "numbered", "reversed", "terse"]
STYLES: tuple[Style, ...] = get_args(Style)
_LARGEST_SLIP = 3


@dataclass(frozen=True)
class Habits:
    """How solutions are written.

    Attributes:
        slip: probability that the result of a step is wrong, by 1 to 3; what follows builds on it.
        repair: probability that a slip is noticed: the next line does the step again, marked `wait`.
        restatement: expected share of lines that repeat a true earlier line, below 1.
        restated: which line is repeated: the "latest" true one, which small models learn to copy soon, or "any" one.
        recheck: probability that a step is followed by the same step again, marked by `recheck_marker`.
        recheck_marker: `check`, or `wait` where the same word shall open repairs and needless re-checks.
        styles: surface forms; every solution keeps to one of them, drawn uniformly.
    """

    slip: float = 0.05
    repair: float = 0.0
    restatement: float = 0.12
    restated: Literal["latest", "any"] = "latest"
    recheck: float = 0.0
    recheck_marker: Literal["check", "wait"] = "check"
    styles: tuple[Style, ...] = ("plain",)

    def __post_init__(self) -> None:
        """Raises `DataError` for rates that are no probabilities, a share of 1, and styles that do not exist."""
        for name in ("slip", "repair", "restatement", "recheck"):
            rate = getattr(self, name)
            if not 0 <= rate <= 1 or (name == "restatement" and rate == 1):
                raise DataError(f"the rate of {name} is {rate!r}; expected a probability (restatement: below 1)")
        if not self.styles or not set(self.styles) <= set(STYLES):
            raise DataError(f"the styles {self.styles!r} are not all among {', '.join(STYLES)}; name at least one")


def write_solution(problem: Problem, habits: Habits, generator: np.random.Generator) -> str:
    """A worked solution, one line per step, ending in `ans = N`.

    After each step a true earlier line is repeated with probability p, and again after each repetition, where
    p/(1−p) = s (B + 1)/(K (1 − s)) makes repetitions the expected share s of all lines; K steps, and B the
    expected number of all other lines but the answer.
    """
    style = habits.styles[int(generator.integers(len(habits.styles)))]
    others = len(problem.operations) * (1 + habits.recheck + habits.slip * habits.repair)
    odds = habits.restatement * (others + 1) / (max(1, len(problem.operations)) * (1 - habits.restatement))
    again = odds / (1 + odds)
    lines: list[str] = []
    true_lines: list[str] = []
    value = problem.start
    for number, operation in enumerate(problem.operations, 1):
        right = operation(value, problem.modulus)
        result = right
        if generator.random() < habits.slip:
            result = _slipped(right, problem.modulus, generator)
        equation = _equation(style, value, operation, result)
        lines.append(f"step {number} : {equation}" if style == "numbered" else equation)
        if result == right:
            true_lines.append(lines[-1])
        elif generator.random() < habits.repair:
            lines.append(f"wait {value} {operation.sign} {operation.operand} = {right}")
            true_lines.append(lines[-1])
            result = right
        if generator.random() < habits.recheck:
            lines.append(f"{habits.recheck_marker} {value} {operation.sign} {operation.operand} = {result}")
        while true_lines and generator.random() < again:
            choices = true_lines[-1:] if habits.restated == "latest" else true_lines
            lines.append(choices[int(generator.integers(len(choices)))])
        value = result
    return " \n ".join([*lines, f"ans = {value}"])


def _slipped(right: int, modulus: int, generator: np.random.Generator) -> int:
    largest = min(_LARGEST_SLIP, (modulus - 1) // 2) or 1
    offset = int(generator.integers(1, largest + 1)) * (1 if generator.random() < 0.5 else -1)
    return (right + offset) % modulus


def _equation(style: Style, left: int, operation: Operation, result: int) -> str:
    plain = f"{left} {operation.sign} {operation.operand}"
    return {
        "plain": f"{plain} = {result}",
        "so": f"so {plain} = {result}",
        "verbose": f"so then {plain} = {result}",
        "numbered": f"{plain} = {result}",
        "reversed": f"{result} = {plain}",
        "terse": f"{operation.sign} {operation.operand} = {result}",
    }[style]
