"""The recurrence against a loop, at widths around the block."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.credit.scan import discounted_sums, varying_sums


def by_loop(values: np.ndarray, decays: np.ndarray) -> np.ndarray:
    summed = values.copy()
    for row in range(values.shape[0]):
        for t in range(values.shape[1] - 2, -1, -1):
            summed[row, t] = values[row, t] + decays[row, t] * summed[row, t + 1]
    return summed


def test_by_hand() -> None:
    np.testing.assert_array_equal(discounted_sums(np.array([[1.0, 2.0, 4.0]]), 0.5), [[3, 4, 4]])
    decays = np.array([[0.5, 0.0, 9.0]])
    np.testing.assert_array_equal(varying_sums(np.array([[1.0, 2.0, 4.0]]), decays), [[2, 2, 4]])


@pytest.mark.parametrize("width", [0, 1, 2, 15, 16, 17, 32, 255, 256, 257, 1025, 4100])
@pytest.mark.parametrize("decay", [0.0, 1e-9, 0.5, 0.9405, 0.999, 1.0])
def test_agrees_with_a_loop(width: int, decay: float) -> None:
    values = np.random.default_rng(width).normal(size=(3, width))
    before = values.copy()
    expected = by_loop(values, np.full(values.shape, decay))
    np.testing.assert_allclose(discounted_sums(values, decay), expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(varying_sums(values, np.full(values.shape, decay)), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(values, before)


def test_a_decay_of_one_is_a_cumulative_sum() -> None:
    values = np.random.default_rng(0).normal(size=(4, 777))
    np.testing.assert_allclose(discounted_sums(values, 1.0), values[:, ::-1].cumsum(axis=1)[:, ::-1], atol=1e-11)


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_other_decays_are_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        discounted_sums(np.zeros((1, 3)), decay)
