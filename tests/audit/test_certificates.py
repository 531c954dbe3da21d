"""What the certificate may and may not call wrong. Each line is a case that somebody could argue about."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.audit.certificates.answers import certify_answer
from trueward.audit.certificates.completions import certify
from trueward.audit.derivations import Answer, Derivation, nothing, single
from trueward.tasks.text.contract import Contract
from trueward.tasks.text.expressions import differ, evaluate
from trueward.tasks.text.numbers import read_number
from trueward.tasks.text.rows import Row
from trueward.tasks.text.visible import visible_text


def row(answer: str | None, prompt: str = "What is it?", **contract: object) -> Row:
    return Row("r", prompt, answer, {}, Contract(**contract))


UNDECLARED = [
    ("12", "13", "wrong"),
    ("12", "-12", "wrong"),
    ("12", "12.0", "right"),
    ("12", "$12$", "right"),
    ("12", "6+6", "unknown"),  # equal in value: not wrong, and only the question tells whether it is earned
    ("12", r"12\%", "wrong"),  # twelve hundredths
    ("12", "12 km", "unknown"),  # says more than the reference
    ("12", "twelve", "unknown"),
    ("12", "nan", "wrong"),
    ("12", "banana", "wrong"),
    ("12", "", "wrong"),
    ("1,234", "1,235", "wrong"),
    ("2.425", "2.43", "unknown"),  # perhaps only rounded
    ("2.425", "3.425", "wrong"),
    ("5 km", "5 miles", "wrong"),
    ("5 km", "5 kilometers", "unknown"),
    ("5 hours", "5 hour", "unknown"),
    (r"\frac{3}{4}", r"\frac{4}{4}", "wrong"),
    (r"\frac{3}{4}", "0.75", "right"),
    ("x^2+1", "1+x^2", "unknown"),  # right as an expression; the question may ask for a form
    ("x^2+1", "x^2+2", "wrong"),
    ("off", "on", "wrong"),
    ("Paris", "Paris, France", "unknown"),
    ("Paris", "PARIS", "right"),
    ("the red door", "a blue door", "unknown"),  # free text: nobody can say
    ("B", "C", "wrong"),
    ("B", "(b)", "right"),
]


@pytest.mark.parametrize(("reference", "candidate", "label"), UNDECLARED)
def test_undeclared_answers(reference: str, candidate: str, label: str) -> None:
    assert certify_answer(row(reference), candidate) == label


DECLARED = [
    ("12", "6+6", {"type": "int"}, "unknown"),
    ("0.5", "0.5000001", {"type": "number", "tolerance": 1e-6}, "right"),
    ("0.5", "0.50001", {"type": "number", "tolerance": 1e-6}, "wrong"),
    ("1, 2, 3", "3, 2, 1", {"type": "list"}, "wrong"),
    ("1, 2, 3", "3, 2, 1", {"type": "set"}, "right"),
    ("1, 2, 3", "1, 2", {"type": "set"}, "wrong"),
    ("[1, 2]", "(1, 2)", {"type": "list"}, "right"),
    ("1 2\n3 4", "[[1, 2], [3, 4]]", {"type": "grid"}, "right"),
    ("1 2\n3 4", "1 2\n3 5", {"type": "grid"}, "wrong"),
    ("1 2\n3 4", "1 2 3 4", {"type": "grid"}, "unknown"),
    ("Abc", "abc", {"type": "word", "case_sensitive": True}, "unknown"),
    ("Abc", "abd", {"type": "word", "case_sensitive": True}, "wrong"),
    ("x^2+1", "x^2+2", {"type": "expression"}, "wrong"),
    ("x^2+1", "(x+1)^2-2x", {"type": "expression"}, "right"),
    ("red", "blue", {"type": "choice", "choices": ("red", "blue")}, "wrong"),
    ("red", "crimson", {"type": "choice", "choices": ("red", "blue")}, "unknown"),
    ("3+4", "4+3", {"type": "expression", "unique": False}, "unknown"),
    ("print(1)", "print(2)", {"type": "code"}, "unknown"),
    ("anything", "something else", {"type": "free"}, "unknown"),
]


@pytest.mark.parametrize(("reference", "candidate", "contract", "label"), DECLARED)
def test_declared_answers(reference: str, candidate: str, contract: dict[str, object], label: str) -> None:
    assert certify_answer(row(reference, **contract), candidate) == label


def test_per_cent_is_open_when_the_question_speaks_of_per_cent() -> None:
    assert certify_answer(row("12", "What percent of 50 is 6?"), r"12\%") == "unknown"
    assert certify_answer(row("12", "What is 6 + 6?"), r"12\%") == "wrong"


def test_a_checker_decides_where_many_answers_are_right() -> None:
    many = row("8*3", type="expression", unique=False)
    assert certify_answer(many, "6*4", lambda candidate, columns: True) == "right"
    assert certify_answer(many, "6*5", lambda candidate, columns: False) == "wrong"
    assert certify_answer(many, "?", lambda candidate, columns: None) == "unknown"


def test_invisible_and_raised_characters_are_read_as_a_person_reads_them() -> None:
    assert visible_text("1\u200b2") == "12"
    assert visible_text("1²") == "1^2"
    assert certify_answer(row("12"), "1²") == "wrong"
    assert certify_answer(row("12"), "12\u200b3") == "wrong"
    assert certify_answer(row("12"), "12") == "right"


def completion(form: str, *answers: str) -> Derivation:
    return Derivation(form, form, tuple(Answer(a, a) for a in answers))  # type: ignore[arg-type]


def test_completions_without_an_answer_are_wrong_unless_the_reference_is_one_too() -> None:
    assert certify(row("12"), nothing("empty", "")) == "wrong"
    assert certify(row("unknown"), nothing("refusal", "I cannot help.")) == "unknown"
    assert certify(row("wheelbarrow"), nothing("unrelated", "wheelbarrow")) == "unknown"
    assert certify(row(""), nothing("empty", "")) == "unknown"


def test_hedges() -> None:
    assert certify(row("12"), completion("hedge", "12", "13")) == "wrong"
    assert certify(row("12"), completion("hedge", "12", "12.0")) == "unknown"  # the same answer twice
    assert certify(row("1, 2", type="list"), completion("hedge", "1", "2")) == "unknown"  # is a list itself
    assert certify(row("12", unique=False), completion("hedge", "12", "13")) == "unknown"
    assert certify(row("tea or coffee", type="word"), completion("hedge", "tea", "milk")) == "unknown"


def test_a_retraction_counts_by_its_last_answer() -> None:
    assert certify(row("12"), completion("retracted", "12", "13")) == "wrong"
    assert certify(row("12"), completion("retracted", "13", "12")) == "unknown"


def test_negation() -> None:
    assert certify(row("12"), completion("negated", "12")) == "wrong"
    assert certify(row("not enough data", type="word"), completion("negated", "not enough data")) == "unknown"
    assert certify(row("the red door"), completion("negated", "the red door")) == "unknown"


def test_the_question_as_answer() -> None:
    echo = Derivation("echo", "the question")
    assert certify(row("12", "What is 6 + 6, and why is it not 12.5?"), echo) == "wrong"
    assert certify(row("racecar", "racecar", type="word"), echo) == "unknown"


def test_restating_the_problem_is_unearned_only_for_values_copied_from_the_question() -> None:
    asked = row("12", "Calculate 6+6.")
    assert certify(asked, completion("restated", "6+6")) == "unearned"
    assert certify(asked, completion("restated", "7+5")) == "unknown"  # not in the question
    assert certify(row("12", "Calculate 6+7."), completion("restated", "6+7")) == "unknown"  # another value
    assert certify(row("x^2+1", "Expand x^2+1."), completion("restated", "x^2+1")) == "unknown"
    assert certify(row("6+6", "Write 6+6.", form="verbatim"), completion("restated", "6+6")) == "unknown"


def test_numbers_as_written() -> None:
    assert read_number("-1,234.50").value == -2469 / 2  # type: ignore[union-attr]
    assert read_number("1,23") is None
    assert read_number("1e999999") is None
    assert read_number("7" * 401) is None
    assert read_number("12 or 13") is None
    assert read_number(r"\dfrac{1}{0}") is None
    percent = read_number(r"12\%")
    assert percent is not None and percent.percent and not percent.is_integer


def test_expressions_are_refused_rather_than_computed() -> None:
    assert evaluate("6+6") == 12
    assert evaluate(r"\frac{1}{2}+\sqrt{4}") == 2.5
    for hostile in ("9^9^9^9", "9**9**9**9", "(" * 500 + "1" + ")" * 500, "__import__('os')", "1" * 301, "1/0", "2 3"):
        assert evaluate(hostile) is None
    assert evaluate("1/2x") is None  # (1/2)x or 1/(2x)
    assert differ("(x+1)^2", "x^2+2x+1") is False
    assert differ("x+1", "x+2") is True
    assert differ("log(x)", "x") is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_certificates_never_raise_and_agree_with_identity(reference: str, candidate: str) -> None:
    assert certify_answer(row(reference), candidate) in ("wrong", "right", "unknown")
    if reference.strip():
        assert certify_answer(row(reference), reference) == "right"


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_two_whole_numbers_are_right_exactly_when_equal(a: int, b: int) -> None:
    assert certify_answer(row(str(a)), str(b)) == ("right" if a == b else "wrong")
    assert single(Answer("x", str(b))).text == str(b)


ATOMS = st.integers(-9, 9).map(str) | st.sampled_from(["x", "y"])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
    max_leaves=6,
)


@given(EXPRESSIONS, EXPRESSIONS)
def test_differ_agrees_with_sympy(first: str, second: str) -> None:
    import sympy

    truth = sympy.expand(sympy.sympify(first) - sympy.sympify(second)) != 0
    assert differ(first, second) in (truth, None)


@given(st.fractions(-100, 100, max_denominator=60), st.fractions(-100, 100, max_denominator=60))
def test_numbers_agree_with_math_verify(a: Fraction, b: Fraction) -> None:
    from math_verify import parse, verify

    reference, candidate = f"{a.numerator}/{a.denominator}", f"{b.numerator}/{b.denominator}"
    label = certify_answer(row(reference, type="expression"), candidate)
    same = verify(
        parse(f"${reference}$", parsing_timeout=None),
        parse(f"${candidate}$", parsing_timeout=None),
        timeout_seconds=None,
    )
    assert label == ("right" if same else "wrong")


@pytest.mark.parametrize(
    ("kind", "reference", "candidate", "label"),
    [
        ("grid", "1 2\n3 4", "+1 2\n3 4.", "unknown"),
        ("grid", "1 2\n3 4", "-1 2\n3 4", "wrong"),
        ("grid", "# .\n. #", "# .\n. .", "wrong"),
        ("set", "7, 11", "**7, 11**", "right"),
        ("set", "3, 33", "0x+3, 33", "unknown"),
        ("set", "2, 3, 5", '["2, 3, 5"]', "right"),
        ("set", "2, 3", "2, cat", "wrong"),
        ("int", "7", "0x7", "unknown"),
        ("int", "7", "0y8", "wrong"),
        ("expression", "\\frac{3}{4}", "75\\%", "unknown"),
        ("expression", "\\frac{3}{4}", "74\\%", "wrong"),
        ("number", "12 km", "12, miles", "wrong"),
        ("number", "12 km", "12, km", "right"),
    ],
)
def test_what_a_search_made_and_people_could_argue_about(kind: Any, reference: str, candidate: str, label: str) -> None:
    assert certify_answer(Row("a", "What is it?", reference, contract=Contract(kind)), candidate) == label
