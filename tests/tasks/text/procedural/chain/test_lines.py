"""Lines of worked solutions, judged by hand and against what the writer knows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.errors import DataError
from trueward.tasks.text.procedural.chain import Operation, Problem, read_problem, read_solution, stated_answer
from trueward.tasks.text.procedural.chain.problems import draw_problem

# 7 + 5 = 12, 12 × 2 = 24, 24 − 3 = 21
PROBLEM = Problem(7, (Operation("+", 5), Operation("*", 2), Operation("-", 3)), 100)
RIGHT = "7 + 5 = 12 \n 12 * 2 = 24 \n 24 - 3 = 21 \n ans = 21"


def kinds(text: str, problem: Problem = PROBLEM) -> list[str]:
    return [line.kind for line in read_solution(problem, text)]


def truths(text: str, problem: Problem = PROBLEM) -> list[bool]:
    return [line.true for line in read_solution(problem, text)]


def test_values_by_hand() -> None:
    assert PROBLEM.values == (7, 12, 24, 21)
    assert PROBLEM.prompt == "start 7 ; + 5 ; * 2 ; - 3 ?"
    # 4 − 6 = −2 ≡ 5, and 5 × 3 = 15 ≡ 1 modulo 7
    assert Problem(4, (Operation("-", 6), Operation("*", 3)), 7).values == (4, 5, 1)


@given(st.integers(0, 2**32 - 1), st.integers(4, 120))
def test_a_prompt_is_read_back_as_its_problem(seed: int, modulus: int) -> None:
    problem = draw_problem(np.random.default_rng(seed), (1, 6), modulus)
    assert read_problem(problem.prompt, modulus) == problem
    assert all(0 <= value < modulus for value in problem.values)


@pytest.mark.parametrize(
    "prompt", ["", "start 7", "start x ; + 5 ?", "start 7 ; + 5", "start 7 ; / 5 ?", "start 7 + 5 ?"]
)
def test_other_prompts_are_refused(prompt: str) -> None:
    with pytest.raises(DataError, match="start"):
        read_problem(prompt, 100)


def test_a_right_solution() -> None:
    lines = read_solution(PROBLEM, RIGHT)
    assert [line.kind for line in lines] == ["step", "step", "step", "answer"]
    assert all(line.true and line.on_path and not line.duplicate for line in lines)
    assert [line.value for line in lines] == [12, 24, 21, 21]


@pytest.mark.parametrize(
    "text",
    [
        "so 7 + 5 = 12 \n so 12 * 2 = 24 \n so 24 - 3 = 21 \n ans = 21",
        "so then 7 + 5 = 12 \n so then 12 * 2 = 24 \n so then 24 - 3 = 21 \n ans = 21",
        "step 1 : 7 + 5 = 12 \n step 2 : 12 * 2 = 24 \n step 3 : 24 - 3 = 21 \n ans = 21",
        "12 = 7 + 5 \n 24 = 12 * 2 \n 21 = 24 - 3 \n ans = 21",
        "+ 5 = 12 \n * 2 = 24 \n - 3 = 21 \n ans = 21",
    ],
)
def test_every_style_claims_the_same(text: str) -> None:
    plain = [(line.kind, line.claim, line.true, line.on_path) for line in read_solution(PROBLEM, RIGHT)]
    assert [(line.kind, line.claim, line.true, line.on_path) for line in read_solution(PROBLEM, text)] == plain


def test_a_slip_that_is_carried_on_is_one_false_line_off_the_path() -> None:
    lines = read_solution(PROBLEM, "7 + 5 = 13 \n 13 * 2 = 26 \n 26 - 3 = 23 \n ans = 23")
    assert [line.kind for line in lines] == ["step", "step", "step", "answer"]
    assert [line.true for line in lines] == [False, True, True, False]
    assert not any(line.on_path for line in lines)


def test_a_repaired_slip_is_a_revision_and_returns_to_the_path() -> None:
    lines = read_solution(PROBLEM, "7 + 5 = 13 \n wait 7 + 5 = 12 \n 12 * 2 = 24 \n 24 - 3 = 21 \n ans = 21")
    assert [line.kind for line in lines] == ["step", "revision", "step", "step", "answer"]
    assert [line.on_path for line in lines] == [False, True, True, True, True]
    assert lines[1].marker == "wait"


def test_restatements_are_true_and_duplicates_are_literal() -> None:
    text = "7 + 5 = 12 \n 7 + 5 = 12 \n check 7 + 5 = 12 \n 12 * 2 = 24 \n 7 + 5 = 12 \n 24 - 3 = 21 \n ans = 21"
    lines = read_solution(PROBLEM, text)
    assert [line.kind for line in lines] == [
        "step", "restatement", "restatement", "step", "restatement", "step", "answer",
    ]  # fmt: skip
    assert [line.duplicate for line in lines] == [False, True, False, False, True, False, False]
    assert all(line.true for line in lines)


def test_empty_lines_are_lines_that_say_nothing() -> None:
    lines = read_solution(PROBLEM, "7 + 5 = 12 \n \n \n ans = 21 \n")
    assert [line.kind for line in lines] == ["step", "unread", "unread", "answer"]
    assert [line.duplicate for line in lines] == [False, False, True, False]


def test_a_repeated_false_line_is_no_restatement() -> None:
    assert kinds("7 + 5 = 13 \n 7 + 5 = 13 \n ans = 13") == ["step", "aside", "answer"]


def test_true_facts_that_were_never_said_are_asides() -> None:
    assert kinds("1 + 1 = 2 \n 7 + 5 = 12") == ["aside", "step"]
    assert kinds("12 - 5 = 7") == ["aside"]
    assert truths("1 + 1 = 2 \n 1 + 1 = 3") == [True, False]


def test_the_same_operation_twice_is_two_steps() -> None:
    twice = Problem(0, (Operation("*", 2), Operation("*", 2)), 100)
    lines = read_solution(twice, "0 * 2 = 0 \n 0 * 2 = 0 \n 0 * 2 = 0 \n ans = 0")
    assert [line.kind for line in lines] == ["step", "step", "restatement", "answer"]
    assert [line.duplicate for line in lines] == [False, False, True, False]


def test_a_terse_line_again_repeats_its_claim() -> None:
    lines = read_solution(PROBLEM, "+ 5 = 12 \n + 5 = 12 \n * 2 = 24")
    assert [line.kind for line in lines] == ["step", "restatement", "step"]
    assert lines[1].claim == lines[0].claim and lines[1].true
    # 12 + 5 is not 13: what was never said is read of the running value.
    assert truths("+ 5 = 12 \n + 5 = 13") == [True, False]


@pytest.mark.parametrize(
    "line", ["7 + 5 = 012", "7 + 5 = 100", "7 / 5 = 2", "7 + = 12", "so", "ans = x", "7 5 12", "٧ + 5 = 12"]
)
def test_what_is_no_claim_is_unread(line: str) -> None:
    assert kinds(line) == ["unread"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (RIGHT, 21),
        ("ans = 21", 21),
        ("ans = 20 \n ans = 21 \n \n", 21),
        ("ans = 21 \n ans = 20", 20),
        ("ans = 21 \n 7 + 5 = 12", None),
        ("ans = 21 21", None),
        ("21", None),
        ("", None),
    ],
)
def test_only_the_last_line_answers(text: str, answer: int | None) -> None:
    assert stated_answer(text, 100) == answer


@given(st.text(alphabet="0123456789+-*=: \nansowtchekpr", max_size=200))
def test_any_text_is_read(text: str) -> None:
    for line in read_solution(PROBLEM, text):
        assert line.kind == "unread" or line.value is not None
        assert not line.on_path or line.kind in ("step", "revision", "answer")
