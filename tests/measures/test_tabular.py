"""Values, best and worst policies and soft ones: by hand on two states, and against value iteration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from trueward.measures.tabular import (
    TabularMDP,
    action_values,
    deterministic_policy,
    expected_return,
    on_entering,
    optimal,
    policy_values,
    soft_optimal,
    solve_backward,
    solve_forward,
    uniform_policy,
    worst,
)

# Two states; action 0 stays, action 1 goes to the other one. Acting in state 1 pays 1.
SWITCH = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
SWITCH[1] = [[0.0, 1.0], [1.0, 0.0]]
PAYS = np.array([0.0, 1.0])


def switch(discount: float = 0.5, terminal: np.ndarray | None = None) -> TabularMDP:
    return TabularMDP(SWITCH, np.array([1.0, 0.0]), discount, terminal)


def world(seed: int, states: int = 7, actions: int = 3, discount: float = 0.9) -> tuple[TabularMDP, np.ndarray]:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(states, 0.3), size=(states, actions))
    mdp = TabularMDP(transitions, generator.dirichlet(np.ones(states)), discount)
    return mdp, generator.normal(size=(states, actions, states))


def as_sparse(mdp: TabularMDP) -> TabularMDP:
    return TabularMDP(sparse.csr_matrix(mdp.flat), mdp.start, mdp.discount, mdp.terminal)


def random_policy(mdp: TabularMDP, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(mdp.actions, 0.5), size=mdp.states)


def test_values_of_the_uniform_policy_by_hand() -> None:
    # V0 = γ(V0 + V1)/2 and V1 = 1 + γ(V0 + V1)/2 with γ = 1/2: V0 + V1 = 2, so V0 = .5 and V1 = 1.5.
    mdp = switch()
    assert policy_values(mdp, PAYS, uniform_policy(mdp)) == pytest.approx([0.5, 1.5])
    # Q(s, a) = r(s) + γ V(s').
    assert action_values(mdp, PAYS, uniform_policy(mdp)) == pytest.approx(np.array([[0.25, 0.75], [1.75, 1.25]]))
    assert expected_return(mdp, PAYS, uniform_policy(mdp)) == pytest.approx(0.5)


def test_best_and_worst_by_hand() -> None:
    # Best: go to state 1 and stay. V1 = 1/(1 − γ) = 2, V0 = γ·2 = 1. Worst: stay in 0, leave 1. V0 = 0, V1 = 1.
    best, least = optimal(switch(), PAYS), worst(switch(), PAYS)
    assert best.values == pytest.approx([1.0, 2.0])
    assert best.policy.tolist() == [[0, 1], [1, 0]]
    assert least.values == pytest.approx([0.0, 1.0])
    assert least.policy.tolist() == [[1, 0], [0, 1]]
    assert least.action_values == pytest.approx(np.array([[0.0, 0.5], [1.5, 1.0]]))


def test_soft_policy_by_hand() -> None:
    # One state, two actions that pay 0 and T·log 3: π = (1/4, 3/4), V = T·log(1 + 3)/(1 − γ).
    mdp = TabularMDP(np.ones((1, 2, 1)), np.ones(1), 0.5)
    soft = soft_optimal(mdp, np.array([[0.0, 2.0 * np.log(3.0)]]), temperature=2.0)
    assert soft.policy == pytest.approx(np.array([[0.25, 0.75]]))
    assert soft.values == pytest.approx([2.0 * np.log(4.0) / 0.5])
    # With the prior (3/4, 1/4): π ∝ (3/4, 3/4), V = T·log(3/2)/(1 − γ).
    near = soft_optimal(mdp, np.array([[0.0, 2.0 * np.log(3.0)]]), 2.0, np.array([[0.75, 0.25]]))
    assert near.policy == pytest.approx(np.array([[0.5, 0.5]]))
    assert near.values == pytest.approx([2.0 * np.log(1.5) / 0.5])


def test_terminal_states_are_worth_nothing_whatever_they_pay() -> None:
    # State 0 pays 3 and ends in state 1, which would pay 5 for ever.
    mdp = TabularMDP(np.array([[[0.0, 1.0]], [[0.0, 1.0]]]), np.array([1.0, 0.0]), 0.9, np.array([False, True]))
    paid = np.array([3.0, 5.0])
    assert policy_values(mdp, paid, np.ones((2, 1))).tolist() == [3.0, 0.0]
    assert optimal(mdp, paid).values.tolist() == [3.0, 0.0]
    assert soft_optimal(mdp, paid, 1.0).values == pytest.approx([3.0, 0.0])
    # Entering it pays once.
    assert policy_values(mdp, on_entering(paid, mdp), np.ones((2, 1))).tolist() == [5.0, 0.0]


def test_no_discount_where_every_policy_ends() -> None:
    # 0 → 1 or 2 → end; each step pays 1. From 0 it takes 1.5 steps to the end: 1 goes on to 2 with probability .5.
    transitions = np.array([[[0, 0.5, 0.5]], [[0, 0, 1.0]], [[0, 0, 1.0]]])
    mdp = TabularMDP(transitions, np.array([1.0, 0, 0]), 1.0, np.array([False, False, True]))
    assert policy_values(mdp, np.ones(3), np.ones((3, 1))) == pytest.approx([1.5, 1.0, 0.0])
    assert optimal(mdp, np.ones(3)).values == pytest.approx([1.5, 1.0, 0.0])


def test_no_discount_is_refused_where_a_policy_can_go_on_for_ever() -> None:
    # Action 1 of state 0 stays there.
    transitions = np.array([[[0, 1.0], [1.0, 0]], [[0, 1.0], [0, 1.0]]])
    terminal = np.array([False, True])
    with pytest.raises(ValueError, match="go on for ever from state 0"):
        TabularMDP(transitions, np.array([1.0, 0]), 1.0, terminal)
    assert TabularMDP(transitions, np.array([1.0, 0]), 0.99, terminal).actions == 2


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 0.9, 0.99]))
def test_policy_iteration_agrees_with_value_iteration(seed: int, discount: float) -> None:
    mdp, reward = world(seed, discount=discount)
    expected = np.einsum("sat,sat->sa", mdp.transitions, reward)
    high, low = np.zeros(mdp.states), np.zeros(mdp.states)
    for _ in range(1 if discount == 0 else int(np.ceil(np.log(1e-13) / np.log(discount)))):
        high = (expected + discount * np.einsum("sat,t->sa", mdp.transitions, high)).max(axis=1)
        low = (expected + discount * np.einsum("sat,t->sa", mdp.transitions, low)).min(axis=1)
    assert optimal(mdp, reward).values == pytest.approx(high, abs=1e-9)
    assert worst(mdp, reward).values == pytest.approx(low, abs=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.03, 0.3, 3.0]), st.booleans())
def test_soft_policies_satisfy_their_equation(seed: int, temperature: float, with_prior: bool) -> None:
    mdp, reward = world(seed)
    prior = random_policy(mdp, seed) if with_prior else np.ones((mdp.states, mdp.actions))
    values = np.zeros(mdp.states)
    for _ in range(300):
        q = mdp.expected(reward) + mdp.discount * mdp.backup(values)
        values = temperature * np.log((prior * np.exp((q - q.max(axis=1, keepdims=True)) / temperature)).sum(axis=1))
        values += q.max(axis=1)
    soft = soft_optimal(mdp, reward, temperature, prior if with_prior else None)
    assert soft.values == pytest.approx(values, abs=1e-9)
    by_hand = prior * np.exp((q - values[:, None]) / temperature)
    assert soft.policy == pytest.approx(by_hand, abs=1e-8)


def test_soft_policies_become_the_best_one_as_information_becomes_free() -> None:
    mdp, reward = world(3)
    assert soft_optimal(mdp, reward, 1e-4).policy == pytest.approx(optimal(mdp, reward).policy, abs=1e-6)
    assert soft_optimal(mdp, reward, 1e6, random_policy(mdp, 1)).policy == pytest.approx(
        random_policy(mdp, 1), abs=1e-4
    )


def test_long_episodes_without_discount_end_the_iteration() -> None:
    # Forward with probability .5 or else back to the beginning: 2^n steps to the end of a chain of n. The two actions
    # are the same up to what rounding makes of such values.
    n = 30
    transitions = np.zeros((n + 1, 2, n + 1))
    states = np.arange(n)
    transitions[states, :, 0] = 0.5
    transitions[states, :, states + 1] = 0.5
    transitions[n, :, n] = 1.0
    mdp = TabularMDP(transitions, np.eye(n + 1)[0], 1.0, np.eye(n + 1)[n] == 1)
    # Expected length of a run of n successes of a fair coin: 2^(n + 1) − 2.
    best = optimal(mdp, np.ones(n + 1))
    assert best.values[0] == pytest.approx(2.0 ** (n + 1) - 2, rel=1e-6)
    assert soft_optimal(mdp, np.ones(n + 1), 1.0).values[0] > best.values[0]


def test_actions_without_prior_are_never_taken() -> None:
    mdp, reward = world(4)
    prior = np.tile([0.5, 0.5, 0.0], (mdp.states, 1))
    soft = soft_optimal(mdp, reward, 0.5, prior)
    assert (soft.policy[:, 2] == 0).all()
    assert np.isfinite(soft.values).all()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_every_policy_lies_between_the_worst_and_the_best(seed: int) -> None:
    mdp, reward = world(seed)
    values = policy_values(mdp, reward, random_policy(mdp, seed))
    assert (values <= optimal(mdp, reward).values + 1e-9).all()
    assert (values >= worst(mdp, reward).values - 1e-9).all()


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_greedy_policies_improve(seed: int) -> None:
    mdp, reward = world(seed)
    policy = random_policy(mdp, seed)
    greedy = deterministic_policy(mdp, action_values(mdp, reward, policy).argmax(axis=1))
    assert (policy_values(mdp, reward, greedy) >= policy_values(mdp, reward, policy) - 1e-10).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_ties_end_and_the_first_of_equal_actions_is_taken(seed: int, states: int) -> None:
    # Every action twice, and rewards that are equal over and over: cycles between equal policies would not end.
    generator = np.random.default_rng(seed)
    half = generator.dirichlet(np.full(states, 0.2), size=(states, 2))
    mdp = TabularMDP(np.concatenate([half, half], axis=1), np.full(states, 1 / states), 0.99)
    reward = np.tile(generator.integers(0, 2, size=(states, 2)).astype(float) / 3, (1, 2))
    assert (optimal(mdp, reward).policy.argmax(axis=1) < 2).all()
    assert (optimal(mdp, np.full(states, 0.1)).policy.argmax(axis=1) == 0).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_sparse_equals_dense(seed: int) -> None:
    dense, reward = world(seed)
    thin = as_sparse(dense)
    policy = random_policy(dense, seed)
    assert thin.is_sparse
    assert thin.actions == dense.actions
    for form in (reward, reward.mean(axis=2), reward.mean(axis=(1, 2)), sparse.csr_matrix(reward.reshape(-1, 7))):
        assert thin.expected(form) == pytest.approx(dense.expected(form))
        assert policy_values(thin, form, policy) == pytest.approx(policy_values(dense, form, policy))
    for solve in (optimal, worst, lambda mdp, form: soft_optimal(mdp, form, 0.2, policy)):
        assert solve(thin, reward).values == pytest.approx(solve(dense, reward).values)
        assert solve(thin, reward).policy == pytest.approx(solve(dense, reward).policy, abs=1e-9)


def test_sparse_worlds_that_mix_fast_and_slowly_are_solved_as_exactly_as_dense_ones() -> None:
    generator = np.random.default_rng(0)
    # Fast: three random successors. Slowly: a corridor of 300 states that is walked at random.
    fast = generator.random((300, 2, 300))
    fast *= fast >= np.sort(fast, axis=2)[:, :, -3:-2]
    fast /= fast.sum(axis=2, keepdims=True)
    states = np.arange(300)
    slow = np.zeros((300, 2, 300))
    slow[states, 0, np.minimum(states + 1, 299)] = slow[states, 1, np.maximum(states - 1, 0)] = 1.0
    reward = generator.normal(size=(300, 2))
    for transitions, discount in ((fast, 0.9), (fast, 0.9999), (slow, 0.9), (slow, 0.99999)):
        dense = TabularMDP(transitions, np.full(300, 1 / 300), discount)
        thin = as_sparse(dense)
        scale = np.abs(policy_values(dense, reward, uniform_policy(dense))).max()
        for solve in (solve_forward, solve_backward):
            gap = solve(thin, uniform_policy(thin), reward) - solve(dense, uniform_policy(dense), reward)
            assert np.abs(gap).max() < 1e-11 * scale / (1 - discount)
        assert optimal(thin, reward).policy == pytest.approx(optimal(dense, reward).policy)


def test_slow_chains_are_factorised_and_fast_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.sparse import linalg

    factorised = []
    splu = linalg.splu
    monkeypatch.setattr(linalg, "splu", lambda matrix: factorised.append(matrix.shape[0]) or splu(matrix))
    fast = TabularMDP(sparse.csr_matrix(world(0, states=50)[0].flat), np.full(50, 0.02), 0.9)
    policy_values(fast, np.ones(50), random_policy(fast, 0))
    assert factorised == []
    states = np.arange(400)
    rows = np.stack([np.minimum(states + 1, 399), np.maximum(states - 1, 0)], axis=1).reshape(-1)
    slow = TabularMDP(sparse.csr_matrix((np.ones(800), (np.arange(800), rows))), np.full(400, 1 / 400), 0.99999)
    policy_values(slow, np.random.default_rng(0).normal(size=400), uniform_policy(slow))
    assert factorised == [400]


def test_a_sparse_array_is_a_sparse_matrix() -> None:
    dense, reward = world(5)
    thin = TabularMDP(sparse.csr_array(dense.flat), dense.start, dense.discount, np.zeros(7, dtype=bool))
    assert optimal(thin, sparse.coo_array(reward.reshape(-1, 7))).values == pytest.approx(optimal(dense, reward).values)


def test_forms_of_a_reward_by_hand() -> None:
    # τ(·|0, 0) = (1/4, 3/4) and R(0, 0, ·) = (4, 8): 1 + 6 = 7.
    mdp = TabularMDP(np.array([[[0.25, 0.75]], [[0.5, 0.5]]]), np.array([1.0, 0.0]), 0.9)
    assert mdp.expected(np.array([[[4.0, 8.0]], [[2.0, 0.0]]])).tolist() == [[7.0], [1.0]]
    assert mdp.expected(np.array([[3.0], [4.0]])).tolist() == [[3.0], [4.0]]
    assert mdp.expected(np.array([3, 4])).tolist() == [[3.0], [4.0]]
    assert mdp.backup(np.array([4.0, 8.0])).tolist() == [[7.0], [6.0]]
    assert mdp.backup(np.array([[4.0, 0.0], [8.0, 4.0]])).tolist() == [[[7.0, 3.0]], [[6.0, 2.0]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transitions": np.array([[[0.5, 0.4]], [[0.0, 1.0]]])}, r"transitions\[0, 0\] sums to 0\.9; expected 1"),
        ({"transitions": np.array([[[1.5, -0.5]], [[0.0, 1.0]]])}, "transitions has entries that are negative"),
        ({"transitions": np.array([[[np.nan, 1]], [[0.0, 1.0]]])}, "not finite"),
        ({"transitions": np.ones((2, 2))}, r"transitions have shape \(2, 2\); expected \[S, A, S\] with S = 2"),
        ({"transitions": np.ones((3, 1, 3)) / 3}, "expected .S, A, S. with S = 2"),
        ({"transitions": sparse.csr_matrix(np.ones((3, 2)) / 2)}, r"expected \[S·A, S\] with S = 2"),
        ({"start": np.array([0.5, 0.4])}, "start sums to 0.9"),
        ({"start": np.array([[0.5, 0.5]])}, "start has shape"),
        ({"discount": 1.5}, "the discount is 1.5"),
        ({"discount": float("nan")}, "the discount is nan"),
        ({"discount": 1.0}, "go on for ever"),
        ({"terminal": np.array([True, False])}, r"state 0 is terminal but action 0 leaves it.*transitions\[0, :, 0\]"),
        ({"terminal": np.array([0, 1])}, "expected one bool"),
    ],
)
def test_what_is_no_mdp_is_refused(change: dict[str, object], message: str) -> None:
    right = {"transitions": np.array([[[0.5, 0.5]], [[0.0, 1.0]]]), "start": np.array([1.0, 0.0]), "discount": 0.9}
    TabularMDP(**right)
    with pytest.raises(ValueError, match=message):
        TabularMDP(**{**right, **change})  # type: ignore[arg-type]


def test_what_does_not_fit_the_world_is_refused() -> None:
    mdp = switch()
    for reward in (np.zeros(3), np.zeros((2, 3)), np.zeros((2, 2, 2, 2)), sparse.csr_matrix((2, 2))):
        with pytest.raises(ValueError, match="expected"):
            mdp.expected(reward)
    with pytest.raises(ValueError, match="not finite"):
        mdp.expected(np.array([0.0, np.inf]))
    with pytest.raises(ValueError, match=r"the policy has shape \(2, 3\)"):
        policy_values(mdp, PAYS, np.full((2, 3), 1 / 3))
    with pytest.raises(ValueError, match="the policy sums to 2"):
        policy_values(mdp, PAYS, np.ones((2, 2)))
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="temperature"):
            soft_optimal(mdp, PAYS, temperature)
