"""Best-of-n against enumeration of every draw, and against numbers by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.measures.best_of_n import best_of_n, curve, pass_at_k, rank_weights


def by_enumeration(proxy: list[float], gold: list[float], n: int) -> float:
    """Mean over all draws of n samples of the gold of the best, ties sharing."""
    paid = []
    for draw in itertools.combinations(range(len(proxy)), n):
        best = max(proxy[i] for i in draw)
        winners = [gold[i] for i in draw if proxy[i] == best]
        paid.append(sum(winners) / len(winners))
    return sum(paid) / len(paid)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), min_size=1, max_size=7))
def test_agrees_with_every_draw(samples: list[tuple[int, int]]) -> None:
    proxy, gold = ([float(value) for value in column] for column in zip(*samples, strict=True))
    n = list(range(1, len(proxy) + 1))
    expected = best_of_n(np.array([proxy]), np.array([gold]), n)[0]
    np.testing.assert_allclose(expected, [by_enumeration(proxy, gold, k) for k in n], atol=1e-12)


def test_weights_by_hand() -> None:
    np.testing.assert_allclose(
        rank_weights(3, [1, 2, 3]), [[1 / 3, 1 / 3, 1 / 3], [0, 1 / 3, 2 / 3], [0, 0, 1]], atol=1e-15
    )
    np.testing.assert_allclose(rank_weights(5000, [1, 7, 4999]).sum(axis=1), 1.0, rtol=1e-9)


def test_reduces_to_mean_and_maximum() -> None:
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(4, 50))
    np.testing.assert_allclose(best_of_n(proxy, proxy, [1, 50]), np.stack([proxy.mean(1), proxy.max(1)], axis=1))


def test_the_curve_of_a_hacked_proxy_rises_and_its_gold_falls() -> None:
    proxy = np.tile(np.arange(8.0), (20, 1))
    gold = -((proxy - 4.0) ** 2) + np.arange(20.0)[:, None]
    made = curve(proxy, gold, [1, 2, 4, 8])
    assert (np.diff(made.proxy) > 0).all()
    assert made.gold[1] > made.gold[0] and made.gold[3] < made.gold[1]
    np.testing.assert_allclose(made.kl, [0.0, math.log(2) - 0.5, math.log(4) - 0.75, math.log(8) - 0.875])
    assert (made.gold_interval[0] <= made.gold).all() and (made.gold <= made.gold_interval[1]).all()
    # Every prompt has the same proxy, so resampling prompts changes nothing.
    np.testing.assert_allclose(made.proxy_interval[0], made.proxy_interval[1])


def test_impossible_arguments_are_refused() -> None:
    two = np.zeros((1, 2))
    with pytest.raises(ValueError, match="1…2"):
        best_of_n(two, two, [3])
    with pytest.raises(ValueError, match="finite"):
        best_of_n(np.array([[np.nan, 1.0]]), two, [1])
    with pytest.raises(ValueError, match="same samples"):
        curve(two, np.zeros((1, 3)), [1])
    with pytest.raises(ValueError, match="pass_at_k"):
        pass_at_k(3, 2, 1)


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.integers(1, n))))
def test_pass_at_k_agrees_with_every_draw(case: tuple[int, int, int]) -> None:
    correct, samples, k = case
    draws = list(itertools.combinations([True] * correct + [False] * (samples - correct), k))
    assert pass_at_k(correct, samples, k) == pytest.approx(sum(map(any, draws)) / len(draws))
