"""Correlation of ranks by hand, and what it does not depend on."""

from __future__ import annotations

import numpy as np
import pytest

from trueward.measures.ranks import rank_correlation


def test_by_hand() -> None:
    # Differences of ranks 1, 1, 0, 0: 1 − 6 · 2 / (4 · 15).
    assert rank_correlation(np.array([1.0, 2.0, 3.0, 4.0]), np.array([20.0, 10.0, 30.0, 90.0])) == pytest.approx(0.8)


def test_equal_values_share_their_rank() -> None:
    # Ranks 1.5, 1.5, 3 and 1, 2, 3: covariance 1.5 over the root of 1.5 · 2.
    found = rank_correlation(np.array([5.0, 5.0, 7.0]), np.array([1.0, 2.0, 3.0]))
    assert found == pytest.approx(1.5 / np.sqrt(3.0))


def test_only_the_order_counts() -> None:
    values = np.random.default_rng(0).normal(size=(2, 40))
    found = rank_correlation(values[0], values[1])
    assert rank_correlation(np.exp(values[0]), values[1] ** 3) == pytest.approx(found)
    assert rank_correlation(-values[0], values[1]) == pytest.approx(-found)
    assert rank_correlation(values[0], np.exp(values[0])) == pytest.approx(1.0)


@pytest.mark.parametrize("sides", [([1.0], [2.0]), ([1.0, 1.0], [1.0, 2.0])])
def test_what_cannot_be_ranked_is_refused(sides: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="two or more pairs"):
        rank_correlation(*(np.array(side) for side in sides))
