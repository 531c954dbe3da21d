"""The bootstrap: its mean and spread are those that are known, blocks do not matter, rows stay together."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.measures.resampling import resampled_means, sums_by


def test_mean_and_spread() -> None:
    values = np.random.default_rng(0).normal(size=(50, 2)) * [1.0, 3.0]
    drawn = resampled_means(values, 4000, seed=1)
    assert drawn.shape == (4000, 2)
    # The spread of a resampled mean is √(Σ(x − mean)²) / n.
    expected = values.std(axis=0) / np.sqrt(50)
    assert np.allclose(drawn.mean(axis=0), values.mean(axis=0), atol=5 * expected / np.sqrt(4000))
    assert np.allclose(drawn.std(axis=0), expected, rtol=0.05)


def test_columns_are_drawn_together_and_seeds_repeat() -> None:
    values = np.random.default_rng(0).normal(size=(20, 1))
    drawn = resampled_means(np.concatenate([values, 2 * values], axis=1), 50)
    assert np.allclose(drawn[:, 1], 2 * drawn[:, 0])
    assert np.array_equal(drawn, resampled_means(np.concatenate([values, 2 * values], axis=1), 50))
    assert not np.array_equal(drawn, resampled_means(np.concatenate([values, 2 * values], axis=1), 50, seed=1))


def test_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(10, 1))
    whole = resampled_means(values, 23)
    monkeypatch.setattr("trueward.measures.resampling._DRAWN_AT_ONCE", 40)
    assert np.array_equal(whole, resampled_means(values, 23))


def test_sums_by_hand() -> None:
    sums = sums_by(np.array(["b", "a", "b"]), np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]))
    assert np.array_equal(sums, [[2.0, 20.0], [4.0, 40.0]])
