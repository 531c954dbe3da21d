"""Sums of products of small numbers, written without brackets: `2 * 3 + 7 - 1`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations, product
from typing import Literal, get_args

Sign = Literal["+", "-", "*"]
SIGNS: tuple[Sign, ...] = get_args(Sign)
_LONGEST_NUMBER = 4


@dataclass(frozen=True)
class Expression:
    """Numbers with a sign between each two; products bind before sums.

    Attributes:
        numbers: in the order in which they are written.
        signs: one fewer.
    """

    numbers: tuple[int, ...]
    signs: tuple[Sign, ...]

    @property
    def text(self) -> str:
        """As it is written, tokens joined by spaces."""
        return " ".join(
            [str(self.numbers[0]), *(f"{s} {n}" for s, n in zip(self.signs, self.numbers[1:], strict=True))]
        )

    @property
    def terms(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """What is added up: (1 or −1, factors) of each term, in no order that depends on how it was written.

        Two expressions with equal terms are one solution: they differ by exchanging summands or factors.
        """
        found: list[tuple[int, list[int]]] = [(1, [self.numbers[0]])]
        for sign, number in zip(self.signs, self.numbers[1:], strict=True):
            if sign == "*":
                found[-1][1].append(number)
            else:
                found.append((1 if sign == "+" else -1, [number]))
        return tuple(sorted((sign, tuple(sorted(factors))) for sign, factors in found))

    @property
    def value(self) -> int:
        """What it comes to."""
        return sum(sign * math.prod(factors) for sign, factors in self.terms)


def read_expression(text: str) -> Expression | None:
    """The expression that a text is, all of it; None where it is none.

    Example:
        >>> read_expression("2 * 3 + 7").value
        13
    """
    words = text.split()
    numbers, signs = words[::2], words[1::2]
    if len(words) % 2 == 0 or not all(sign in SIGNS for sign in signs) or not all(map(_is_number, numbers)):
        return None
    return Expression(tuple(map(int, numbers)), tuple(sign for word in signs for sign in SIGNS if sign == word))


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= _LONGEST_NUMBER and str(int(word)) == word


def solutions(numbers: tuple[int, ...], target: int) -> list[Expression]:
    """Every expression of all the numbers, each used once, that comes to the target."""
    orders = sorted(set(permutations(numbers)))
    every = (Expression(order, signs) for order in orders for signs in product(SIGNS, repeat=len(numbers) - 1))
    return [expression for expression in every if expression.value == target]
