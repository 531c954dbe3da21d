"""The exact test of shaping on finite MDPs, and the bugs that it must find."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from trueward.measures.tabular import TabularMDP, action_values, optimal, policy_values, shaped, uniform_policy
from trueward.rewards.control import StepScores, as_control_reward
from trueward.rewards.shaping import FreeShaping, PotentialShaping, check_policy_invariance
from trueward.tasks.control.tabular import TabularTask


def world(seed, states=12, actions=3, discount=0.9, ends=2):
    """A random MDP whose last states end the episode."""
    generator = np.random.default_rng(seed)
    transitions = generator.dirichlet(np.full(states, 0.3), size=(states, actions))
    terminal = np.arange(states) >= states - ends
    transitions[terminal] = np.eye(states)[terminal][:, None, :]
    start = np.where(terminal, 0.0, 1.0)
    return TabularMDP(transitions, start / start.sum(), discount, terminal)


def table(seed, states=12):
    values = np.random.default_rng(1000 + seed).normal(size=states)
    return values, lambda observation: values[observation[..., 0].astype(int)]


class TerminalPotential(PotentialShaping):
    """Planted bug: the potential of a terminal state is not 0."""

    def score(self, transitions, *, training=True):
        after, before = (self.potential(x) for x in (transitions.next_observation, transitions.observation))
        value = self.discount * after - before
        return StepScores(value, 0 * value, {self.name: value})


class Undiscounted(PotentialShaping):
    """Planted bug: γ is missing."""

    def score(self, transitions, *, training=True):
        after = np.where(transitions.terminated, 0.0, self.potential(transitions.next_observation))
        value = after - self.potential(transitions.observation)
        return StepScores(value, 0 * value, {self.name: value})


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("seed", range(5))
def test_a_potential_changes_no_advantage(seed, discount, remember):
    mdp = world(seed, discount=discount)
    values, potential = table(seed)
    found = check_policy_invariance(PotentialShaping(potential, discount, remember=remember), mdp)
    assert found.holds and found.change < 1e-9
    assert_allclose(found.potential, np.where(mdp.terminal, 0.0, values), atol=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_what_holds_for_the_addition_holds_for_rewards(seed):
    """The check against its meaning: optimal policies and advantages under a reward with and without the addition."""
    mdp = world(seed)
    values, potential = table(seed)
    reward = np.random.default_rng(seed).normal(size=(12, 3, 12))
    assert check_policy_invariance(PotentialShaping(potential, 0.9), mdp).holds
    with_it = shaped(reward, np.where(mdp.terminal, 0.0, values), mdp)
    for policy in (uniform_policy(mdp), optimal(mdp, reward).policy):
        plain = action_values(mdp, reward, policy) - policy_values(mdp, reward, policy)[:, None]
        other = action_values(mdp, with_it, policy) - policy_values(mdp, with_it, policy)[:, None]
        assert_allclose(other, plain, atol=1e-9)
    live = ~mdp.terminal
    assert (optimal(mdp, reward).policy == optimal(mdp, with_it).policy)[live].all()


@pytest.mark.parametrize(
    "shaping",
    [
        lambda potential: TerminalPotential(potential, 0.9),
        lambda potential: Undiscounted(potential, 0.9),
        lambda potential: PotentialShaping(potential, 0.8),
        lambda potential: FreeShaping(
            lambda observation, next_observation: potential(next_observation), may_change_optimum=True
        ),
    ],
    ids=["potential at the end", "no discount", "another discount", "no difference"],
)
@pytest.mark.parametrize("seed", range(3))
def test_planted_bugs_are_found(seed, shaping):
    found = check_policy_invariance(shaping(table(seed)[1]), world(seed))
    assert not found.holds and found.change > 1e-3


def test_the_bug_at_the_end_needs_an_end_to_be_found():
    endless = world(0, ends=0)
    assert check_policy_invariance(TerminalPotential(table(0)[1], 0.9), endless).holds


def test_pay_that_no_action_can_change_is_no_bug():
    """A reward for every step in a world without ends changes no advantage, whoever calls it shaping."""
    reward = FreeShaping(lambda observation: 0 * observation[..., 0] + 1.0, may_change_optimum=True)
    found = check_policy_invariance(reward, world(0, ends=0))
    assert found.holds
    assert_allclose(found.potential, -10.0)  # 1 / (1 − .9)
    assert not check_policy_invariance(reward, world(0)).holds


def test_two_states_by_hand():
    """From state 0 one action ends the episode and the other stays; Φ = (3, 5) and γ = ½."""
    mdp = TabularMDP(
        np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]),
        np.array([1.0, 0.0]),
        0.5,
        np.array([False, True]),
    )
    values = np.array([3.0, 5.0])
    found = check_policy_invariance(TerminalPotential(lambda x: values[x[..., 0].astype(int)], 0.5), mdp)
    # F is ½·5 − 3 for ending and ½·3 − 3 for staying. Half and half V = ½ (−.5) + ½ (−1.5 + ½ V) = −4/3;
    # ending is −1/2 + 4/3 better than that, staying −1.5 − 2/3 + 4/3 = −5/6.
    assert not found.holds
    assert found.change == pytest.approx(5 / 6)
    assert found.state == 0


def test_states_by_their_numbers_or_by_what_is_observed():
    mdp = world(0)
    values, _ = table(0)
    by_number = PotentialShaping(lambda state: values[state.astype(int)], 0.9, reads=("state", "next_state"))
    assert check_policy_invariance(by_number, mdp).holds
    one_hot = PotentialShaping(lambda observation: observation @ values, 0.9)
    assert check_policy_invariance(one_hot, mdp, np.eye(12)).holds


def test_a_task_brings_its_own_observations():
    values, _ = table(0)
    task = TabularTask(world(0), {}, np.eye(12, dtype=np.float32)[::-1], "reversed")
    assert check_policy_invariance(PotentialShaping(lambda observation: observation @ values, 0.9), task).holds
    found = check_policy_invariance(PotentialShaping(lambda observation: observation @ values, 0.9), task).potential
    assert_allclose(found[:10], values[::-1][:10], atol=1e-6)


def test_weighted_sums_of_potentials_hold_and_a_reward_beside_them_does_not():
    shaping = 0.3 * PotentialShaping(table(0)[1], 0.9) + PotentialShaping(table(1)[1], 0.9)
    assert check_policy_invariance(shaping, world(0)).holds
    with_reward = shaping + as_control_reward(lambda next_observation: next_observation[..., 0])
    assert not check_policy_invariance(with_reward, world(0)).holds
