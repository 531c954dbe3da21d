"""Weights of decisions and whitening of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.credit import group_advantages, spread, weigh, whiten

MASK = np.array([[True, True, False], [True, False, True]])


def test_weights_by_hand() -> None:
    advantages = spread(np.array([2.0, -1.0]), 3)
    np.testing.assert_array_equal(
        weigh(advantages, np.array([[1.0, 0.0, 0.5], [1.1, 0.9, 2.0]])), [[2, 0, 1], [-1.1, -0.9, -2]]
    )
    np.testing.assert_array_equal(weigh(advantages, np.array([[0.5], [3.0]])), [[1, 1, 1], [-3, -3, -3]])
    np.testing.assert_array_equal(weigh(advantages, np.ones((2, 3))), advantages)


@pytest.mark.parametrize("weight", [-0.1, np.nan, np.inf])
def test_a_weight_never_turns_praise_into_blame(weight: float) -> None:
    with pytest.raises(ValueError, match="1 weights are negative or not finite"):
        weigh(np.ones((2, 3)), np.array([[1.0, 1.0, weight], [1.0, 1.0, 1.0]]))


def test_whitening_by_hand() -> None:
    found = whiten(np.array([[1.0, 3.0, 99.0], [5.0, np.nan, 7.0]]), MASK, epsilon=0.0)
    # 1, 3, 5, 7: mean 4, variance 20 / 3.
    np.testing.assert_allclose(found, np.array([[-3, -1, 0], [1, 0, 3]]) / (20 / 3) ** 0.5)


def test_whitening_is_a_z_score_over_one_group() -> None:
    rng = np.random.default_rng(0)
    advantages, mask = rng.normal(3.0, 5.0, size=(20, 30)), rng.random((20, 30)) < 0.6
    expected = group_advantages(advantages, np.zeros(20, dtype=int), valid=mask, epsilon=0.0)
    np.testing.assert_allclose(whiten(advantages, mask, epsilon=0.0), expected.values, rtol=1e-10, atol=1e-12)


def test_nothing_to_tell_apart_is_zero() -> None:
    assert not whiten(np.full((2, 3), 0.1), MASK, epsilon=0.0).any()
    assert not whiten(np.full((2, 3), 0.1), np.zeros((2, 3), dtype=bool)).any()
    with pytest.raises(ValueError, match="not finite"):
        whiten(np.full((2, 3), np.nan), MASK)
