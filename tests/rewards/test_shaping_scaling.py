"""Rewards scaled by their returns: by hand, against Gymnasium and SB3 where these are right, and where they are not."""

from __future__ import annotations

import copy
import json

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from tests.adapters.corridor import DISCOUNT, FreshCorridor, makers
from tests.rewards.test_shaping import steps

from trueward.adapters.gymnasium import RewardWrapper
from trueward.errors import RewardError
from trueward.rewards.control import as_control_reward
from trueward.rewards.shaping import PotentialShaping, ReturnStatistics, ScaledByReturn

NEXT, SAME = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP


def pay(next_observation):
    return next_observation[..., 0]


def scaled(**named):
    return ScaledByReturn(as_control_reward(pay), DISCOUNT, **named)


def returns_seen(monkeypatch):
    """What enters the statistics, as a list of lists."""
    seen = []
    update = ReturnStatistics.update
    monkeypatch.setattr(
        ReturnStatistics, "update", lambda self, values: (seen.append(values.tolist()), update(self, values))
    )
    return seen


def test_statistics_by_hand():
    statistics = ReturnStatistics(count=2.0, mean=1.0, variance=4.0)
    statistics.update(np.array([4.0, 6.0]))
    # Means 1 and 5 of two each: 3. Squares 2·4, 2·1 and 4²·2·2/4 for the means: 26 over four.
    assert (statistics.count, statistics.mean, statistics.variance) == (4.0, 3.0, 6.5)
    statistics.update(np.array([]))
    assert statistics.count == 4.0


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=6), min_size=1, max_size=8),
    offset=st.sampled_from([0.0, 1e6]),
)
def test_statistics_of_batches_are_those_of_everything(batches, offset):
    first = np.array(batches[0]) + offset
    statistics = ReturnStatistics(len(first), float(first.mean()), float(first.var()))
    for batch in batches[1:]:
        statistics.update(np.array(batch) + offset)
    everything = np.concatenate([np.array(batch) for batch in batches]) + offset
    assert_allclose(statistics.mean, everything.mean(), atol=1e-6, rtol=1e-9)
    assert_allclose(statistics.variance, everything.var(), atol=1e-3, rtol=1e-6)


def test_returns_begin_anew_after_every_end(monkeypatch):
    reward = scaled()
    seen = returns_seen(monkeypatch)
    reward.begin(3)
    reward.score(steps([0] * 3, [1, 1, 1]))
    reward.score(steps([0] * 3, [1, 1, 1], terminated=[True, False, False], truncated=[False, True, False]))
    reward.score(steps([0] * 3, [9, 1, 1], exists=[False, True, True]))
    reward.score(steps([0] * 3, [1, 1, 1]))
    # The step that ends an episode belongs to it; a row without a step is not there.
    assert seen == [[1.0, 1.0, 1.0], [1.5, 1.5, 1.5], [1.0, 1.75], [1.0, 1.5, 1.875]]


def test_value_raw_and_parts_stand_side_by_side():
    reward = ScaledByReturn(as_control_reward(None) + as_control_reward(pay), DISCOUNT, clip=2.0)
    reward.statistics = ReturnStatistics(count=1.0, mean=0.0, variance=4.0 - 1e-8)
    scores = reward.score(steps([0, 0], [1, 9]), training=False)
    # 1 + 1 and 1 + 9 over 2, and the second one clipped.
    assert_allclose(scores.value, [1.0, 2.0])
    assert_array_equal(scores.raw, [2.0, 10.0])
    assert_allclose(scores.parts["environment"], [0.5, 0.5])
    assert_allclose(scores.parts["pay"], [0.5, 4.5])
    assert_allclose(scores.parts["clipping"], [0.0, -3.0])
    assert_allclose(sum(scores.parts.values()), scores.value)


def test_evaluation_changes_nothing():
    reward = scaled()
    reward.score(steps([0, 0], [1, 3]))
    before = copy.deepcopy((reward.state_dict(), reward._returns))
    for _ in range(3):
        reward.score(steps([0] * 5, [100] * 5), training=False)
    assert reward.state_dict() == before[0]
    assert_array_equal(reward._returns, before[1])


def test_a_twin_sees_the_scale_of_training_as_it_moves():
    reward = scaled(clip=None)
    twin = reward.twin()
    values = []
    for paid in (1, 50):
        reward.score(steps([0, 0], [paid, -paid]))
        values.append(twin.score(steps([0], [1]), training=False).value[0])
        assert values[-1] == pytest.approx(1.0 / np.sqrt(reward.statistics.variance + 1e-8))
    assert values[0] > 10 * values[1]


def test_statistics_can_be_saved_as_json():
    reward = ScaledByReturn(scaled(clip=None), 0.9)
    for _ in range(4):
        reward.score(steps([0, 0], [1, 3]))
    again = ScaledByReturn(scaled(clip=None), 0.9)
    again.load_state_dict(json.loads(json.dumps(reward.state_dict())))
    transition = steps([0, 0], [2, 5])
    assert_array_equal(again.score(transition, training=False).value, reward.score(transition, training=False).value)


@pytest.mark.parametrize(
    "state",
    [{}, {"returns": {"mean": 0.0}}, {"returns": None}, {"returns": {"count": 1.0, "mean": 0.0, "variance": -1.0}}],
)
def test_a_state_of_something_else_is_refused(state):
    with pytest.raises(RewardError, match="saved state"):
        scaled().load_state_dict(state)


def test_what_makes_no_sense_is_refused():
    for wrong in ({"discount": 1.5}, {"discount": 0.9, "clip": 0.0}, {"discount": 0.9, "epsilon": 0.0}):
        with pytest.raises(RewardError, match="scaling needs"):
            ScaledByReturn(as_control_reward(None), **wrong)
    reward = scaled()
    reward.score(steps([0], [1]))
    with pytest.raises(RewardError, match=r"1 environments and was called with 2.*twin"):
        reward.score(steps([0, 0], [1, 1]))


def test_shaping_outside_is_not_scaled():
    reward = scaled() + PotentialShaping(pay, DISCOUNT)
    reward.score(steps([0, 0], [100, 300]))
    scores = reward.score(steps([2, 2], [2, 2]))
    assert_array_equal(scores.parts["shaping"], [-1.0, -1.0])


# Against the two libraries. All three begin at mean 0 and variance 1 of weight 1e-4, so their numbers must be the same.


class Paid(FreshCorridor):
    """A corridor with a reward of its own for each step: 1, 2, 3, … over all episodes."""

    def __init__(self, **named):
        super().__init__(**named)
        self.taken = 0

    def step(self, action):
        observation, _, *rest = super().step(action)
        self.taken += 1
        return observation, float(self.taken), *rest


def environments(end, limit):
    return [lambda: Paid(end=end, limit=limit), lambda: Paid(end=end + 1, limit=limit + 1)]


def rewards_of(env, count=12):
    env.reset()
    return np.array([env.step(np.zeros(2, dtype=int))[1] for _ in range(count)])


@pytest.mark.parametrize(("end", "limit"), [(3, 100), (100, 3), (3, 4)], ids=["terminated", "truncated", "both"])
def test_it_agrees_with_stable_baselines(end, limit):
    theirs = VecNormalize(DummyVecEnv(environments(end, limit)), norm_obs=False, gamma=0.9)
    ours = RewardWrapper(
        SyncVectorEnv(environments(end, limit), autoreset_mode=SAME), ScaledByReturn(as_control_reward(None), 0.9)
    )
    # They round to float32 at the end.
    assert_allclose(rewards_of(ours), rewards_of(theirs), rtol=1e-6)
    assert ours.reward.statistics.variance == pytest.approx(float(theirs.ret_rms.var), rel=1e-10)
    assert ours.reward.statistics.mean == pytest.approx(float(theirs.ret_rms.mean), rel=1e-10)


def test_it_agrees_with_gymnasium_where_episodes_are_cut_off_and_reset_at_once():
    theirs = gymnasium.wrappers.vector.NormalizeReward(
        SyncVectorEnv(environments(100, 3), autoreset_mode=SAME), gamma=0.9
    )
    ours = RewardWrapper(
        SyncVectorEnv(environments(100, 3), autoreset_mode=SAME),
        ScaledByReturn(as_control_reward(None), 0.9, clip=None),
    )
    # They add up in float32.
    assert_allclose(rewards_of(ours), rewards_of(theirs), rtol=1e-5)


def means(env, count):
    """Mean of the returns that entered the statistics, over `count` of them, as they and as we count."""
    theirs = gymnasium.wrappers.NormalizeReward(env(), gamma=0.5)
    ours = RewardWrapper(env(), ScaledByReturn(as_control_reward(None), 0.5))
    for one in (theirs, ours):
        over = True
        for _ in range(count):
            if over:
                one.reset()
            _, _, dead, cut, _ = one.step(0)
            over = dead or cut
    return float(theirs.return_rms.mean), ours.reward.statistics.mean


def test_gymnasium_loses_an_episode_at_its_last_step_and_carries_it_into_the_next():
    # Four steps of 1 in two episodes that terminate. Returns are 1, 1½, 1, 1½.
    # There: 1, then 0·½ + 1 because the step terminated, then ½·1 + 1 in the new episode, then 1.
    theirs, ours = means(lambda: FreshCorridor(end=2), 4)
    assert ours == pytest.approx(5.0 / 4, abs=1e-4)
    assert theirs == pytest.approx(4.5 / 4, abs=1e-4)


def test_gymnasium_carries_an_episode_that_was_cut_off_into_the_next():
    # There: 1, 1½, then ½·1½ + 1 = 1¾ and 1⅞ in the new episode.
    theirs, ours = means(lambda: FreshCorridor(end=50, limit=2), 4)
    assert ours == pytest.approx(5.0 / 4, abs=1e-4)
    assert theirs == pytest.approx(6.125 / 4, abs=1e-4)


def test_gymnasium_loses_an_episode_at_its_last_step_in_vectors_that_reset_at_once():
    envs = [lambda: FreshCorridor(end=2)]
    theirs = gymnasium.wrappers.vector.NormalizeReward(SyncVectorEnv(envs, autoreset_mode=SAME), gamma=0.5)
    ours = RewardWrapper(SyncVectorEnv(envs, autoreset_mode=SAME), ScaledByReturn(as_control_reward(None), 0.5))
    for env in (theirs, ours):
        env.reset()
        for _ in range(4):
            env.step(np.zeros(1, dtype=int))
    assert ours.reward.statistics.mean == pytest.approx(5.0 / 4, abs=1e-4)
    assert float(theirs.return_rms.mean) == pytest.approx(1.0, abs=1e-4)


def test_gymnasium_carries_episodes_over_in_vectors_that_reset_at_the_next_step():
    """Both corridors, five steps. Ours: 1 1½ 1¾ – 1 and 1 1½ – 1 1½; theirs keeps what was before the reset."""
    theirs = gymnasium.wrappers.vector.NormalizeReward(SyncVectorEnv(makers(), autoreset_mode=NEXT), gamma=0.5)
    ours = RewardWrapper(SyncVectorEnv(makers(), autoreset_mode=NEXT), ScaledByReturn(as_control_reward(None), 0.5))
    for env in (theirs, ours):
        rewards_of(env, 5)
    assert ours.reward.statistics.mean == pytest.approx((1 + 1.5 + 1.75 + 1 + 1 + 1.5 + 1 + 1.5) / 8, abs=1e-4)
    # 1 1½, then 1 where it terminated, and ½·1 + 1 after it; 1 1½, then ½·1½ + 1 and ½·1¾ + 1.
    assert float(theirs.return_rms.mean) == pytest.approx((1 + 1.5 + 1 + 1.5 + 1 + 1.5 + 1.75 + 1.875) / 8, abs=1e-4)
    assert round(float(theirs.return_rms.count)) == round(ours.reward.statistics.count) == 8
