"""Distances: by hand on two states, against published numbers, and the invariances as properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from trueward.measures.distances import (
    dard_distance,
    epic_distance,
    is_trivial,
    pearson_distances,
    starc_distance,
    starc_distances,
)
from trueward.measures.distances.canonical import Kind
from trueward.measures.tabular import TabularMDP, redistributed, shaped

STAY = np.array([[1.0, 0.0], [0.0, 0.0]])  # pays for staying in state 0
LEAVE = np.array([[0.0, 0.0], [0.0, 1.0]])  # pays for leaving state 1
KINDS: tuple[Kind, ...] = ("none", "epic", "dard", "value_potential", "value", "minimal_potential", "minimal")
NORMS = (1, 2, math.inf, "weighted_1", "weighted_2", "weighted_inf")


def two_states() -> TabularMDP:
    """Action 0 stays, action 1 goes to the other state."""
    transitions = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    return TabularMDP(transitions, np.array([0.5, 0.5]), 0.5)


def world(seed: int, states: int = 4, actions: int = 3, discount: float = 0.9) -> TabularMDP:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(states, 0.6), (states, actions))
    return TabularMDP(transitions, np.full(states, 1 / states), discount)


def reward(mdp: TabularMDP, seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 1000).normal(size=(mdp.states, mdp.actions, mdp.states))


def alike(mdp: TabularMDP, r: np.ndarray, seed: int) -> np.ndarray:
    """Another reward that orders all policies as r does."""
    generator = np.random.default_rng(seed)
    changed = redistributed(shaped(r, generator.normal(scale=5, size=mdp.states), mdp), mdp, generator)
    again: np.ndarray = float(generator.uniform(0.01, 100)) * changed
    return again


def test_starc_by_hand() -> None:
    # Advantages (.625, −.625, −.125, .125) and (−.125, .125, −.375, .375).
    cosine = -0.0625 / math.sqrt(0.8125 * 0.3125)
    assert starc_distance(STAY, LEAVE, two_states()) == pytest.approx(math.sqrt(2 - 2 * cosine), abs=1e-12)
    # L₁ norms of both, over s, a and s': 2 · 1.5 and 2 · 1; the largest difference of the quotients.
    largest = max(0.625 / 3 + 0.125 / 2, 0.125 / 3 + 0.375 / 2, abs(-0.125 / 3 + 0.375 / 2))
    assert starc_distance(STAY, LEAVE, two_states(), norm=1, metric="inf") == pytest.approx(largest, abs=1e-12)


def test_no_normalisation_by_hand() -> None:
    # The difference of the advantages is (.75, −.75, .25, −.25), twice each.
    distance = starc_distance(STAY, LEAVE, two_states(), norm=0)
    assert distance == pytest.approx(math.sqrt(2 * 2 * (0.75**2 + 0.25**2)), abs=1e-12)


def test_epic_by_hand() -> None:
    # STAY has mean rewards (.5, 0) of its states and .25 of all, LEAVE (0, .5) and .25.
    mdp = two_states()
    x = [0.625, 0.375, -0.375, -0.625, 0.125, -0.125, 0.125, -0.125]
    y = [-0.125, 0.125, -0.125, 0.125, -0.625, -0.375, 0.375, 0.625]
    rho = float(np.corrcoef(x, y)[0, 1])
    assert epic_distance(STAY, LEAVE, mdp) == pytest.approx(math.sqrt((1 - rho) / 2), abs=1e-12)
    assert epic_distance(STAY, 3 * STAY + 7, mdp) == pytest.approx(0, abs=1e-12)
    assert epic_distance(STAY, -STAY, mdp) == pytest.approx(1, abs=1e-12)


def test_numbers_of_the_authors() -> None:
    """Computed once with the published code of STARC and of EPIC, for the same draw."""
    generator = np.random.default_rng(2309)
    transitions = generator.dirichlet(np.full(4, 0.6), (4, 3))
    a, b = generator.normal(size=(4, 3, 4)), generator.normal(size=(4, 3, 4))
    mdp = TabularMDP(transitions, np.full(4, 0.25), 0.9)
    published: dict[Kind, tuple[float, float, float, float]] = {
        "value": (1.2773034789564042, 0.06511827913215978, 3.382415857612572, 6.214592409892821),
        "value_potential": (1.3137004435408335, 0.08646572547289891, 3.1691719930292264, 11.823449874764835),
        "epic": (1.2366473697314457, 0.06626205255440411, 3.3431801648369217, 7.25507149603216),
        "dard": (1.3160797513676676, 0.08367807546579278, 3.381543802717315, 10.04351730049904),
    }
    grid: list[tuple[int | float | str, int | float | str]] = [
        (2, 2),
        (1, math.inf),
        ("weighted_2", "weighted_1"),
        ("weighted_inf", 2),
    ]
    for kind, numbers in published.items():
        for (norm, metric), number in zip(grid, numbers, strict=True):
            ours = starc_distance(a, b, mdp, canonical=kind, norm=norm, metric=metric)
            assert ours == pytest.approx(number, abs=1e-8), (kind, norm, metric)
    assert epic_distance(a, b, mdp) == pytest.approx(0.6183236848657229, abs=1e-8)
    assert epic_distance(a, b, mdp, coverage=np.full((4, 3), 1 / 12)) == pytest.approx(0.6117912509645235, abs=1e-8)
    assert epic_distance(a, b, mdp, coverage=transitions) == pytest.approx(0.6117912509645235, abs=1e-8)
    assert dard_distance(a, b, mdp) == pytest.approx(0.6641722675966072, abs=1e-8)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), discount=st.sampled_from((0.0, 0.5, 0.95)))
def test_same_order_is_distance_zero(seed: int, discount: float) -> None:
    mdp = world(seed, discount=discount)
    r = reward(mdp, seed)
    again = alike(mdp, r, seed)
    for canonical in ("value", "minimal"):
        assert starc_distance(r, again, mdp, canonical=canonical) < 1e-8  # type: ignore[arg-type]
        assert starc_distance(r, -again, mdp, canonical=canonical) == pytest.approx(2, abs=1e-8)  # type: ignore[arg-type]
    for norm in NORMS:
        assert starc_distance(r, again, mdp, norm=norm, metric=norm) < 1e-8, norm


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_epic_and_dard_see_through_shaping_and_not_through_redistribution(seed: int) -> None:
    mdp = world(seed)
    r = reward(mdp, seed)
    generator = np.random.default_rng(seed)
    reshaped = 3 * shaped(r, generator.normal(scale=5, size=4), mdp)
    moved = redistributed(r, mdp, generator)
    for distance in (epic_distance, dard_distance):
        assert distance(r, reshaped, mdp) < 1e-8
        assert distance(r, moved, mdp) > 0.05
    for canonical in ("none", "epic", "dard", "value_potential", "minimal_potential"):
        assert starc_distance(r, moved, mdp, canonical=canonical) > 0.05  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_pseudometric(seed: int) -> None:
    mdp = world(seed)
    rewards = [reward(mdp, seed + i) for i in range(4)]
    for canonical in KINDS:
        d = starc_distances(rewards, mdp, canonical=canonical)
        assert np.allclose(d, d.T)
        assert not d.diagonal().any()
        assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-9).all()
        assert (d <= 2 + 1e-12).all()
    d = pearson_distances(rewards, mdp, "dard")
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-9).all()
    assert d[1, 2] == pytest.approx(dard_distance(rewards[1], rewards[2], mdp), abs=1e-12)
    assert pearson_distances(rewards, mdp)[0, 3] == pytest.approx(epic_distance(rewards[0], rewards[3], mdp), abs=1e-12)


@pytest.mark.parametrize("canonical", ["value", "minimal"])
def test_a_trivial_reward_is_one_away(canonical: Kind) -> None:
    mdp = world(3)
    r = reward(mdp, 3)
    nothing = alike(mdp, np.zeros((4, 3, 4)), 3)
    assert starc_distance(r, nothing, mdp, canonical=canonical) == pytest.approx(1, abs=1e-9)
    assert starc_distance(nothing, np.zeros(4), mdp, canonical=canonical) == 0
    assert starc_distance(np.zeros(4), np.zeros((4, 3)), mdp, canonical=canonical) == 0
    assert is_trivial(nothing, mdp)
    assert is_trivial(np.full(4, 5.0), mdp)
    assert not is_trivial(r, mdp)


def test_small_is_not_trivial() -> None:
    mdp = world(4)
    r = reward(mdp, 4)
    shaping = shaped(np.zeros(4), np.random.default_rng(4).normal(size=4), mdp)
    assert not is_trivial(1e-6 * r + shaping, mdp)
    assert starc_distance(r, 1e-6 * r + shaping, mdp) < 1e-6
    assert starc_distance(1e-200 * r, r, mdp) < 1e-8
    # In single precision a millionth of the shaping is rounding.
    assert is_trivial(shaping.astype(np.float32), mdp)
    assert not is_trivial((1e-3 * r + shaping).astype(np.float32), mdp)


def test_constant_rewards_have_no_correlation() -> None:
    mdp = world(5)
    r = reward(mdp, 5)
    assert epic_distance(r, np.full(4, 3.0), mdp) == pytest.approx(0.5, abs=1e-9)
    assert epic_distance(np.zeros(4), np.full(4, 3.0), mdp) == 0
    assert dard_distance(r, shaped(np.zeros(4), np.arange(4.0), mdp), mdp) == pytest.approx(0.5, abs=1e-9)


def test_coverage_decides_what_epic_looks_at() -> None:
    mdp = two_states()
    impossible = np.zeros((2, 2, 2))
    impossible[0, 0, 1] = 100.0
    spoiled = np.broadcast_to(STAY[:, :, None], (2, 2, 2)) + impossible
    assert epic_distance(STAY, spoiled, mdp) > 0.4
    # The canonical form averages over what cannot happen even where the coverage leaves it out.
    assert epic_distance(STAY, spoiled, mdp, coverage=np.ones((2, 2))) > 0.4
    # DARD draws S' from s and S'' from s', so that R(S', A, S'') may be an impossible step as well.
    assert 0.05 < dard_distance(STAY, spoiled, mdp, coverage=np.ones((2, 2))) < 0.3
    assert starc_distance(STAY, spoiled, mdp) < 1e-9


@pytest.mark.parametrize("coverage", [np.zeros((2, 2)), -np.ones((2, 2)), np.ones((2, 3)), np.full((2, 2), np.nan)])
def test_what_is_no_coverage(coverage: np.ndarray) -> None:
    with pytest.raises(ValueError, match="coverage"):
        epic_distance(STAY, LEAVE, two_states(), coverage=coverage)


def test_distributions_of_epic() -> None:
    mdp = two_states()
    first = np.array([1.0, 0.0])
    # With D_S all on state 0 and D_A on staying, the mean reward of state 0 is 1, of state 1 is 0.
    full = np.broadcast_to(STAY[:, :, None], (2, 2, 2))
    canonical = full + 0.5 * np.array([1.0, 0.0]) - np.array([1.0, 0.0])[:, None, None] - 0.5
    other = np.broadcast_to(LEAVE[:, :, None], (2, 2, 2))
    rho = float(np.corrcoef(canonical.ravel(), other.ravel())[0, 1])
    distance = epic_distance(STAY, LEAVE, mdp, state_distribution=first, action_distribution=first)
    assert distance == pytest.approx(math.sqrt((1 - rho) / 2), abs=1e-12)
    with pytest.raises(ValueError, match="sum to 1"):
        epic_distance(STAY, LEAVE, mdp, state_distribution=np.array([0.5, 0.6]))


def test_metric_needs_a_norm_and_pearson_a_kind() -> None:
    with pytest.raises(ValueError, match="metric"):
        starc_distance(STAY, LEAVE, two_states(), metric=0)
    with pytest.raises(ValueError, match="'epic' or 'dard'"):
        pearson_distances([STAY, LEAVE], two_states(), "value")


def test_sparse_is_dense_and_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    dense = world(6, states=6)
    thin = TabularMDP(sparse.csr_matrix(dense.flat), dense.start, dense.discount)
    a, b = reward(dense, 6), reward(dense, 7)
    thin_a, thin_b = (sparse.csr_matrix(r.reshape(18, 6)) for r in (a, b))
    wanted = {
        (kind, norm): starc_distance(a, b, dense, canonical=kind, metric=norm) for kind in KINDS for norm in NORMS
    }
    correlated = epic_distance(a, b, dense, coverage=np.ones((6, 3)))
    monkeypatch.setattr("trueward.measures.distances.norms._BLOCK", 40)
    for (kind, norm), distance in wanted.items():
        for left, right, mdp in ((a, b, dense), (thin_a, thin_b, thin)):
            found = starc_distance(left, right, mdp, canonical=kind, metric=norm)
            assert found == pytest.approx(distance, abs=1e-9), (kind, norm)
    assert epic_distance(thin_a, thin_b, thin, coverage=np.ones((6, 3))) == pytest.approx(correlated, abs=1e-9)


@pytest.mark.parametrize("terminal", [False, True])
def test_vast_worlds_are_measured_without_a_pass(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """The same numbers from entries, rows and columns as from all transitions."""
    mdp = world(8, states=6)
    transitions = np.where(mdp.transitions < 0.15, 0, mdp.transitions)
    transitions[-1] = np.eye(6)[-1]
    transitions /= transitions.sum(axis=2, keepdims=True)
    over = np.arange(6) == 5 if terminal else None
    thin = TabularMDP(sparse.csr_matrix(transitions.reshape(18, 6)), mdp.start, 0.9, over)
    a, b = (sparse.csr_matrix(np.where(transitions > 0, reward(mdp, seed), 0).reshape(18, 6)) for seed in (8, 9))
    kinds: tuple[Kind, ...] = ("none", "epic", "value_potential", "minimal", "minimal_potential")
    passed = [starc_distance(a, b, thin, canonical=kind) for kind in kinds]
    coverage = np.random.default_rng(8).random((6, 3))
    correlated = [epic_distance(a, b, thin), epic_distance(a, b, thin, coverage=coverage)]
    dense = TabularMDP(transitions, mdp.start, 0.9, over)
    wanted = [epic_distance(a, b, dense), epic_distance(a, b, dense, coverage=coverage)]
    assert correlated == pytest.approx(wanted, abs=1e-12)
    # No pass over all transitions is possible now.
    monkeypatch.setattr("trueward.measures.distances.norms._blocks", None)
    monkeypatch.setattr("trueward.measures.distances.norms.is_vast", lambda terms: True)
    for kind, distance in zip(kinds, passed, strict=True):
        assert starc_distance(a, b, thin, canonical=kind) == pytest.approx(distance, abs=1e-9), kind
    again = [epic_distance(a, b, thin), epic_distance(a, b, thin, coverage=coverage)]
    assert again == pytest.approx(wanted, abs=1e-12)
