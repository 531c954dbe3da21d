"""Potential-based shaping: numbers by hand, telescoping sums, moving potentials, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.control import as_control_reward
from trueward.rewards.shaping import (
    Clipped,
    FreeShaping,
    PotentialShaping,
    ScaledByReturn,
    check_discount,
    network_potential,
)


def steps(states, following, terminated=None, truncated=None, exists=None, **features):
    n = len(states)
    return Transitions(
        observation=np.asarray(states, dtype=float)[:, None],
        action=np.zeros(n, dtype=int),
        reward=np.ones(n),
        next_observation=np.asarray(following, dtype=float)[:, None],
        terminated=np.zeros(n, dtype=bool) if terminated is None else np.array(terminated),
        truncated=np.zeros(n, dtype=bool) if truncated is None else np.array(truncated),
        exists=None if exists is None else np.array(exists),
        features={name: np.asarray(values) for name, values in features.items()},
    )


def position(observation):
    return observation[..., 0]


@pytest.mark.parametrize("remember", [False, True])
def test_numbers_by_hand(remember):
    shaping = PotentialShaping(position, 0.5, remember=remember)
    scores = shaping.score(
        steps(
            [4, 4, 4, 4],
            [2, 2, 2, 2],
            terminated=[False, True, False, False],
            truncated=[False, False, True, False],
            exists=[True, True, True, False],
        )
    )
    # ½·2 − 4; terminated: 0 − 4; truncated as if it went on; no step at all: nothing.
    assert_array_equal(scores.value, [-3.0, -4.0, -3.0, 0.0])
    assert_array_equal(scores.raw, np.zeros(4))
    assert_array_equal(scores.parts["shaping"], scores.value)


episodes = st.lists(st.integers(0, 6), min_size=2, max_size=12)


@settings(max_examples=100, deadline=None)
@given(states=episodes, seed=st.integers(0, 2**16), discount=st.sampled_from([0.0, 0.5, 0.9, 1.0]), ends=st.booleans())
@pytest.mark.parametrize("remember", [False, True])
def test_the_sum_along_an_episode_is_that_of_its_ends(remember, states, seed, discount, ends):
    table = np.random.default_rng(seed).normal(size=7)
    shaping = PotentialShaping(lambda observation: table[observation[..., 0].astype(int)], discount, remember=remember)
    last = len(states) - 2
    total = 0.0
    for t, (before, after) in enumerate(itertools.pairwise(states)):
        dead, cut = [ends and t == last], [not ends and t == last]
        total += discount**t * shaping.score(steps([before], [after], dead, cut)).value[0]
    end = 0.0 if ends else discount ** (last + 1) * table[states[-1]]
    assert_allclose(total, end - table[states[0]], atol=1e-9)


def moving(remember):
    """A potential that is another function at every step, and the discounted sum of three steps through 1, 2, 3, 1."""
    scale = [1.0]
    shaping = PotentialShaping(lambda observation: scale[0] * observation[..., 0], 0.5, remember=remember)
    total = 0.0
    for t, (before, after) in enumerate([(1, 2), (2, 3), (3, 1)]):
        total += 0.5**t * shaping.score(steps([before], [after], terminated=[t == 2])).value[0]
        scale[0] *= 10.0
    return total


def test_a_potential_that_moves_is_remembered():
    # The potential of the first state when it was first seen.
    assert moving(remember=True) == pytest.approx(-1.0)
    # Without it: (½·2 − 1) + ½ (½·30 − 20) + ¼ (0 − 300)
    assert moving(remember=False) == pytest.approx(-77.5)


def test_what_is_remembered_is_forgotten_at_ends_resets_and_beginnings():
    calls = []

    def counted(observation):
        calls.append(len(observation))
        return observation[..., 0]

    shaping = PotentialShaping(counted, 0.5, remember=True)
    shaping.score(steps([1, 1], [2, 2], terminated=[False, True]))
    assert calls == [2, 2]
    # Only the second environment begins anew, at 0.
    assert_array_equal(shaping.score(steps([2, 0], [3, 1])).value, [-0.5, 0.5])
    assert calls == [2, 2, 2, 1]
    shaping.restarted(np.array([True, False]))
    assert_array_equal(shaping.score(steps([7, 1], [7, 2])).value, [-3.5, 0.0])
    shaping.begin(3)
    assert_array_equal(shaping.score(steps([1, 2, 4], [1, 2, 4])).value, [-0.5, -1.0, -2.0])


def test_the_end_of_an_episode_is_not_remembered_in_the_next():
    for how in ({"terminated": [True]}, {"truncated": [True]}):
        shaping = PotentialShaping(position, 0.5, remember=True)
        shaping.score(steps([5], [6], **how))
        # At once, or after a row in whose place the environment was reset.
        assert_array_equal(shaping.score(steps([2], [4], **how)).value, [-2.0 if "terminated" in how else 0.0])
        shaping.score(steps([4], [0], exists=[False]))
        assert_array_equal(shaping.score(steps([0], [1])).value, [0.5])


def test_other_environments_without_a_beginning_are_refused():
    shaping = PotentialShaping(position, 0.5, remember=True)
    shaping.score(steps([1], [2]))
    with pytest.raises(RewardError, match=r"1 environments and was called with 2.*twin"):
        shaping.score(steps([1, 1], [2, 2]))


def test_a_twin_has_episodes_of_its_own():
    shaping = PotentialShaping(position, 0.5, remember=True)
    shaping.score(steps([1], [2]))
    twin = (shaping + as_control_reward(None)).twin()
    twin.begin(2)
    assert_array_equal(twin.score(steps([4, 4], [4, 4])).value, [-1.0, -1.0])
    assert_array_equal(shaping.score(steps([2], [2])).value, [-1.0])


def test_states_may_lie_in_info():
    shaping = PotentialShaping(lambda state: 10.0 * state, 0.5, reads=("state", "next_state"))
    assert shaping.needs() == ("state", "next_state")
    assert_array_equal(shaping.score(steps([0], [0], state=[1], next_state=[3])).value, [5.0])
    with pytest.raises(RewardError, match="reads 'next_state', which is not there"):
        shaping.score(steps([0], [0]))


def test_a_network_is_a_potential():
    module = torch.nn.Linear(1, 1)
    with torch.no_grad():
        module.weight.fill_(2.0)
        module.bias.fill_(1.0)
    value = PotentialShaping(network_potential(module), 0.5).score(steps([1, 2], [2, 3])).value
    # ½ (2·2 + 1) − (2·1 + 1), ½ (2·3 + 1) − (2·2 + 1)
    assert_array_equal(value, [-0.5, -1.5])


def test_an_address_is_a_potential(tmp_path):
    file = tmp_path / "potentials.py"
    file.write_text("def place(observation):\n    return observation[..., 0]\n")
    assert_array_equal(PotentialShaping(f"{file}:place", 1.0).score(steps([1], [4])).value, [3.0])


@pytest.mark.parametrize(
    ("potential", "message"),
    [
        (lambda observation: observation, r"shape \(2, 1\) for 2 states"),
        (lambda observation: observation[..., 3], "raised IndexError.*network_potential"),
        (lambda observation: observation[..., 0] * np.inf, "must be finite"),
        (lambda observation: torch.ones(2, requires_grad=True), "network_potential"),
    ],
)
def test_potentials_that_are_none_are_refused(potential, message):
    with np.errstate(invalid="ignore"), pytest.raises(RewardError, match=message):
        PotentialShaping(potential, 0.5).score(steps([1, 2], [3, 4]))


def test_a_terminal_state_needs_no_finite_potential():
    value = PotentialShaping(lambda observation: 1.0 / (3.0 - observation[..., 0]), 0.5)
    with np.errstate(divide="ignore"):
        assert_array_equal(value.score(steps([2], [3], terminated=[True])).value, [-1.0])


@pytest.mark.parametrize("discount", [-0.1, 1.1, float("nan")])
def test_discounts_that_are_none_are_refused(discount):
    with pytest.raises(RewardError, match=r"in \[0, 1\]"):
        PotentialShaping(position, discount)


def test_another_discount_than_the_trainers_is_refused():
    reward = ScaledByReturn(as_control_reward(None), 0.9) + 0.5 * PotentialShaping(position, 0.99)
    check_discount(reward, 0.99)
    with pytest.raises(RewardError, match=r"with 0.99 and the trainer with 0.9\b.*discount=0.9\)"):
        check_discount(reward, 0.9)


def test_shaping_without_a_potential_is_refused_unless_it_is_named():
    def progress(observation, next_observation):
        return next_observation[..., 0] - observation[..., 0]

    with pytest.raises(RewardError, match="may_change_optimum=True"):
        FreeShaping(progress)
    reward = as_control_reward(None) + FreeShaping(progress, may_change_optimum=True)
    scores = reward.score(steps([1], [3]))
    assert (scores.value[0], scores.raw[0]) == (3.0, 1.0)
    assert {name: values[0] for name, values in scores.parts.items()} == {"environment": 1.0, "progress": 2.0}
    assert reward.twin().score(steps([1], [3])).value[0] == 3.0


def test_clipping_a_potential_is_refused_unless_it_is_named():
    shaped = as_control_reward(None) + PotentialShaping(position, 0.5)
    with pytest.raises(RewardError, match="may_change_optimum=True"):
        Clipped(shaped, -1.0, 1.0)
    with pytest.raises(RewardError, match="add it outside"):
        ScaledByReturn(shaped, 0.5)
    ScaledByReturn(shaped, 0.5, clip=None)
    assert_array_equal(Clipped(shaped, -1.0, 1.0, may_change_optimum=True).score(steps([0], [8])).value, [1.0])


def test_clipping_says_what_it_took():
    reward = Clipped(as_control_reward(lambda next_observation: next_observation[..., 0]), -1.0, 2.0)
    scores = reward.score(steps([0, 0, 0, 0], [5, -5, 1, 5], exists=[True, True, True, False]))
    assert_array_equal(scores.value, [2.0, -1.0, 1.0, 0.0])
    assert_array_equal(scores.raw, [5.0, -5.0, 1.0, 0.0])
    assert_array_equal(sum(scores.parts.values()), scores.value)
    with pytest.raises(RewardError, match="low < high"):
        Clipped(reward, 1.0, 1.0)
