"""Batches: few calls, and no row taints another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.errors import Unavailable
from trueward.rewards.runner import InProcess
from trueward.rewards.runner.batches import run_in_batches
from trueward.rewards.runner.types import Item, Outcome
from trueward.status import Status


class Numbers:
    """Scores numbers as themselves, and does what else it is told; remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def score_rows(self, rows: Sequence[Item]) -> object:
        texts = [row.completion for row in rows]
        self.calls.append(texts)
        if "raise" in texts:
            raise ValueError("what was that?")
        if "down" in texts:
            raise Unavailable("nobody is there")
        return [float(text) for text in texts if text != "drop"]


def run(texts: Sequence[str], size: int, **settings: Any) -> tuple[tuple[Outcome, ...], int, list[list[str]]]:
    leaf = Numbers()
    batched = run_in_batches(InProcess({"r": leaf}), "r", [Item("p", text) for text in texts], size, **settings)
    return batched.outcomes, batched.calls, leaf.calls


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 7), (2, [2, 2, 2, 1]), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_rows_of_a_call(size: int, lengths: list[int]) -> None:
    outcomes, calls, seen = run([str(n) for n in range(7)], size)
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, 3, 4, 5, 6]
    assert [len(call) for call in seen] == lengths
    assert calls == len(lengths)


def test_no_rows() -> None:
    assert run([], 4) == ((), 0, [])


@pytest.mark.parametrize(
    ("bad", "status"),
    [("raise", Status.RAISED), ("drop", Status.WRONG_COUNT), ("down", Status.UNAVAILABLE)],
)
def test_one_bad_row_costs_nobody_else_its_score(bad: str, status: Status) -> None:
    texts = ["0", "1", bad, "3", "4", "5"]
    outcomes, calls, seen = run(texts, 3)
    assert [outcome.value for outcome in outcomes] == [0, 1, None, 3, 4, 5]
    assert outcomes[2].status is status
    # Two batches and three rows alone; an exception is repeated once before the answer is blamed.
    assert calls == len(seen) == (6 if bad == "raise" else 5)
    assert outcomes[2].attempts == (2 if bad == "raise" else 1)


def test_without_repeats_a_failed_batch_is_still_taken_apart() -> None:
    outcomes, calls, seen = run(["0", "raise", "2"], 3, retry=False)
    assert [outcome.value for outcome in outcomes] == [0, None, 2]
    assert calls == len(seen) == 4
    assert outcomes[1].attempts == 1


def test_a_bad_row_in_every_batch() -> None:
    outcomes, _, _ = run(["0", "down", "2", "down", "4", "5"], 2)
    assert [outcome.value for outcome in outcomes] == [0, None, 2, None, 4, 5]


def test_a_row_that_is_no_score_stays_with_its_row() -> None:
    class Odd:
        def score_rows(self, rows: Sequence[Item]) -> object:
            return [
                None if row.completion == "none" else float("nan") if row.completion == "nan" else 1 for row in rows
            ]

    items = [Item("p", text) for text in ("a", "none", "nan")]
    batched = run_in_batches(InProcess({"r": Odd()}), "r", items, 8)
    assert [o.status for o in batched.outcomes] == [Status.OK, Status.ABSTAINED, Status.NOT_FINITE]
    assert batched.calls == 1


def test_seconds_are_a_rows_share_of_its_call() -> None:
    class Timed(InProcess):
        def run(self, address: str, calls: Any, **settings: Any) -> list[list[Outcome]]:
            return [[Outcome(1.0, Status.OK, seconds=6.0) for _ in rows] for rows in calls]

    items = [Item("p", str(n)) for n in range(4)]
    assert [o.seconds for o in run_in_batches(Timed({}), "r", items, 3).outcomes] == [2.0, 2.0, 2.0, 6.0]


@given(st.lists(st.sampled_from(["1", "2.5", "-3", "raise", "drop", "down"]), max_size=20), st.integers(1, 9))
def test_batches_say_what_single_calls_say(texts: list[str], size: int) -> None:
    alone, _, _ = run(texts, 1)
    outcomes, calls, seen = run(texts, size)
    assert [(o.value, o.status, o.detail) for o in outcomes] == [(o.value, o.status, o.detail) for o in alone]
    assert calls == len(seen)
