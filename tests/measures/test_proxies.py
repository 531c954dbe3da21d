"""Correlation of a proxy and its certificate: by hand, the three lines of the proof, and intervals that cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trueward.measures.divergences import chi_squared, kl, total_variation
from trueward.measures.proxies import (
    Correlated,
    Sampled,
    correlation,
    sampled_certificate,
    sampled_correlation,
    sampled_gain,
)

SEEDS = st.integers(0, 2**32 - 1)


def _distribution(generator: np.random.Generator, size: int) -> np.ndarray:
    return generator.dirichlet(np.full(size, 0.5)) * (1 - 1e-6) + 1e-6 / size


def test_by_hand() -> None:
    # Two coins: p = (0, 2, 0, 2), t = (0, 0, 1, 1); weights put .4 on both diagonals where they agree.
    proxy, true = np.array([0.0, 2.0, 0.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0])
    found = correlation(proxy, true, np.array([0.4, 0.1, 0.1, 0.4]))
    assert (found.proxy_mean, found.true_mean) == pytest.approx((1.0, 0.5))
    assert (found.proxy_deviation, found.true_deviation) == pytest.approx((1.0, 0.5))
    assert found.correlation == pytest.approx(0.8 - 0.2)
    assert found.penalty_weight == pytest.approx(0.8)
    # (.5 / (.6 · 1)) (1 − .8 √.25)
    assert found.promised(proxy_gain=1.0, chi_squared=0.25) == pytest.approx(0.5 / 0.6 * 0.6)
    assert found.budget(1.0) == pytest.approx(1 / 0.64)
    assert found.promised(1.0, found.budget(1.0)) == pytest.approx(0.0, abs=1e-12)


def test_weights_need_not_sum_to_one_and_shape_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    proxy, true, weights = generator.normal(size=(3, 4, 5))
    weights = np.abs(weights)
    one = correlation(proxy, true, weights)
    other = correlation(proxy.ravel(), true.ravel(), 7 * weights.ravel())
    assert one == pytest.approx(other) if isinstance(one, float) else vars(one) == pytest.approx(vars(other))


@given(SEEDS)
def test_the_proof(seed: int) -> None:
    generator = np.random.default_rng(seed)
    nu, mu = _distribution(generator, 12), _distribution(generator, 12)
    true = generator.normal(size=12)
    proxy = generator.uniform(0.1, 2) * true + generator.normal(size=12)
    base = correlation(proxy, true, nu)
    r = base.correlation
    if not 0.05 < r < 0.999:
        return
    f = (true - base.true_mean) / base.true_deviation
    standardised = (proxy - base.proxy_mean) / base.proxy_deviation
    # Line 1: the standardised proxy is r f + √(1 − r²) e, with e standardised and uncorrelated with f.
    e = (standardised - r * f) / math.sqrt(1 - r * r)
    assert [nu @ e, nu @ (e * f), nu @ e**2] == pytest.approx([0, 0, 1], abs=1e-9)
    # Line 2: means under μ.
    assert mu @ standardised == pytest.approx(r * (mu @ f) + math.sqrt(1 - r * r) * (mu @ e))
    # Line 3: Cauchy-Schwarz.
    assert abs(mu @ e) <= math.sqrt(chi_squared(mu, nu)) * (1 + 1e-9)
    promised = base.promised(float(mu @ proxy) - base.proxy_mean, chi_squared(mu, nu))
    assert mu @ true - base.true_mean >= promised - 1e-9


@given(SEEDS)
def test_the_certificate_is_tight(seed: int) -> None:
    """With μ = ν (1 + c e) the error is all that moves, and the bound is met with equality."""
    generator = np.random.default_rng(seed)
    nu = _distribution(generator, 8)
    true, noise = generator.normal(size=(2, 8))
    proxy = true + noise
    base = correlation(proxy, true, nu)
    if not 0.05 < base.correlation < 0.999:
        return
    f = (true - base.true_mean) / base.true_deviation
    e = (proxy - base.proxy_mean) / base.proxy_deviation - base.correlation * f
    e /= math.sqrt(1 - base.correlation**2)
    mu = nu * (1 + e * 0.5 / np.abs(e).max())
    promised = base.promised(float(mu @ proxy) - base.proxy_mean, chi_squared(mu, nu))
    assert mu @ true - base.true_mean == pytest.approx(promised, abs=1e-9)


def test_nothing_is_promised_without_correlation_or_where_the_base_never_goes() -> None:
    opposed = correlation(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    assert opposed.correlation == pytest.approx(-1.0)
    assert (opposed.promised(5.0, 0.0), opposed.budget(5.0)) == (-math.inf, 0.0)
    constant = correlation(np.full(5, 0.1), np.arange(5.0))
    assert math.isnan(constant.correlation) and math.isnan(constant.penalty_weight)
    assert (constant.promised(5.0, 0.0), constant.budget(5.0)) == (-math.inf, 0.0)
    same = correlation(np.arange(4.0), 3 * np.arange(4.0) + 1)
    assert same.promised(1.0, math.inf) == -math.inf
    assert same.promised(1.0, 100.0) == pytest.approx(3.0, rel=1e-3)


@given(arrays.arrays(np.float64, 6, elements=st.floats(-3, 3)), st.floats(0.1, 10), st.floats(-5, 5))
def test_scale_and_shift_of_the_proxy_change_nothing_but_its_units(
    noise: np.ndarray, scale: float, shift: float
) -> None:
    true = np.arange(6.0)
    proxy = true + np.round(noise, 3)
    one, other = correlation(proxy, true), correlation(scale * proxy + shift, true)
    if math.isnan(one.correlation):
        return
    assert other.correlation == pytest.approx(one.correlation, abs=1e-9)
    assert other.promised(scale * 0.7, 0.3) == pytest.approx(one.promised(0.7, 0.3), abs=1e-6)


def test_divergences_by_hand() -> None:
    mu, nu = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])
    assert chi_squared(mu, nu) == pytest.approx(0.25 + 0 + 0.25)
    assert kl(mu, nu) == pytest.approx(0.5 * math.log(2))
    assert total_variation(mu, nu) == pytest.approx(0.25)
    assert chi_squared(nu, mu) == kl(nu, mu) == math.inf
    # χ² = E_μ[μ/ν] − 1
    assert chi_squared(mu, nu) == pytest.approx(0.5 * 2 + 0.5 * 1 - 1)


def _episodes(
    generator: np.random.Generator, count: int, steps: int, within: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps whose true reward and error each have a share of their variance in common over an episode; r = .8."""
    draws = [
        np.sqrt(within) * generator.normal(size=(count, 1))
        + np.sqrt(1 - within) * generator.normal(size=(count, steps))
        for _ in range(2)
    ]
    true, error = draws
    return (0.8 * true + 0.6 * error).ravel(), true.ravel(), np.repeat(np.arange(count), steps)


def test_intervals_cover_where_steps_of_an_episode_resemble_one_another() -> None:
    covered = naive = 0
    for seed in range(80):
        proxy, true, episode = _episodes(np.random.default_rng(seed), 40, 10, within=0.8)
        low, high = sampled_correlation(Sampled(proxy, episode), true, seed=seed).correlation
        covered += low <= 0.8 <= high
        low, high = sampled_correlation(Sampled(proxy, np.arange(len(proxy))), true, seed=seed).correlation
        naive += low <= 0.8 <= high
    assert covered >= 0.88 * 80
    # Steps taken for independent: the control of the test.
    assert naive <= 0.65 * 80


def test_the_estimate_is_that_of_all_steps_and_agrees_with_numpy() -> None:
    proxy, true, episode = _episodes(np.random.default_rng(3), 30, 10, within=0.5)
    found = sampled_correlation(Sampled(1e6 + proxy, episode), true)
    assert found.value.correlation == pytest.approx(np.corrcoef(proxy, true)[0, 1])
    assert found.episodes == 30
    assert found.correlation[0] < found.value.correlation < found.correlation[1]
    assert found.penalty_weight[0] < found.value.penalty_weight < found.penalty_weight[1]
    assert sampled_correlation(Sampled(proxy, episode), true, seed=1) == sampled_correlation(
        Sampled(proxy, episode), true, seed=1
    )


def test_undefined_stays_undefined() -> None:
    found = sampled_correlation(Sampled(np.ones(20), np.arange(20)), np.arange(20.0))
    assert all(math.isnan(end) for end in (*found.correlation, found.value.correlation))


def test_a_sampled_certificate_holds_and_approaches_the_exact_one() -> None:
    generator = np.random.default_rng(5)
    nu, mu = _distribution(generator, 10), _distribution(generator, 10)
    mu = 0.7 * nu + 0.3 * mu
    true = generator.normal(size=10)
    proxy = true + 0.3 * generator.normal(size=10)
    exact = correlation(proxy, true, nu)
    promised = exact.promised(float(mu @ proxy) - exact.proxy_mean, chi_squared(mu, nu))
    under, over = generator.choice(10, 20000, p=nu), generator.choice(10, 20000, p=mu)
    found = sampled_certificate(
        Sampled(proxy[under], np.arange(20000)), true[under], Sampled(proxy[over], np.arange(20000)), (mu / nu)[over]
    )
    assert found.chi_squared == pytest.approx(chi_squared(mu, nu), rel=0.1)
    assert found.interval[0] < promised < found.interval[1]
    assert found.promised == pytest.approx(promised, abs=0.1)
    assert found.interval[0] <= mu @ true - nu @ true
    assert 0 < found.largest_share < 0.01


def test_a_sampled_certificate_of_the_base_policy_itself_promises_nothing_to_lose() -> None:
    proxy, true, episode = _episodes(np.random.default_rng(9), 50, 10, within=0.3)
    base = Sampled(proxy, episode)
    found = sampled_certificate(base, true, base, np.ones(len(proxy)))
    assert (found.promised, found.chi_squared) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_a_gain_by_hand_and_its_interval() -> None:
    base = Sampled(np.array([0.0, 2.0, 4.0]), np.array([0, 0, 1]), np.array([1.0, 0.5, 1.0]))
    policy = Sampled(np.full(4, 5.0), np.arange(4))
    value, (low, high) = sampled_gain(base, policy)
    # (0 + 1 + 4) / 2.5 = 2; the episodes alone have means 2/3 and 4.
    assert value == pytest.approx(3.0)
    assert (low, high) == pytest.approx((1.0, 5 - 2 / 3))
    covered = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        one = Sampled(generator.normal(0.0, 1.0, 60), np.arange(60))
        other = Sampled(generator.normal(0.5, 2.0, 80), np.arange(80))
        _, (low, high) = sampled_gain(one, other, seed=seed)
        covered += low <= 0.5 <= high
    assert covered >= 0.85 * 60


def test_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="not finite"):
        correlation(np.array([0.0, math.nan]), np.zeros(2))
    with pytest.raises(ValueError, match="weights"):
        correlation(np.zeros(2), np.zeros(2), np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="weights"):
        correlation(np.zeros(2), np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="level"):
        sampled_correlation(Sampled(np.arange(4.0), np.arange(4)), np.arange(4.0), level=1.0)
    base = Sampled(np.arange(4.0), np.arange(4))
    with pytest.raises(ValueError, match="ratios"):
        sampled_certificate(base, np.arange(4.0), base, np.array([1.0, 1.0, math.inf, 1.0]))
    assert isinstance(correlation(np.arange(3.0), np.arange(3.0)), Correlated)
