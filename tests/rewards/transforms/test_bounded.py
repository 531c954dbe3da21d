"""Transforms of single rewards, with numbers by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trueward.rewards.transforms import ceiling, clip, polynomial, sigmoid, tanh
from trueward.rewards.transforms.bounded import log_logistic, logistic
from trueward.status import Status

FAILED = [Status.OK, Status.TIMED_OUT, Status.ABSTAINED]


@pytest.mark.parametrize(
    ("transform", "by_hand", "low", "high"),
    [
        (clip(-1.0, 2.0), [-1.0, 0.0, 2.0], -1.0, 2.0),
        (ceiling(2.0), [-4.0, 0.0, 2.0], None, 2.0),
        (sigmoid(), [1 / (1 + math.exp(4)), 0.5, 1 / (1 + math.exp(-3))], 0.0, 1.0),
        (sigmoid(2.0), [1 / (1 + math.exp(8)), 0.5, 1 / (1 + math.exp(-6))], 0.0, 1.0),
        (tanh(), [math.tanh(-4), 0.0, math.tanh(3)], -1.0, 1.0),
    ],
    ids=["clip", "ceiling", "sigmoid", "sigmoid 2", "tanh"],
)
def test_by_hand(
    changed: Any, part_of: Any, transform: Any, by_hand: list[float], low: float | None, high: float
) -> None:
    part = changed(transform, [-4.0, 0.0, 3.0])
    np.testing.assert_allclose(part.values, by_hand, rtol=1e-14)
    assert (part.low, part.high) == (low, high)


def test_a_declared_range_is_transformed_with_the_values(changed: Any, part_of: Any) -> None:
    part = changed(clip(-5.0, 0.5), part_of([0.0, np.nan, np.nan], FAILED, low=0.0, high=1.0))
    assert (part.low, part.high) == (0.0, 0.5)
    np.testing.assert_array_equal(part.filled(), [0.0, 0.0, np.nan])
    part = changed(sigmoid(), part_of([0.0, np.nan, np.nan], FAILED, low=-1.0, high=1.0))
    assert (part.low, part.high) == pytest.approx((1 / (1 + math.e), 1 / (1 + 1 / math.e)))


def test_extreme_rewards_saturate_without_overflow() -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        np.testing.assert_array_equal(logistic(np.array([-1e308, -1e4, 0.0, 1e308])), [0.0, 0.0, 0.5, 1.0])
        assert logistic(np.array([-40.0]))[0] == pytest.approx(math.exp(-40.0), rel=1e-14)
        np.testing.assert_array_equal(log_logistic(np.array([-1e4, 1e4])), [-1e4, 0.0])
    assert log_logistic(np.array([0.0]))[0] == pytest.approx(-math.log(2))


def test_the_polynomial_is_the_best_one_of_its_degree(changed: Any) -> None:
    points = np.linspace(-5.0, 5.0, 1001)
    fitted = changed(polynomial(), points).values
    residual = fitted - 1 / (1 + np.exp(-points))
    # Of the best fit the residual is orthogonal to everything that the polynomial could still do.
    for power in range(6):
        assert abs(residual @ (points / 5.0) ** power) < 1e-9
    assert 1e-3 < np.abs(residual).max() < 0.03
    np.testing.assert_array_equal(changed(polynomial(), [-5.1, 5.1]).values, [0.0, 1.0])


def test_entries_of_segments_that_do_not_exist_stay_what_they_were(changed: Any) -> None:
    part = changed(sigmoid(), [[0.0, 0.0], [0.0]])
    np.testing.assert_array_equal(part.values, [[0.5, 0.5], [0.5, np.nan]])
    np.testing.assert_array_equal(part.filled(), [[0.5, 0.5], [0.5, 0.0]])


def test_many_bad_steps_never_earn_less_than_breaking_the_reward(changed: Any, part_of: Any) -> None:
    part = changed(clip(-1.0, 1.0), part_of([[-1.0, -1.0, -1.0], [np.nan] * 3], [Status.OK, Status.RAISED]))
    np.testing.assert_array_equal(part.filled().sum(axis=1), [-3.0, -3.0])


@pytest.mark.parametrize(
    "wrong", [lambda: clip(1.0, 1.0), lambda: ceiling(math.inf), lambda: sigmoid(0.0), lambda: sigmoid(math.nan)]
)
def test_parameters_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|needed"):
        wrong()
