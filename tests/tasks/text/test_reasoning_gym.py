"""Every set has a contract, and no contract contradicts the answers that its set stores."""

from __future__ import annotations

from typing import Any

import pytest

from trueward.audit.certificates.answers import certify_answer, possible_types
from trueward.rewards.reasoning_gym import reasoning_gym_leaf, set_names
from trueward.tasks.text.reasoning_gym import CONTRACTS, checker, rows_of

SLOW = {"knight_swap", "sokoban"}  # seconds for one entry; both have many right answers
WITHOUT_ANSWER = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}


def rows(name: str, size: int = 6) -> tuple[Any, ...]:
    leaf = reasoning_gym_leaf(name, {"size": size})
    return rows_of(name, {i: leaf.entry(i) for i in range(size)}, name)


def test_every_set_has_a_contract() -> None:
    assert sorted(CONTRACTS) == set_names()


@pytest.mark.parametrize("name", sorted(set(CONTRACTS) - SLOW))
def test_stored_answers_fit_their_contract(name: str) -> None:
    for row in rows(name):
        if name in WITHOUT_ANSWER:
            assert row.answer is None
            assert not row.contract.unique
        elif row.answer:
            assert certify_answer(row, row.answer, checker(name)) == "right"
            types = possible_types(row)
            if "grid" in types:
                assert any(char.isdigit() for char in row.answer)
            if "choice" in types and row.contract.choices:
                assert row.answer in row.contract.choices
            if "int" in types:
                assert row.answer.lstrip("-").replace(",", "").isdigit()


def test_countdown_is_checked_by_its_rules() -> None:
    check = checker("countdown")
    assert check is not None
    columns = {"metadata": {"numbers": [2, 3, 4], "target": 14}}
    assert check("2 + 3*4", columns) is True
    assert check("3*4 + 2", columns) is True
    assert check("14", columns) is False
    assert check("2 + 3 * 4 + 0", columns) is False
    assert check("2*3 + 4", columns) is False
    assert check("(2 - 2)", columns) is False
    assert check("4/(2-2)", columns) is False
    assert check("9**9**9", columns) is None
    assert check("__import__('os')", columns) is None


def test_queens_are_checked_by_their_rules() -> None:
    check = checker("n_queens")
    assert check is not None
    empty = {"metadata": {"puzzle": [["_"] * 4 for _ in range(4)]}}
    good = "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ Q _"
    assert check(good, empty) is True
    assert check(good.replace("_ Q _ _\n", "Q _ _ _\n", 1), empty) is False
    assert check("Q", empty) is None
    fixed = {"metadata": {"puzzle": [["Q", "_", "_", "_"], *[["_"] * 4 for _ in range(3)]]}}
    assert check(good, fixed) is False


def test_factors_are_checked_in_any_order() -> None:
    check = checker("prime_factorization")
    assert check is not None
    columns = {"metadata": {"factors": [2, 433]}}
    assert check("433 × 2", columns) is True
    assert check("2 × 432", columns) is False
    assert check("two", columns) is None


@pytest.mark.parametrize("name", ["countdown", "puzzle24", "prime_factorization", "n_queens"])
def test_stored_answers_are_never_called_wrong_by_their_checker(name: str) -> None:
    check = checker(name)
    assert check is not None
    verdicts = [check(row.answer, row.columns) for row in rows(name, 20)]
    assert False not in verdicts
    assert verdicts.count(True) >= 15
