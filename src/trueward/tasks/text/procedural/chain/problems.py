"""Problems of chain arithmetic: a start value and operations on it, one after the other, modulo a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from trueward.errors import DataError

Sign = Literal["+", "-", "*"]
SIGNS: tuple[Sign, ...] = ("+", "-", "*")
_LARGEST_SUMMAND, _LARGEST_FACTOR = 9, 3


@dataclass(frozen=True)
class Operation:
    """One step of a chain: + 5, − 3 or × 2."""

    sign: Sign
    operand: int

    def __call__(self, value: int, modulus: int) -> int:
        """The value behind the step."""
        if self.sign == "+":
            return (value + self.operand) % modulus
        if self.sign == "-":
            return (value - self.operand) % modulus
        return (value * self.operand) % modulus


@dataclass(frozen=True)
class Problem:
    """A chain: v_0 = start, v_k = operation_k(v_{k−1}) mod m; asked for is the last value."""

    start: int
    operations: tuple[Operation, ...]
    modulus: int

    @property
    def values(self) -> tuple[int, ...]:
        """v_0 … v_K."""
        values = [self.start]
        for operation in self.operations:
            values.append(operation(values[-1], self.modulus))
        return tuple(values)

    @property
    def answer(self) -> int:
        """v_K."""
        return self.values[-1]

    @property
    def prompt(self) -> str:
        """The problem in words: "start 7 ; + 5 ; * 2 ?"."""
        steps = "".join(f" ; {operation.sign} {operation.operand}" for operation in self.operations)
        return f"start {self.start}{steps} ?"


def draw_problem(generator: np.random.Generator, operations: tuple[int, int], modulus: int) -> Problem:
    """A chain of between operations[0] and operations[1] steps; summands 1…9, factors 2 and 3, below the modulus."""
    count = int(generator.integers(operations[0], operations[1] + 1))
    start = int(generator.integers(modulus))
    return Problem(start, tuple(draw_operation(generator, modulus) for _ in range(count)), modulus)


def draw_operation(generator: np.random.Generator, modulus: int) -> Operation:
    """An operation that changes something: a summand from 1 to 9, or a factor of 2 or 3, below the modulus."""
    sign = SIGNS[int(generator.integers(len(SIGNS)))]
    lowest, highest = (2, _LARGEST_FACTOR) if sign == "*" else (1, _LARGEST_SUMMAND)
    return Operation(sign, int(generator.integers(lowest, min(highest, modulus - 1) + 1)))


def read_problem(prompt: str, modulus: int) -> Problem:
    """The problem that a prompt states.

    Raises:
        DataError: the prompt is no chain.
    """
    words = prompt.split()
    inner = words[2:-1]
    shaped = len(words) >= 3 and words[0] == "start" and words[-1] == "?" and len(inner) % 3 == 0
    triples = [inner[i : i + 3] for i in range(0, len(inner), 3)]
    if not shaped or not all(t[0] == ";" and t[1] in SIGNS and t[2].isdecimal() for t in triples):
        raise DataError(f"the prompt {prompt!r} is no chain; expected one such as 'start 7 ; + 5 ; * 2 ?'")
    if not words[1].isdecimal():
        raise DataError(f"the prompt {prompt!r} starts from {words[1]!r}; expected a number")
    operations = tuple(Operation(cast(Sign, sign), int(operand)) for _, sign, operand in triples)
    return Problem(int(words[1]), operations, modulus)
