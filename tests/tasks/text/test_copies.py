"""What is a copy of the question, and what is not."""

from __future__ import annotations

import pytest

from trueward.tasks.text.copies import copied_expressions, is_copied


def test_expressions_of_a_question_longest_first() -> None:
    assert copied_expressions("Compute 48 * 37 and then 2+2.") == ["48 * 37", "2+2"]
    assert copied_expressions("How many apples does she keep?") == []


@pytest.mark.parametrize("answer", ["48 * 37", "48*37", "$48 * 37$", "48  *  37."])
def test_copies(answer: str) -> None:
    assert is_copied(answer, "Compute 48 * 37.")


@pytest.mark.parametrize("answer", ["1776", "37", "37 * 48", "48 * 38", "3/4", "", "Compute", "48", "-9"])
def test_answers_that_are_no_copies(answer: str) -> None:
    assert not is_copied(answer, "Compute 48 * 37, or 3/4, or -9.")


def test_everything_that_the_audit_would_copy_is_a_copy() -> None:
    for prompt in ("What is 6 + 6?", r"Find \frac{1}{2} + \frac{1}{3}.", "Give 2^13 - 1."):
        found = copied_expressions(prompt)
        assert found
        assert all(is_copied(expression, prompt) for expression in found)
