"""Regret: by hand, against a linear program and random policies; the bounds on more than a thousand random MDPs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog

from trueward.measures.distances import (
    bound_ratios,
    epic_distance,
    normalised_regret,
    regret_constants,
    regrets,
    starc_distance,
    worst_case_regret,
)
from trueward.measures.tabular import TabularMDP, expected_return, redistributed, shaped

STAY = np.array([[1.0, 0.0], [0.0, 0.0]])  # pays for staying in state 0
LEAVE = np.array([[0.0, 0.0], [0.0, 1.0]])  # pays for leaving state 1


def two_states() -> TabularMDP:
    """Action 0 stays, action 1 goes to the other state."""
    transitions = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    return TabularMDP(transitions, np.array([0.5, 0.5]), 0.5)


def drawn(seed: int, states: int, actions: int, discount: float) -> tuple[TabularMDP, np.ndarray, np.ndarray]:
    """A world and two rewards whose correlation is anything from −1 to 1."""
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(states, generator.uniform(0.1, 2)), (states, actions))
    mdp = TabularMDP(transitions, generator.dirichlet(np.ones(states)), discount)
    a = generator.normal(size=(states, actions, states))
    share = generator.uniform(-1, 1)
    return mdp, a, share * a + (1 - abs(share)) * generator.normal(size=a.shape)


def test_by_hand() -> None:
    # Best for STAY: stay in 0, leave 1: 2 and 1, from both states alike 1.5. Best for LEAVE: leave always, which pays
    # nothing under STAY, as the worst does. LEAVE: best 4/3 and 2/3, mean 1; what is best for STAY earns 0 and 1.
    regret = normalised_regret(STAY, LEAVE, two_states())
    assert regret.first == pytest.approx(1, abs=1e-12)
    assert regret.second == pytest.approx(0.5, abs=1e-12)
    assert regret.mean == pytest.approx(0.75, abs=1e-12)
    assert regret.largest == pytest.approx(1, abs=1e-12)


def test_of_equally_good_policies_the_worst_counts() -> None:
    # Paid for anything in state 0: staying in 0 and going there from 1 is best. With less patience than that nothing
    # distinguishes the actions: γ = 0.
    mdp = TabularMDP(two_states().transitions, np.array([0.5, 0.5]), 0.0)
    assert normalised_regret(STAY, np.array([1.0, 0.0]), mdp).first == 1
    # In state 0 staying is best for both, in state 1 the other reward does not care and the first one does not either.
    assert normalised_regret(STAY, 2 * STAY, mdp).first == 0
    # The first reward pays .5 for leaving 1; the second does not care there.
    both = STAY + 0.5 * LEAVE
    assert normalised_regret(both, STAY, mdp).first == pytest.approx(0.5 / 1.5, abs=1e-12)


def test_ties_in_sparse_worlds() -> None:
    mdp = TabularMDP(sparse.csr_matrix(two_states().flat), np.array([0.5, 0.5]), 0.5)
    dense = two_states()
    pays = np.array([[0.0, 0.0], [1.0, 1.0]])
    for other in (np.zeros(2), pays, STAY):
        assert normalised_regret(STAY + LEAVE, other, mdp).first == pytest.approx(
            normalised_regret(STAY + LEAVE, other, dense).first, abs=1e-12
        )


def test_equal_order_is_no_regret_and_trivial_ones_have_none() -> None:
    mdp, a, _ = drawn(0, 5, 3, 0.9)
    generator = np.random.default_rng(0)
    again = 3 * redistributed(shaped(a, generator.normal(size=5), mdp), mdp, generator)
    assert normalised_regret(a, again, mdp).largest == pytest.approx(0, abs=1e-9)
    assert worst_case_regret(a, again, mdp) == pytest.approx(0, abs=1e-9)
    assert normalised_regret(a, -again, mdp).mean == pytest.approx(1, abs=1e-9)
    nothing = shaped(np.zeros(5), generator.normal(size=5), mdp)
    regret = normalised_regret(a, nothing, mdp)
    assert regret.first == pytest.approx(1, abs=1e-9)
    assert math.isnan(regret.second)
    assert math.isnan(regret.mean)
    assert math.isnan(regret.largest)
    assert worst_case_regret(a, nothing, mdp) == 1
    assert math.isnan(worst_case_regret(nothing, a, mdp))


def test_all_pairs_at_once() -> None:
    mdp, a, b = drawn(1, 5, 3, 0.9)
    c = np.random.default_rng(1).normal(size=5)
    table = regrets([a, b, c], mdp)
    assert not table.diagonal().any()
    for (i, first), (j, second) in (((0, a), (2, c)), ((1, b), (0, a)), ((2, c), (1, b))):
        regret = normalised_regret(first, second, mdp)
        assert table[i, j] == pytest.approx(regret.first, abs=1e-12)
        assert table[j, i] == pytest.approx(regret.second, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_worst_case_is_the_linear_program(seed: int) -> None:
    """Over two occupancies at once: the most of r₁·(μ₁ − μ₂) with r₂·(μ₂ − μ₁) ≥ 0."""
    mdp, a, b = drawn(seed, 4, 2, 0.8)
    r1, r2 = mdp.expected(a).ravel(), mdp.expected(b).ravel()
    flow = np.repeat(np.eye(4), 2, axis=1) - mdp.discount * mdp.flat.T
    double = np.block([[flow, np.zeros_like(flow)], [np.zeros_like(flow), flow]])
    start = np.concatenate([mdp.start, mdp.start])
    best = linprog(np.concatenate([-r1, r1]), A_ub=np.concatenate([r2, -r2])[None], b_ub=[0.0], A_eq=double, b_eq=start)
    highest = linprog(-r1, A_eq=flow, b_eq=mdp.start).fun
    lowest = linprog(r1, A_eq=flow, b_eq=mdp.start).fun
    assert worst_case_regret(a, b, mdp) == pytest.approx(-best.fun / (-highest - lowest), abs=1e-7)


def returns_of_all(mdp: TabularMDP, *rewards: np.ndarray) -> np.ndarray:
    """Returns [P, R] of every deterministic policy."""
    choices = np.array(list(itertools.product(range(mdp.actions), repeat=mdp.states)))
    states = np.arange(mdp.states)
    earned = np.stack([mdp.expected(r)[states, choices] for r in rewards], axis=2)
    values = np.linalg.solve(np.eye(mdp.states) - mdp.discount * mdp.transitions[states, choices], earned)
    found: np.ndarray = np.einsum("s,psr->pr", mdp.start, values)
    return found


def by_enumeration(mdp: TabularMDP, a: np.ndarray, b: np.ndarray) -> float:
    """min_λ range(R₁ − λR₂) / range(R₁) over all policies; the minimum lies where two change places, or at 0."""
    first, second = returns_of_all(mdp, a, b).T
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.subtract.outer(first, first) / np.subtract.outer(second, second)
    factors = np.append(factors[np.isfinite(factors) & (factors > 0)], 0.0)
    ranges = np.ptp(first - factors[:, None] * second, axis=1)
    return float(ranges.min() / np.ptp(first))


def test_no_pair_of_policies_exceeds_the_worst_case() -> None:
    reached = []
    for seed in range(20):
        mdp, a, b = drawn(seed, 3, 2, 0.7)
        generator = np.random.default_rng(seed)
        mixed = generator.dirichlet(np.full(2, 0.1), (30, 3))
        chance = [[expected_return(mdp, r, policy) for r in (a, b)] for policy in mixed]
        returns = np.concatenate([returns_of_all(mdp, a, b), chance])
        loss = returns[:, None, 0] - returns[None, :, 0]
        approved = returns[None, :, 1] >= returns[:, None, 1]
        reached.append(float(loss[approved].max()) / float(np.ptp(returns[:, 0])))
        assert reached[-1] <= worst_case_regret(a, b, mdp) + 1e-9
    assert max(reached) > 0.9


def test_bounds_on_a_thousand_worlds() -> None:
    """L·d ≤ worst-case regret ≤ U·d, to 1e-9, on 1,200 pairs of rewards in as many worlds."""
    ratios, inside = [], 0
    for seed in range(1200):
        mdp, a, b = drawn(seed, 2 + seed % 3, 2 + seed % 2, (0.0, 0.5, 0.9, 0.99)[seed % 4])
        distance, regret = starc_distance(a, b, mdp), by_enumeration(mdp, a, b)
        lower, upper = regret_constants(mdp)
        assert 0 < lower < upper < math.inf
        assert lower * distance - 1e-9 <= regret <= upper * distance + 1e-9
        ratios.append(regret / distance)
        inside += 0.001 < regret < 0.999
        if seed % 40 == 0:
            found = bound_ratios(a, b, mdp)
            assert found.distance == distance
            assert found.regret == pytest.approx(regret, abs=1e-9)
            assert found.ratio == pytest.approx(ratios[-1], abs=1e-9)
            assert (found.lower, found.upper) == (lower, upper)
    assert 0 < min(ratios) <= max(ratios) < math.inf
    # Not only the two ends of the scale.
    assert inside > 300


def test_constants_by_hand() -> None:
    # √(2/2) / (.5 · .5) = 4.
    assert regret_constants(two_states()) == pytest.approx((1 / 8, 4))
    rare = TabularMDP(two_states().transitions, np.array([1.0, 0.0]), 0.5)
    assert regret_constants(rare) == (0.0, math.inf)
    over = TabularMDP(
        np.array([[[0.5, 0.5]], [[0.0, 1.0]]]), np.array([1.0, 0.0]), 0.5, terminal=np.array([False, True])
    )
    assert regret_constants(over)[1] == pytest.approx(math.sqrt(0.5) / 0.5)


def test_constants_are_for_the_uniform_l2_distance_alone() -> None:
    mdp, a, b = drawn(2, 3, 2, 0.5)
    assert bound_ratios(a, b, mdp, norm="2", metric=2.0).upper < math.inf
    other = bound_ratios(a, b, mdp, metric=1)
    assert (other.lower, other.upper) == (0.0, math.inf)
    assert other.ratio == pytest.approx(other.regret / other.distance)
    assert math.isnan(bound_ratios(a, a, mdp).ratio)


def test_epic_has_no_lower_bound() -> None:
    mdp, a, _ = drawn(3, 4, 2, 0.9)
    moved = redistributed(a, mdp, np.random.default_rng(3), scale=100.0)
    assert epic_distance(a, moved, mdp) > 0.5
    assert bound_ratios(a, moved, mdp, canonical="epic").ratio < 1e-6
    assert math.isnan(bound_ratios(a, moved, mdp).ratio)
