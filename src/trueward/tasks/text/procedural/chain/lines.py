"""Reads worked solutions of a chain line by line, and says exactly what each line is and whether it is true.

A line claims an equation (`7 + 5 = 12`, `12 = 7 + 5`, or `+ 5 = 12` about the running value), states the answer
(`ans = 12`), or is unread. Words in front of an equation (`so`, `then`, `check`, `wait`, `no`, `step 2 :`) change
nothing about its claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trueward.tasks.text.procedural.chain.problems import SIGNS, Operation, Problem
from trueward.tasks.text.procedural.steps import lines_of

MARKERS = ("so", "then", "check", "wait", "no")
Kind = Literal["step", "revision", "restatement", "aside", "answer", "unread"]


@dataclass(frozen=True)
class Claim:
    """left sign operand = result."""

    left: int
    operation: Operation
    result: int

    def holds(self, modulus: int) -> bool:
        """True when the equation is right modulo m."""
        return self.operation(self.left, modulus) == self.result


@dataclass(frozen=True)
class Line:
    """One line of a solution, judged.

    Attributes:
        text: the line.
        kind: "step" does the next operation on the running value; "revision" does the latest one again with another
            result; "restatement" claims what a true earlier line claimed; "aside" is any other equation; "answer"
            states an answer; "unread" is none of these.
        true: the equation holds, or the answer is right.
        on_path: the line is a step or revision whose result is the problem's true value there, or a right answer.
        duplicate: an earlier line has the same text, and the line is no step.
        marker: the word in front of the equation; "" for none.
        claim: the equation; None for answers and unread lines.
        value: result of the equation, or the stated answer; None for unread lines.
    """

    text: str
    kind: Kind
    true: bool
    on_path: bool
    duplicate: bool
    marker: str = ""
    claim: Claim | None = None
    value: int | None = None


def read_solution(problem: Problem, text: str) -> list[Line]:
    r"""Judge every line of a completion.

    Example:
        >>> problem = Problem(7, (Operation("+", 5), Operation("*", 2)), 100)
        >>> [line.kind for line in read_solution(problem, "7 + 5 = 12 \n 7 + 5 = 12 \n 12 * 2 = 24 \n ans = 24")]
        ['step', 'restatement', 'step', 'answer']
    """
    reading = _Reading(problem)
    return [reading.line(text) for text in lines_of(text)]


def stated_answer(text: str, modulus: int) -> int | None:
    """The answer that a completion ends with: the number of its last line that is not empty, if that is `ans = N`.

    What was said before does not count, and what is said after the answer takes it back.
    """
    lines = [line for line in lines_of(text) if line]
    return _read_answer(lines[-1].split(), modulus) if lines else None


class _Reading:
    """What has been said so far in one solution."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.path = problem.values
        self.reached = [problem.start]  # the values of the solution itself, whether right or not
        self.claims: dict[str, Claim] = {}  # by text
        self.truths: set[Claim] = set()
        self.texts: set[str] = set()

    def line(self, text: str) -> Line:
        words = text.split()
        answer = _read_answer(words, self.problem.modulus)
        duplicate = text in self.texts
        self.texts.add(text)
        if answer is not None:
            right = answer == self.problem.answer
            return Line(text, "answer", right, right, duplicate, value=answer)
        marker, body = _split_marker(words)
        claim = self._claim(" ".join(body), body)
        if claim is None:
            return Line(text, "unread", False, False, duplicate, marker)
        kind = self._kind(claim)
        true = claim.holds(self.problem.modulus)
        on_path = False
        if kind in ("step", "revision"):
            self.reached = [*self.reached[: len(self.reached) - (kind == "revision")], claim.result]
            on_path = claim.result == self.path[len(self.reached) - 1]
        if true:
            self.truths.add(claim)
        return Line(text, kind, true, on_path, duplicate and kind != "step", marker, claim, claim.result)

    def _kind(self, claim: Claim) -> Kind:
        done = len(self.reached) - 1
        operations = self.problem.operations
        if done < len(operations) and claim.operation == operations[done] and claim.left == self.reached[-1]:
            return "step"
        if claim in self.truths:
            return "restatement"
        if done and claim.operation == operations[done - 1] and claim.left == self.reached[-2]:
            return "revision" if claim.result != self.reached[-1] else "aside"
        return "aside"

    def _claim(self, key: str, words: list[str]) -> Claim | None:
        """The equation of a line; one without a left side means the running value, or repeats what it said before."""
        modulus = self.problem.modulus
        equation = _read_equation(words, modulus)
        if equation is None:
            return None
        left, operation, result = equation
        if left is not None:
            return Claim(left, operation, result)
        claim = Claim(self.reached[-1], operation, result)
        earlier = self.claims.get(key)
        if earlier is not None and not (claim.holds(modulus) and self._kind(claim) == "step"):
            claim = earlier
        self.claims[key] = claim
        return claim


def _read_answer(words: list[str], modulus: int) -> int | None:
    return _number(words[2], modulus) if len(words) == 3 and words[:2] == ["ans", "="] else None


def _split_marker(words: list[str]) -> tuple[str, list[str]]:
    marker = ""
    if words[:1] == ["step"] and words[2:3] == [":"]:
        marker, words = "step", words[3:]
    while words and words[0] in MARKERS:
        marker, words = words[0], words[1:]
    return marker, words


def _read_equation(words: list[str], modulus: int) -> tuple[int | None, Operation, int] | None:
    if len(words) == 5 and words[1] == "=":
        words = [*words[2:], "=", words[0]]
    if len(words) == 4:
        words = ["", *words]
    if len(words) != 5 or words[3] != "=" or words[1] not in SIGNS:
        return None
    left, operand, result = (_number(word, modulus) for word in (words[0], words[2], words[4]))
    if operand is None or result is None or (left is None and words[0]):
        return None
    return left, Operation(words[1], operand), result


def _number(word: str, modulus: int) -> int | None:
    """A number below m as the vocabulary has it: ASCII digits without leading zeros."""
    if not (word.isascii() and word.isdecimal() and len(word) <= len(str(modulus))) or str(int(word)) != word:
        return None
    return int(word) if int(word) < modulus else None
