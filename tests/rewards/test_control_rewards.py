"""Control rewards: functions of steps, sums, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.control import ControlReward, StepScores, as_control_reward, per_step


def steps(n=3, exists=None, **features):
    return Transitions(
        observation=np.arange(2.0 * n).reshape(n, 2),
        action=np.arange(n),
        reward=np.arange(1.0, n + 1),
        next_observation=10.0 * np.arange(2.0 * n).reshape(n, 2),
        terminated=np.zeros(n, dtype=bool),
        truncated=np.zeros(n, dtype=bool),
        exists=exists,
        features=features,
    )


def test_a_function_takes_what_it_names():
    def sum_of(observation, action, next_observation, reward, terminated, truncated):
        return observation[..., 0] + action + next_observation[..., 1] + reward + terminated + truncated

    # 0 + 0 + 10 + 1, 2 + 1 + 30 + 2, 4 + 2 + 50 + 3
    assert_array_equal(as_control_reward(sum_of).score(steps()).value, [11.0, 35.0, 59.0])


def test_a_function_may_take_features_or_everything():
    reward = as_control_reward(lambda height, action: height - action)
    assert reward.needs() == ("height",)
    assert_array_equal(reward.score(steps(height=np.array([5.0, 5.0, 5.0]))).value, [5.0, 4.0, 3.0])
    with pytest.raises(RewardError, match="asks for 'height', which is not there; it can have: observation, action"):
        reward.score(steps())
    whole = as_control_reward(lambda transitions: transitions.reward * 2)
    assert whole.needs() == () and whole.score(steps()).value[1] == 4.0


def test_named_parts_are_summed():
    def reward(action):
        return {"a": 1.0 * action, "b": action + 0.5}

    scores = as_control_reward(reward).score(steps())
    assert_array_equal(scores.value, [0.5, 2.5, 4.5])
    assert_array_equal(scores.parts["b"], [0.5, 1.5, 2.5])


def test_rewards_combine():
    environment, action = as_control_reward(None), as_control_reward(lambda action: 1.0 * action)
    scores = (environment + 2.0 * (action + action) + environment * 0.5).score(steps())
    assert_array_equal(scores.value, 1.5 * np.array([1, 2, 3]) + 4.0 * np.array([0, 1, 2]))
    assert_array_equal(scores.raw, scores.value)
    assert sorted(scores.parts) == ["<lambda>", "<lambda> 2", "environment", "environment 2"]
    assert_array_equal(sum(scores.parts.values()), scores.value)


def test_a_sum_leaves_its_terms_alone():
    class Kept(ControlReward):
        values = np.ones(3)
        name = "kept"

        def score(self, transitions, *, training=True):
            return StepScores(self.values, self.values, {"kept": self.values})

    reward = Kept() + Kept()
    assert_array_equal(reward.score(steps()).value, [2.0, 2.0, 2.0])
    assert_array_equal(reward.score(steps()).value, [2.0, 2.0, 2.0])
    assert_array_equal(Kept.values, [1.0, 1.0, 1.0])


def test_rows_without_a_step_earn_nothing_and_may_be_anything():
    there = np.array([True, False, True])
    reward = as_control_reward(lambda action: np.where(action == 1, np.nan, action))
    assert_array_equal(reward.score(steps(exists=there)).value, [0.0, 0.0, 2.0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value):
    reward = as_control_reward(lambda action: np.where(action == 1, value, action))
    with pytest.raises(RewardError, match=f"returned {value} for environment 1: a reward must be finite"):
        reward.score(steps())


@pytest.mark.filterwarnings("ignore:overflow")
def test_huge_rewards_are_finite():
    assert as_control_reward(lambda action: 1e200 * (action + 1)).score(steps()).value[0] == 1e200


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda observation: observation, r"shape \(3, 2\) for 3 environments.*per_step"),
        (lambda observation: "good", "no array of numbers"),
        (lambda observation: observation[..., 7], "raised IndexError"),
        (lambda action: {}, "empty mapping"),
        (lambda action: action - action.mean(), "its rows depend on each other"),
    ],
)
def test_functions_that_do_not_fit_are_refused(function, message):
    with pytest.raises(RewardError, match=message):
        as_control_reward(function).score(steps())


@pytest.mark.parametrize("function", [lambda *steps: 0.0, lambda **named: 0.0, lambda: 0.0, lambda action, /: action])
def test_functions_that_do_not_say_what_they_take_are_refused(function):
    with pytest.raises(RewardError, match=r"does not say what it takes|usable by name"):
        as_control_reward(function)


def test_what_is_no_reward_is_refused():
    with pytest.raises(RewardError, match="of type int"):
        as_control_reward(3)


def test_functions_of_single_steps():
    reward = as_control_reward(per_step(lambda observation, action: math.hypot(*observation) + float(action)))
    assert_allclose(reward.score(steps()).value, [1.0, math.sqrt(13.0) + 1, math.sqrt(41.0) + 2])


def test_the_check_of_rows_happens_before_anything_counts_and_once():
    calls = []

    def reward(action):
        calls.append(len(action))
        return 1.0 * action

    scored = as_control_reward(reward)
    for _ in range(3):
        scored.score(steps())
    assert calls == [3, 1, 1, 1, 3, 3]


def test_states_find_their_pieces():
    class Counting(ControlReward):
        def __init__(self):
            self.count = 0
            self.begun = []

        name = "counting"

        def begin(self, count):
            self.begun.append(count)

        def restarted(self, rows):
            self.begun.append(rows.tolist())

        def score(self, transitions, *, training=True):
            self.count += training
            values = np.zeros(len(transitions))
            return StepScores(values, values, {})

        def state_dict(self):
            return {"count": self.count}

        def load_state_dict(self, state):
            self.count = state["count"]

    reward = as_control_reward(None) + Counting()
    reward.begin(3)
    reward.restarted(np.array([True, False]))
    reward.score(steps())
    reward.score(steps(), training=False)
    assert reward.state_dict() == {"1": {"count": 1}}
    again = as_control_reward(None) + Counting()
    again.load_state_dict(reward.state_dict())
    assert again.pieces()[1].count == 1 and reward.pieces()[1].begun == [3, [True, False]]
    with pytest.raises(RewardError, match="that of another reward"):
        as_control_reward(None).load_state_dict({"1": {}})
