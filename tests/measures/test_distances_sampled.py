"""Rewards as functions: exact on samples that hold everything, unbiased in noise, values linear in the reward."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from trueward.measures.distances import (
    epic_distance,
    fit_values,
    fourier_features,
    sampled_epic_distance,
    sampled_starc_distance,
    starc_distance,
)
from trueward.measures.tabular import TabularMDP, policy_values, redistributed, shaped, uniform_policy

S, A = 5, 3


def world(stochastic: bool) -> TabularMDP:
    generator = np.random.default_rng(0)
    transitions = np.eye(S)[generator.integers(S, size=(S, A))]
    if stochastic:
        transitions = generator.dirichlet(np.ones(S), (S, A))
    return TabularMDP(transitions, np.full(S, 1 / S), 0.9)


def rewards(mdp: TabularMDP, count: int = 2) -> list[np.ndarray]:
    first, *others = np.random.default_rng(1).normal(size=(count, S, A, S))
    return [first, *(first + 0.7 * other for other in others)]


def function(table: np.ndarray) -> Callable[..., np.ndarray]:
    return lambda o, a, n: table[o, a, n]


def every(*sizes: int) -> list[np.ndarray]:
    return [np.array(column) for column in zip(*itertools.product(*map(range, sizes)), strict=True)]


def draw(mdp: TabularMDP) -> Callable[..., np.ndarray]:
    def simulate(state: np.ndarray, action: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        bounds = mdp.transitions[state, action].cumsum(axis=1)
        return np.minimum((generator.random(len(state))[:, None] > bounds).sum(axis=1), S - 1)

    return simulate


def values(mdp: TabularMDP, table: np.ndarray) -> Callable[..., np.ndarray]:
    found = policy_values(mdp, table, uniform_policy(mdp))
    return lambda o: found[o]


def estimate(mdp: TabularMDP, a: np.ndarray, b: np.ndarray, repeat: int = 1, **options: int):  # type: ignore[no-untyped-def]
    state, action = (np.tile(side, repeat) for side in every(S, A))
    return sampled_starc_distance(
        function(a), function(b), state, action, draw(mdp), values(mdp, a), values(mdp, b), discount=0.9, **options
    )


def test_deterministic_worlds_are_exact() -> None:
    mdp = world(False)
    a, b = rewards(mdp)
    found = estimate(mdp, a, b)
    assert found.distance == pytest.approx(starc_distance(a, b, mdp), abs=1e-10)
    assert found.low <= found.distance <= found.high
    assert found.units == S * A
    again = shaped(a, np.arange(S) * 3.0, mdp)
    assert estimate(mdp, a, 2 * again).distance < 1e-10
    assert estimate(mdp, a, -again).distance == pytest.approx(2, abs=1e-10)


def test_noise_of_next_states_is_no_difference() -> None:
    mdp = world(True)
    a, b = rewards(mdp)
    exact = starc_distance(a, b, mdp)
    found = estimate(mdp, a, b, repeat=40, draws=8)
    assert found.distance == pytest.approx(exact, abs=0.05)
    assert found.low < exact < found.high
    # A redistributed reward is the same reward; one draw of S' cannot know, many can.
    moved = redistributed(a, mdp, np.random.default_rng(2))
    assert estimate(mdp, a, moved, repeat=40).distance > 0.5
    assert estimate(mdp, a, moved, repeat=40, draws=200).distance < 0.15


def test_products_between_draws_are_unbiased() -> None:
    """With two draws the norms themselves are right in the mean; those of the averages would be too long."""
    mdp = world(True)
    a, b = rewards(mdp)
    few = [estimate(mdp, a, b, repeat=200, draws=2, seed=seed, resamples=2).distance for seed in range(30)]
    assert np.mean(few) == pytest.approx(starc_distance(a, b, mdp), abs=0.04)


def test_what_noise_hides_is_said() -> None:
    """A reward that is all scatter: the estimates of its length are as often below 0 as above."""
    mdp = world(True)
    noise = redistributed(np.zeros(S), mdp, np.random.default_rng(5))
    a, _ = rewards(mdp)
    said = []
    for seed in range(12):
        try:
            estimate(mdp, a, noise, draws=2, seed=seed, resamples=2)
        except ValueError as error:
            said.append(str(error))
    assert 2 <= len(said) <= 10
    assert all("take more draws" in text for text in said)
    with pytest.raises(ValueError, match="draws is 0"):
        estimate(mdp, a, noise, draws=0)


def test_terminal_steps_lead_to_nothing() -> None:
    def paid(o: np.ndarray, a: np.ndarray, n: np.ndarray) -> np.ndarray:
        return o + a

    def half(o: np.ndarray, a: np.ndarray, n: np.ndarray) -> np.ndarray:
        return 0.5 * o + a

    def value(o: np.ndarray) -> np.ndarray:
        return np.ones(len(o))

    o, a = np.array([0.0, 0.0, 3.0, 3.0]), np.array([0.0, 1.0, 0.0, 1.0])
    ends = np.array([True, True, False, False])
    found = sampled_starc_distance(
        paid, half, o, a, lambda o, a, g: (o, ends), value, value, discount=0.5, draws=1, resamples=2
    )
    x = o + a - 1 + np.where(ends, 0, 0.5)
    y = 0.5 * o + a - 1 + np.where(ends, 0, 0.5)
    cosine = x @ y / np.sqrt((x @ x) * (y @ y))
    assert found.distance == pytest.approx(np.sqrt(2 - 2 * cosine), abs=1e-12)


def test_a_trivial_reward_is_one_away() -> None:
    mdp = world(False)
    a, _ = rewards(mdp)
    nothing = shaped(np.zeros(S), np.arange(S) * 1.0, mdp)
    assert estimate(mdp, a, nothing).distance == pytest.approx(1, abs=1e-12)
    assert estimate(mdp, nothing, 2 * nothing).distance == 0


def test_rows_of_an_episode_are_drawn_together() -> None:
    mdp = world(False)
    a, b = rewards(mdp)
    copies = {"episode": np.tile(np.arange(S * A), 10)}
    state, action = (np.tile(side, 10) for side in every(S, A))
    arguments = (function(a), function(b), state, action, draw(mdp), values(mdp, a), values(mdp, b))
    apart = sampled_starc_distance(*arguments, discount=0.9)
    together = sampled_starc_distance(*arguments, discount=0.9, **copies)
    assert together.distance == pytest.approx(apart.distance, abs=1e-12)
    assert together.units == S * A
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_sampled_epic_on_everything_is_exact() -> None:
    mdp = world(False)
    a, b = rewards(mdp)
    o, c, n = every(S, A, S)
    actions, following = every(A, S)

    def found(left: np.ndarray, right: np.ndarray) -> float:
        return sampled_epic_distance(
            function(left), function(right), o, c, n, actions, following, discount=0.9, resamples=5
        ).distance

    assert found(a, b) == pytest.approx(epic_distance(a, b, mdp), abs=1e-10)
    assert found(a, 3 * shaped(a, np.arange(S) * 2.0, mdp) + 1) < 1e-10
    assert found(a, -a) == pytest.approx(1, abs=1e-10)
    assert found(a, np.full((S, A, S), 2.0)) == pytest.approx(0.5, abs=1e-10)


def test_sampled_epic_covers_the_distance() -> None:
    mdp = world(False)
    a, b = rewards(mdp)
    exact = epic_distance(a, b, mdp)
    held = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        o, n, following = (generator.integers(S, size=size) for size in (150, 150, 60))
        c, actions = (generator.integers(A, size=size) for size in (150, 60))
        found = sampled_epic_distance(function(a), function(b), o, c, n, actions, following, discount=0.9, seed=seed)
        held += found.low <= exact <= found.high
    assert held >= 16


@pytest.mark.parametrize("returned", [np.zeros((2, 1)), np.array([1.0, np.nan]), np.zeros(3)])
def test_rewards_must_be_one_finite_number_per_row(returned: np.ndarray) -> None:
    two = np.zeros(2)
    with pytest.raises(ValueError, match="2 finite numbers"):
        sampled_starc_distance(
            lambda o, a, n: returned,
            lambda o, a, n: o,
            two,
            two,
            lambda o, a, g: o,
            np.zeros_like,
            np.zeros_like,
            discount=0.9,
        )


def one_hot(o: np.ndarray) -> np.ndarray:
    return np.eye(S)[o]


def test_values_of_every_state_are_exact() -> None:
    """One transition of each kind under the uniform policy: the fit is the value in the MDP."""
    mdp = world(False)
    a, _ = rewards(mdp)
    state, action = every(S, A)
    following = mdp.transitions[state, action].argmax(axis=1)
    none = np.zeros(len(state), dtype=bool)
    fitted = fit_values(a[state, action, following], state, following, none, 0.9, one_hot)
    assert np.allclose(fitted(np.arange(S)), policy_values(mdp, a, uniform_policy(mdp)), atol=1e-9)


def test_after_termination_nothing_is_added() -> None:
    # State 0 leads to 1 for 2, and from 1 the episode ends with 3: V = (2 + .5 · 3, 3).
    state, following, over = np.array([0, 1]), np.array([1, 0]), np.array([False, True])
    fitted = fit_values(np.array([2.0, 3.0]), state, following, over, 0.5, lambda o: np.eye(2)[o])
    assert np.allclose(fitted(np.arange(2)), [3.5, 3.0], atol=1e-12)


def test_fits_are_linear_and_drop_potentials_of_their_features() -> None:
    generator = np.random.default_rng(3)
    o = generator.normal(size=(600, 4))
    action = generator.normal(size=600)
    n = 0.8 * o + 0.3 * action[:, None] + 0.1 * generator.normal(size=(600, 4))
    over = generator.random(600) < 0.05
    features = fourier_features(o, generator, 20)

    def fit(r: np.ndarray) -> np.ndarray:
        return fit_values(r, o, n, over, 0.9, features)(o)

    a, b = np.tanh(o[:, 0]) + action, o[:, 1] * action
    assert np.allclose(fit(a - 2 * b), fit(a) - 2 * fit(b), atol=1e-8)
    potential = features(o) @ np.arange(21.0)
    ahead = np.where(over, 0, features(n) @ np.arange(21.0))
    assert np.allclose(fit(a + 0.9 * ahead - potential), fit(a) - potential, atol=1e-6)


def test_fit_refusals() -> None:
    o = np.zeros(3, dtype=int)
    over = np.zeros(3, dtype=bool)
    with pytest.raises(ValueError, match="not finite"):
        fit_values(np.array([0.0, np.nan, 0.0]), o, o, over, 0.9, lambda x: np.ones((len(x), 1)))
    with pytest.raises(ValueError, match="cannot fit 5 features"):
        fit_values(np.zeros(3), o, o, over, 0.9, one_hot)


def test_continuous_end_to_end() -> None:
    """A point on a line that is pushed; the shaped reward is the same, the opposite one is opposite."""
    generator = np.random.default_rng(4)
    o = generator.uniform(-1, 1, size=(800, 1))
    action = generator.uniform(-1, 1, size=(800, 1))

    def step(o: np.ndarray, a: np.ndarray, g: np.random.Generator) -> np.ndarray:
        return np.clip(o + 0.3 * a, -1, 1)

    n = step(o, action, generator)
    features = fourier_features(o, generator, 24)

    def near(o: np.ndarray, a: np.ndarray, n: np.ndarray) -> np.ndarray:
        return -np.abs(n[:, 0] - 0.5) - 0.1 * a[:, 0] ** 2

    def closer(o: np.ndarray, a: np.ndarray, n: np.ndarray) -> np.ndarray:
        waves = features.frequencies[0, 3], features.phases[3]
        phi = [5 * np.cos((x[:, 0] - features.centre[0]) / features.scale[0] * waves[0] + waves[1]) for x in (o, n)]
        return near(o, a, n) + 0.9 * phi[1] - phi[0]

    def far(o: np.ndarray, a: np.ndarray, n: np.ndarray) -> np.ndarray:
        return -closer(o, a, n)

    def distance(a: Callable[..., np.ndarray], b: Callable[..., np.ndarray]) -> float:
        none = np.zeros(800, dtype=bool)
        fits = [fit_values(r(o, action, n), o, n, none, 0.9, features) for r in (a, b)]
        return sampled_starc_distance(a, b, o, action, step, *fits, discount=0.9).distance

    assert distance(near, closer) < 1e-4
    assert distance(near, far) == pytest.approx(2, abs=1e-4)
    assert 0.05 < distance(near, lambda o, a, n: -np.abs(n[:, 0] + 0.5)) < 2
