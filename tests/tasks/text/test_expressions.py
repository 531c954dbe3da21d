"""Expressions are told apart exactly where they are rational, and never evaluated beyond the limits."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.tasks.text.expressions import differ, evaluate, read_expression

CASES = [
    ("(x+1)^2", "x^2+2x+1", False),
    ("x^2+1", "x^2+2", True),
    (r"\sqrt[3]{8}", "2", False),
    (r"\sqrt{12}", r"2\sqrt{3}", False),
    (r"\frac{1}{2}", "0.5", False),
    (r"\cot(x)", r"\frac{\cos(x)}{\sin(x)}", False),
    (r"\arctan(1)", r"\frac{\pi}{4}", False),
    (r"\sqrt{x^2}", "x", True),  # at a negative point
    (r"\sqrt{x^2}", "abs(x)", False),
    ("2^{50}*2^{50}", "2^{50}*2^{50}+1", None),  # floats agree, fractions do not: rounding may be meant
    ("1.0000001", "1", None),
    ("2x", "harbour", None),
    ("9**9**9", "1", None),
    ("x^{61}", "x^{61}", None),
    ("i+1", "1+i", None),
]


@pytest.mark.parametrize(("first", "second", "verdict"), CASES)
def test_differ(first: str, second: str, verdict: bool | None) -> None:
    assert differ(first, second) is verdict
    assert differ(second, first) is verdict


def test_exact_values() -> None:
    expression = read_expression(r"\frac{3}{4}+2^{-2}")
    assert expression is not None
    assert expression.exactly() == Fraction(1)
    assert expression.at(0.0) == 1.0
    root = read_expression(r"\sqrt{2}")
    assert root is not None and root.exactly() is None and root.at(0.0) == pytest.approx(2**0.5)
    # 60 levels of powers of 60 would have more digits than there are atoms.
    tower = read_expression("((((2^{60})^{60})^{60})^{60})")
    assert tower is not None and tower.exactly() is None and tower.at(0.0) is None


def test_euler_only_where_it_is_asked_for() -> None:
    assert evaluate("e^2") is None
    expression = read_expression("e^2", euler=True)
    assert expression is not None and expression.at(0.0) == pytest.approx(7.38905609893065)
    assert expression.variables == frozenset()


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=3), st.integers(1, 2))
def test_polynomials_are_equal_to_themselves_in_another_order(coefficients: list[int], power: int) -> None:
    terms = [f"({value})*x^{i + power}" for i, value in enumerate(coefficients)]
    assert differ("+".join(terms), "+".join(terms[::-1])) is False
    assert differ("+".join(terms), "+".join([*terms, "1"])) is True
