"""Occupancy measures, equivalent rewards and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from trueward.errors import DataError
from trueward.measures.tabular import (
    TabularMDP,
    as_transition_reward,
    expected_return,
    load_mdp,
    occupancy,
    on_entering,
    policy_of,
    policy_values,
    redistributed,
    save_mdp,
    shaped,
    solve_forward,
    state_occupancy,
    successors,
    uniform_policy,
)


def world(seed: int, episodic: bool = False, thin: bool = False) -> TabularMDP:
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(6, 0.3), size=(6, 2))
    transitions[transitions < 0.02] = 0
    transitions /= transitions.sum(axis=2, keepdims=True)
    terminal = np.zeros(6, dtype=bool)
    if episodic:
        terminal[4] = True
        transitions[4] = terminal
    stored = sparse.csr_matrix(transitions.reshape(12, 6)) if thin else transitions
    return TabularMDP(stored, generator.dirichlet(np.ones(6)), 0.8, terminal)


def policy_for(seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 1).dirichlet(np.ones(2), size=6)


def test_occupancy_by_hand() -> None:
    # 0 → 1 → 1 …, γ = .75: a quarter of the time in 0.
    mdp = TabularMDP(np.array([[[0.0, 1.0]], [[0.0, 1.0]]]), np.array([1.0, 0.0]), 0.75)
    assert occupancy(mdp, np.ones((2, 1))) == pytest.approx(np.array([[0.25], [0.75]]))
    # The same when 1 is terminal: the time after the end is spent there.
    over = TabularMDP(mdp.transitions, mdp.start, 0.75, np.array([False, True]))
    assert occupancy(over, np.ones((2, 1))) == pytest.approx(np.array([[0.25], [0.75]]))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_occupancy_is_the_series_it_stands_for(seed: int, episodic: bool, thin: bool) -> None:
    mdp, policy = world(seed, episodic, thin), policy_for(seed)
    chain = np.einsum("sa,sat->st", policy, mdp.flat.toarray().reshape(6, 2, 6) if thin else mdp.transitions)
    series, now = np.zeros(6), mdp.start
    for t in range(200):
        series += (1 - mdp.discount) * mdp.discount**t * now
        now = now @ chain
    occupied = occupancy(mdp, policy)
    assert state_occupancy(mdp, policy) == pytest.approx(series, abs=1e-12)
    assert occupied == pytest.approx(series[:, None] * policy, abs=1e-12)
    assert occupied.sum() == pytest.approx(1.0)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_returns_are_linear_in_the_occupancy(seed: int, episodic: bool, thin: bool) -> None:
    mdp, policy = world(seed, episodic, thin), policy_for(seed)
    reward = np.random.default_rng(seed).normal(size=(6, 2, 6))
    weighted = (occupancy(mdp, policy) * mdp.expected(reward)).sum() / (1 - mdp.discount)
    assert weighted == pytest.approx(expected_return(mdp, reward, policy), abs=1e-12)


def test_occupancy_agrees_with_simulation() -> None:
    mdp, policy = world(0, episodic=True), policy_for(0)
    generator = np.random.default_rng(7)
    episodes, steps = 4000, 40
    state = generator.choice(6, size=episodes, p=mdp.start)
    share = np.zeros((6, 2))
    for t in range(steps):
        action = (generator.random(episodes) > policy[state, 0]).astype(int)
        np.add.at(share, (state, action), (1 - mdp.discount) * mdp.discount**t / episodes)
        cumulative = mdp.transitions[state, action].cumsum(axis=1)
        state = (generator.random(episodes)[:, None] > cumulative).sum(axis=1).clip(max=5)
    # 4000 episodes: a standard error of at most .5/√4000 = .008.
    assert share == pytest.approx(occupancy(mdp, policy), abs=0.03)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_policy_comes_back_from_its_occupancy(seed: int) -> None:
    mdp, policy = world(seed), policy_for(seed)
    assert policy_of(occupancy(mdp, policy)) == pytest.approx(policy)


def test_a_state_that_is_never_visited_gets_the_uniform_policy() -> None:
    assert policy_of(np.array([[0.25, 0.75], [0.0, 0.0]])).tolist() == [[0.25, 0.75], [0.5, 0.5]]


def test_without_discount_there_are_no_shares_of_time() -> None:
    mdp = TabularMDP(np.array([[[0.0, 1.0]], [[0.0, 1.0]]]), np.array([1.0, 0.0]), 1.0, np.array([False, True]))
    with pytest.raises(ValueError, match="discount below 1"):
        occupancy(mdp, np.ones((2, 1)))


def test_several_quantities_are_summed_at_once() -> None:
    for mdp in (world(1), world(1, thin=True)):
        policy = policy_for(1)
        both = np.random.default_rng(1).normal(size=(6, 2))
        apart = [solve_forward(mdp, policy, both[:, k]) for k in range(2)]
        assert solve_forward(mdp, policy, both) == pytest.approx(np.stack(apart, axis=1))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans())
def test_shaping_moves_all_returns_alike(seed: int, episodic: bool, thin: bool) -> None:
    mdp = world(seed, episodic, thin)
    generator = np.random.default_rng(seed)
    reward, potential = generator.normal(size=(6, 2, 6)), generator.normal(size=6)
    potential[mdp.terminal] = 0
    for policy in (policy_for(seed), uniform_policy(mdp)):
        change = policy_values(mdp, shaped(reward, potential, mdp), policy) - policy_values(mdp, reward, policy)
        assert change == pytest.approx(-potential, abs=1e-10)


def test_shaping_by_hand() -> None:
    mdp = TabularMDP(np.array([[[0.0, 1.0]], [[0.0, 1.0]]]), np.array([1.0, 0.0]), 0.5)
    # R(0, 0, 1) = 3 + .5·4 − 2 = 3; for the step that cannot happen, 0 → 0: 3 + .5·2 − 2 = 2.
    assert shaped(np.array([3.0, 0.0]), np.array([2.0, 4.0]), mdp)[0, 0].tolist() == [2.0, 3.0]


def test_a_potential_that_pays_for_ending_is_refused() -> None:
    mdp = world(0, episodic=True)
    with pytest.raises(ValueError, match="paid for ending"):
        shaped(np.zeros(6), np.ones(6), mdp)
    with pytest.raises(ValueError, match="one number for each of 6 states"):
        shaped(np.zeros(6), np.zeros(5), mdp)
    # And rightly: added by hand, it moves returns by more than −Φ.
    by_hand = np.zeros((6, 2, 6)) + mdp.discount * np.ones(6) - 1.0
    change = policy_values(mdp, by_hand, policy_for(0))
    assert np.abs(change + 1.0).max() > 0.1


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_redistribution_keeps_what_actions_earn(seed: int, thin: bool) -> None:
    mdp = world(seed, thin=thin)
    reward = np.random.default_rng(seed).normal(size=(6, 2, 6))
    other = redistributed(reward, mdp, np.random.default_rng(seed), scale=10.0)
    assert mdp.expected(other) == pytest.approx(mdp.expected(reward), abs=1e-9)
    changed = successors(mdp).reward(other) - successors(mdp).reward(reward)
    assert np.abs(changed).max() > 0.1


def test_possible_steps_by_hand() -> None:
    dense = np.array([[[0.25, 0.75], [0.0, 1.0]], [[1.0, 0.0], [0.5, 0.5]]])
    for stored in (dense, sparse.csr_matrix(dense.reshape(4, 2))):
        steps = successors(TabularMDP(stored, np.array([1.0, 0.0]), 0.9))
        assert steps.begins.tolist() == [0, 2, 3, 4, 6]
        assert steps.row.tolist() == [0, 0, 1, 2, 3, 3]
        assert steps.state.tolist() == [0, 0, 0, 1, 1, 1]
        assert steps.action.tolist() == [0, 0, 1, 0, 1, 1]
        assert steps.next_state.tolist() == [0, 1, 1, 0, 0, 1]
        assert steps.probability.tolist() == [0.25, 0.75, 1.0, 1.0, 0.5, 0.5]
        reward = np.arange(8.0).reshape(2, 2, 2)
        paid = [0.0, 1.0, 3.0, 4.0, 6.0, 7.0]
        assert steps.reward(reward).tolist() == paid
        assert steps.reward(sparse.csr_matrix(reward.reshape(4, 2))).tolist() == paid
        assert steps.reward(reward[:, :, 0]).tolist() == [0.0, 0.0, 2.0, 4.0, 6.0, 6.0]
        assert steps.reward(reward[:, 0, 0]).tolist() == [0.0, 0.0, 0.0, 4.0, 4.0, 4.0]
        with pytest.raises(ValueError, match="the reward has shape"):
            steps.reward(np.zeros((2, 3)))


def test_possible_steps_come_in_order_and_once() -> None:
    # Row 0 lists state 1 before state 0, and state 1 twice.
    given = sparse.csr_matrix((np.array([0.25, 0.25, 0.5, 1.0]), np.array([1, 0, 1, 1]), np.array([0, 3, 4])))
    steps = successors(TabularMDP(given, np.array([1.0, 0.0]), 0.9))
    assert steps.next_state.tolist() == [0, 1, 1]
    assert steps.probability.tolist() == [0.25, 0.75, 1.0]
    assert given.indices.tolist() == [1, 0, 1, 1]


def test_forms_of_rewards() -> None:
    mdp, thin = world(2), world(2, thin=True)
    full = np.random.default_rng(0).normal(size=(6, 2, 6))
    assert as_transition_reward(full[:, 0, 0], mdp)[3, 1].tolist() == [full[3, 0, 0]] * 6
    assert as_transition_reward(sparse.csr_matrix(full.reshape(12, 6)), mdp) == pytest.approx(full)
    assert as_transition_reward(full, mdp) is not full
    values = full[0, 0]
    assert on_entering(values, mdp)[2, 1].tolist() == values.tolist()
    assert thin.expected(on_entering(values, thin)) == pytest.approx(mdp.backup(values))
    with pytest.raises(ValueError, match="the reward has shape"):
        as_transition_reward(np.zeros((6, 6)), mdp)


@pytest.mark.parametrize("thin", [False, True])
def test_an_mdp_comes_back_from_its_file(tmp_path: Path, thin: bool) -> None:
    mdp = world(3, episodic=True, thin=thin)
    mdp.save(tmp_path / "world.npz")
    back = load_mdp(tmp_path / "world.npz")
    assert back.is_sparse is thin
    assert back.discount == mdp.discount
    assert back.terminal.tolist() == mdp.terminal.tolist()
    assert back.start.tolist() == mdp.start.tolist()
    assert np.array_equal(np.asarray((back.flat - mdp.flat).sum(axis=1)).reshape(-1), np.zeros(12))


def test_files_that_hold_no_mdp_are_refused(tmp_path: Path) -> None:
    right = {"transitions": world(0).transitions, "start": world(0).start, "discount": 0.9}
    np.savez(tmp_path / "right.npz", **right)
    assert load_mdp(tmp_path / "right.npz").terminal.any() == np.False_
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "object.npz", **{**right, "start": np.array([{}, 1], dtype=object)})
    for name in ("none.npz", "text.npz", "array.npy", "object.npz"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as an MDP"):
            load_mdp(tmp_path / name)
    for left_out in right:
        np.savez(tmp_path / "part.npz", **{key: value for key, value in right.items() if key != left_out})
        with pytest.raises(DataError, match=f"missing: .*{left_out}"):
            load_mdp(tmp_path / "part.npz")
    np.savez(tmp_path / "sums.npz", **{**right, "start": np.ones(6)})
    with pytest.raises(DataError, match=r"sums\.npz: start sums to 6"):
        load_mdp(tmp_path / "sums.npz")
    np.savez(tmp_path / "scalar.npz", **{**right, "discount": np.ones(2)})
    with pytest.raises(DataError, match=r"scalar\.npz"):
        load_mdp(tmp_path / "scalar.npz")
    bad = {"data": np.ones(6), "indices": np.full(6, 99), "indptr": np.arange(7), "start": np.full(6, 1 / 6)}
    np.savez(tmp_path / "beyond.npz", discount=0.9, **bad)
    with pytest.raises(DataError, match=r"beyond\.npz"):
        load_mdp(tmp_path / "beyond.npz")


def test_the_name_of_a_file_is_kept(tmp_path: Path) -> None:
    save_mdp(world(0), tmp_path / "world")
    assert load_mdp(tmp_path / "world").states == 6
