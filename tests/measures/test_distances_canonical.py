"""Canonical forms: by hand on two states, against loops and optimisers, and what each of them sees through."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import null_space
from scipy.optimize import minimize

from trueward.measures.distances import canonicalise, norm_of
from trueward.measures.distances.canonical import Kind
from trueward.measures.tabular import TabularMDP, policy_values, redistributed, shaped, uniform_policy

KINDS: tuple[Kind, ...] = ("none", "epic", "dard", "value_potential", "value", "minimal_potential", "minimal")
UNSHAPED: tuple[Kind, ...] = KINDS[1:]
LEVELLED: tuple[Kind, ...] = ("value", "minimal")


def world(seed: int, states: int = 4, actions: int = 3, discount: float = 0.9, terminal: bool = False) -> TabularMDP:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(states, 0.6), (states, actions))
    over = np.zeros(states, dtype=bool)
    if terminal:
        over[-1] = True
        transitions[-1] = np.eye(states)[-1]
    return TabularMDP(transitions, np.full(states, 1 / states), discount, over)


def reward(mdp: TabularMDP, seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 1000).normal(size=(mdp.states, mdp.actions, mdp.states))


def potential(mdp: TabularMDP, seed: int) -> np.ndarray:
    return np.where(mdp.terminal, 0.0, np.random.default_rng(seed + 2000).normal(scale=5.0, size=mdp.states))


def two_states() -> TabularMDP:
    """Action 0 stays, action 1 goes to the other state."""
    transitions = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    return TabularMDP(transitions, np.array([0.5, 0.5]), 0.5)


STAY = np.array([[1.0, 0.0], [0.0, 0.0]])  # pays for staying in state 0


def test_value_by_hand() -> None:
    # V = (.75, .25), Q = ((1.375, .125), (.125, .375)).
    expected = np.array([[0.625, -0.625], [-0.125, 0.125]])
    canonical = canonicalise(STAY, "value", two_states())
    assert np.allclose(canonical, expected[:, :, None], atol=1e-12)


def test_value_potential_by_hand() -> None:
    # R − V(s) + .5 V(s'), for instance 1 − .75 + .375 for staying in 0.
    canonical = canonicalise(STAY, "value_potential", two_states())
    assert np.allclose(canonical[0], [[0.625, 0.375], [-0.375, -0.625]], atol=1e-12)
    assert np.allclose(canonical[1], [[0.125, -0.125], [0.125, -0.125]], atol=1e-12)


def test_epic_by_hand() -> None:
    # Mean reward of the states is (.5, 0), of all 1/4: R + .5 · mean(s') − mean(s) − .5 · 1/4.
    canonical = canonicalise(STAY, "epic", two_states())
    assert np.allclose(canonical[0], [[0.625, 0.375], [-0.375, -0.625]], atol=1e-12)
    assert np.allclose(canonical[1], [[0.125, -0.125], [0.125, -0.125]], atol=1e-12)


def test_dard_by_hand() -> None:
    # Means of the states are (.5, 0). R(S', A, S'') with S' ~ τ(s, A) and the same A is paid for A = 0 from s = 0
    # alone, half of the time: R + .5 · mean(s') − mean(s) − .5 · (.5, 0).
    canonical = canonicalise(STAY, "dard", two_states())
    assert np.allclose(canonical[0], [[0.5, 0.25], [-0.5, -0.75]], atol=1e-12)
    assert np.allclose(canonical[1], [[0.25, 0.0], [0.25, 0.0]], atol=1e-12)


def dard_terms(full: np.ndarray, mdp: TabularMDP, s: int, following: int) -> float:
    """E[γR(s', A, S'') − R(s, A, S') − γR(S', A, S'')] term by term."""
    total, t = 0.0, mdp.transitions
    states = range(mdp.states)
    for a in range(mdp.actions):
        for x, y in itertools.product(states, states):
            p = t[s, a, x] * t[following, a, y] / mdp.actions
            total += p * (mdp.discount * (full[following, a, y] - full[x, a, y]) - full[s, a, x])
    return total


def test_dard_and_epic_are_their_sums() -> None:
    mdp = world(1, states=3, actions=2)
    r = reward(mdp, 1)
    epic, dard = canonicalise(r, "epic", mdp), canonicalise(r, "dard", mdp)
    states, actions = range(3), range(2)
    for s, a, t in itertools.product(states, actions, states):
        mean = [
            mdp.discount * r[t, c, y] - r[s, c, y] - mdp.discount * r[x, c, y]
            for x, c, y in itertools.product(states, actions, states)
        ]
        assert epic[s, a, t] == pytest.approx(r[s, a, t] + np.mean(mean), abs=1e-12)
        assert dard[s, a, t] == pytest.approx(r[s, a, t] + dard_terms(r, mdp, s, t), abs=1e-12)


def test_numbers_of_the_authors() -> None:
    """Computed once with the published code of STARC, for the same draw; value iteration run to 1e-14."""
    generator = np.random.default_rng(2309)
    transitions = generator.dirichlet(np.full(4, 0.6), (4, 3))
    r = generator.normal(size=(4, 3, 4))
    mdp = TabularMDP(transitions, np.full(4, 0.25), 0.9)
    for kind, first, second in (
        ("value", 0.1048497912118542, 0.3233879618331534),
        ("value_potential", 0.5020547969514397, -0.12958495925501867),
        ("epic", 0.30509992550696224, 0.17944077295396124),
        ("dard", 0.5176970779929088, 0.03316967106372809),
    ):
        canonical = canonicalise(r, kind, mdp)  # type: ignore[arg-type]
        assert canonical[0, 0, 0] == pytest.approx(first, abs=1e-8)
        assert canonical[2, 1, 3] == pytest.approx(second, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), terminal=st.booleans(), discount=st.sampled_from((0.5, 0.9, 0.99)))
def test_shaping_is_seen_through(seed: int, terminal: bool, discount: float) -> None:
    mdp = world(seed, discount=discount, terminal=terminal)
    r = reward(mdp, seed)
    again = shaped(r, potential(mdp, seed), mdp)
    for kind in UNSHAPED:
        assert np.allclose(canonicalise(r, kind, mdp), canonicalise(again, kind, mdp), atol=1e-8), kind
    for kind in ("minimal", "minimal_potential"):
        left = canonicalise(r, kind, mdp, norm="weighted_2")  # type: ignore[arg-type]
        right = canonicalise(again, kind, mdp, norm="weighted_2")  # type: ignore[arg-type]
        assert np.allclose(left, right, atol=1e-8), kind


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), terminal=st.booleans())
def test_redistribution_is_seen_through_by_levelled_forms_alone(seed: int, terminal: bool) -> None:
    mdp = world(seed, terminal=terminal)
    r = reward(mdp, seed)
    again = redistributed(r, mdp, np.random.default_rng(seed))
    for kind in KINDS:
        moved = float(np.abs(canonicalise(r, kind, mdp) - canonicalise(again, kind, mdp)).max())
        assert moved < 1e-8 if kind in LEVELLED else moved > 1e-3, kind


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(-3, 3))
def test_linear(seed: int, factor: float) -> None:
    mdp = world(seed)
    a, b = reward(mdp, seed), reward(mdp, seed + 1)
    for kind in KINDS:
        whole = canonicalise(a + factor * b, kind, mdp)
        assert np.allclose(whole, canonicalise(a, kind, mdp) + factor * canonicalise(b, kind, mdp), atol=1e-8), kind


@pytest.mark.parametrize("kind", ["value", "value_potential", "minimal", "minimal_potential"])
def test_twice_is_once_and_terminal_states_pay_nothing(kind: Kind) -> None:
    mdp = world(5, terminal=True)
    r = reward(mdp, 5)
    once = canonicalise(r, kind, mdp)
    assert np.allclose(canonicalise(once, kind, mdp), once, atol=1e-9)
    assert not once[-1].any()
    r[-1] = 100.0
    assert np.array_equal(canonicalise(r, kind, mdp), once)


def test_value_is_the_advantage_of_the_policy() -> None:
    mdp = world(6)
    r = reward(mdp, 6)
    policy = np.random.default_rng(0).dirichlet(np.ones(3), 4)
    canonical = canonicalise(r, "value", mdp, policy)[:, :, 0]
    v = policy_values(mdp, r, policy)
    assert np.allclose(canonical, mdp.expected(r) + 0.9 * mdp.backup(v) - v[:, None], atol=1e-10)
    assert np.allclose((policy * canonical).sum(axis=1), 0, atol=1e-12)
    assert not np.allclose(canonical, canonicalise(r, "value", mdp)[:, :, 0], atol=1e-3)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("kind", ["minimal", "minimal_potential"])
@pytest.mark.parametrize("norm", [2, "weighted_2"])
def test_minimal_is_what_an_optimiser_finds(kind: Kind, norm: int | str, terminal: bool) -> None:
    mdp = world(7, states=3, actions=2, terminal=terminal)
    r = np.where(mdp.terminal[:, None, None], 0.0, reward(mdp, 7))
    changes = [shaped(np.zeros(3), row, mdp).ravel() for row in np.eye(3)[~mdp.terminal]]
    if kind == "minimal":
        for s, a in itertools.product(range(3), range(2)):
            for direction in null_space(mdp.transitions[s, a][None]).T:
                change = np.zeros((3, 2, 3))
                change[s, a] = direction
                changes.append(change.ravel())
    live = np.repeat(~mdp.terminal, 6)
    design = np.array(changes) * live
    weights = mdp.transitions.ravel() if norm == "weighted_2" else np.ones(18)

    def squared(x: np.ndarray) -> tuple[float, np.ndarray]:
        left = r.ravel() * live + x @ design
        return float(weights @ left**2), 2 * design @ (weights * left)

    found = minimize(squared, np.zeros(len(design)), jac=True, method="BFGS", options={"gtol": 1e-9})
    ours = canonicalise(r, kind, mdp, norm=norm)
    assert float(weights @ ours.ravel() ** 2) == pytest.approx(found.fun, abs=1e-9)
    if norm == 2:
        assert np.allclose(ours.ravel(), r.ravel() * live + found.x @ design, atol=1e-6)


@pytest.mark.parametrize("norm", [0, 1, "inf", "weighted_1"])
def test_minimal_in_another_norm_is_refused(norm: int | float | str) -> None:
    with pytest.raises(ValueError, match="not unique"):
        canonicalise(STAY, "minimal", two_states(), norm=norm)


def test_norms_by_hand() -> None:
    x = np.array([[[3.0, -4.0]], [[0.0, 1.0]]])
    t = np.array([[[0.25, 0.75]], [[1.0, 0.0]]])
    assert norm_of(x, 1) == 8
    assert norm_of(x, 2) == pytest.approx(26**0.5)
    assert norm_of(x, "inf") == 4
    assert norm_of(x, 0) == 1
    assert norm_of(x, "weighted_1", t) == pytest.approx(0.75 + 3)
    assert norm_of(x, "weighted_2", t) == pytest.approx((0.25 * 9 + 0.75 * 16) ** 0.5)
    assert norm_of(x, "weighted_inf", t) == pytest.approx(3)
    assert norm_of(x, 3) == pytest.approx((27 + 64 + 1) ** (1 / 3))


@pytest.mark.parametrize("norm", [0.5, -1, "two", "weighted_0", "weighted_", float("nan")])
def test_no_norm(norm: int | float | str) -> None:
    with pytest.raises(ValueError, match="is no norm"):
        norm_of(np.zeros((1, 1, 1)), norm)


def test_a_weighted_norm_needs_weights() -> None:
    with pytest.raises(ValueError, match="transition probabilities"):
        norm_of(np.zeros((1, 1, 1)), "weighted_2")


def test_forms_of_a_reward_agree() -> None:
    mdp = world(8)
    of_state = np.random.default_rng(8).normal(size=4)
    of_pair = np.repeat(of_state[:, None], 3, axis=1)
    full = np.repeat(of_pair[:, :, None], 4, axis=2)
    for kind in KINDS:
        wanted = canonicalise(full, kind, mdp)
        for given_as in (of_state, of_pair, sparse.csr_matrix(full.reshape(12, 4))):
            assert np.allclose(canonicalise(given_as, kind, mdp), wanted, atol=1e-10), kind


@pytest.mark.parametrize(
    ("given_as", "said"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((4, 3, 3)), "shape"),
        (np.full(4, np.nan), "not finite"),
        (np.full((4, 3), np.inf), "not finite"),
        (np.zeros(4, dtype=complex), "real"),
        (sparse.csr_matrix((4, 12)), "shape"),
    ],
)
def test_what_is_no_reward(given_as: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        canonicalise(given_as, "none", world(0))


def test_unknown_kind() -> None:
    # A TypeError is what the shape checker of the test run says.
    with pytest.raises((ValueError, TypeError), match="value_potential"):
        canonicalise(STAY, "val", two_states())  # type: ignore[arg-type]


@pytest.mark.parametrize("terminal", [False, True])
def test_sparse_is_dense(terminal: bool) -> None:
    dense = world(9, states=5, terminal=terminal)
    transitions = np.where(dense.transitions < 0.05, 0, dense.transitions)
    transitions /= transitions.sum(axis=2, keepdims=True)
    dense = TabularMDP(transitions, dense.start, 0.9, dense.terminal)
    thin = TabularMDP(sparse.csr_matrix(dense.flat), dense.start, 0.9, dense.terminal)
    r = np.where(transitions > 0, reward(dense, 9), 0)
    for kind in KINDS:
        wanted = canonicalise(r, kind, dense)
        assert np.allclose(canonicalise(sparse.csr_matrix(r.reshape(15, 5)), kind, thin), wanted, atol=1e-9), kind
        assert np.allclose(canonicalise(r, kind, thin), wanted, atol=1e-9), kind
        assert np.allclose(canonicalise(sparse.csr_matrix(r.reshape(15, 5)), kind, dense), wanted, atol=1e-9), kind
    for kind in ("minimal", "minimal_potential"):
        wanted = canonicalise(r, kind, dense, norm="weighted_2")  # type: ignore[arg-type]
        found = canonicalise(sparse.csr_matrix(r.reshape(15, 5)), kind, thin, norm="weighted_2")  # type: ignore[arg-type]
        assert np.allclose(found, wanted, atol=1e-9), kind


def test_uniform_policy_is_the_default() -> None:
    mdp = world(10)
    r = reward(mdp, 10)
    assert np.array_equal(canonicalise(r, "value", mdp), canonicalise(r, "value", mdp, uniform_policy(mdp)))
