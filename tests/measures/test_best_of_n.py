"""Best-of-n against enumeration of every draw, and against numbers by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueward.measures.best_of_n import averaged, best_of_n, curve, expected_rewards, pass_at_k, rank_weights


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
        pass_at_k(np.array([3]), np.array([2]), [1])
    with pytest.raises(ValueError, match="1 <= k <= samples"):
        pass_at_k(np.array([1, 1]), np.array([2, 3]), [1, 3])


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_pass_at_k_agrees_with_every_draw(case: tuple[int, int]) -> None:
    correct, samples = case
    k = range(1, samples + 1)
    right = [True] * correct + [False] * (samples - correct)
    expected = [np.mean([any(draw) for draw in itertools.combinations(right, size)]) for size in k]
    np.testing.assert_allclose(pass_at_k(np.array([correct]), np.array([samples]), k)[0], expected, atol=1e-12)


def test_pass_at_k_of_prompts_with_different_numbers_of_samples() -> None:
    made = pass_at_k(np.array([0, 1, 3, 10]), np.array([4, 4, 3, 1000]), [1, 3])
    # 1 - C(990, 3) / C(1000, 3) = 1 - (990 · 989 · 988) / (1000 · 999 · 998)
    last = 1 - 990 * 989 * 988 / (1000 * 999 * 998)
    np.testing.assert_allclose(made, [[0, 0], [1 / 4, 3 / 4], [1, 1], [1 / 100, last]], rtol=1e-9, atol=1e-12)


def test_pass_at_k_reduces_to_the_best_of_k_by_a_proxy_that_is_gold() -> None:
    gold = np.random.default_rng(0).integers(0, 2, size=(30, 40)).astype(float)
    k = [1, 2, 5, 40]
    made = pass_at_k(gold.sum(axis=1).astype(int), np.full(30, 40), k)
    np.testing.assert_allclose(made, best_of_n(gold, gold, k), atol=1e-12)


def test_prompts_may_come_in_any_order_and_in_parts() -> None:
    draw = np.random.default_rng(0)
    proxy, gold = draw.normal(size=(2, 9, 16))
    proxy = np.round(proxy, 1)  # with ties
    n = [1, 3, 16]
    whole = expected_rewards(proxy, gold, n)
    parts = [expected_rewards(proxy[part], gold[part], n) for part in (slice(0, 4), slice(4, 9))]
    for one, first, second in zip(whole, *parts, strict=True):
        np.testing.assert_allclose(one, np.concatenate([first, second]), atol=1e-12)
    order = draw.permutation(16)
    for one, permuted in zip(whole, expected_rewards(proxy[:, order], gold[:, order], n), strict=True):
        np.testing.assert_allclose(one, permuted, atol=1e-12)
    # The inputs are left as they were.
    np.testing.assert_array_equal(proxy, np.round(proxy, 1))


def test_intervals_are_those_of_prompts_drawn_one_by_one() -> None:
    draw = np.random.default_rng(3)
    by_proxy, by_gold = draw.normal(size=(2, 25, 3))
    made = averaged(by_proxy, by_gold, [1, 2, 4], resamples=4000)
    by_hand = np.array([by_gold[draw.integers(0, 25, size=25)].mean(axis=0) for _ in range(4000)])
    spread = by_hand.std(axis=0)
    np.testing.assert_allclose(
        made.gold_interval, np.quantile(by_hand, (0.025, 0.975), axis=0), atol=0.12 * spread.max()
    )
    again = averaged(by_proxy, by_gold, [1, 2, 4], resamples=4000)
    np.testing.assert_array_equal(made.gold_interval, again.gold_interval)


def test_the_interval_of_the_fall_is_paired() -> None:
    # Prompts differ by far more than gold falls, and by the same amount at every n: the fall itself is certain.
    level = np.linspace(-50.0, 50.0, 21)[:, None]
    by_gold = level + np.array([0.0, 1.0, 0.25])
    made = averaged(by_gold, by_gold, [1, 2, 4])
    assert (made.peak, made.fall) == (1, pytest.approx(0.75))
    np.testing.assert_allclose(made.fall_interval, (0.75, 0.75), atol=1e-9)
    assert made.gold_interval[1][1] - made.gold_interval[0][1] > 10


def test_no_fall_is_seen_where_there_is_none_although_the_peak_is_picked() -> None:
    # All n have the same expectation, so that some peak always lies before the end; one in twenty may be believed.
    draw = np.random.default_rng(0)
    believed = picked = 0
    for seed in range(200):
        noise = draw.normal(size=(60, 12))
        made = averaged(noise, noise, list(range(1, 13)), resamples=400, seed=seed)
        believed += made.fall_interval[0] > 0
        drawn = np.array([noise[draw.integers(0, 60, size=60)].mean(axis=0) for _ in range(200)])
        picked += np.quantile(drawn[:, made.peak] - drawn[:, -1], 0.025) > 0
    assert believed <= 16
    # The plain interval of the picked difference would believe several times as many.
    assert picked > 2 * believed
