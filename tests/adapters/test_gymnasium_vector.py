"""Vector environments under `RewardWrapper`, in all three ways to reset themselves: numbers by hand."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from numpy.testing import assert_array_equal
from tests.adapters.corridor import DISCOUNT, corridors, makers, position, twice

from trueward.adapters.gymnasium import RewardWrapper, VectorRewardWrapper
from trueward.errors import RewardError
from trueward.measures.tabular import TabularMDP
from trueward.rewards.control import as_control_reward
from trueward.rewards.shaping import PotentialShaping, ScaledByReturn
from trueward.tasks.control.tabular import TabularTask, TabularVectorEnv

NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
ACTION = np.zeros(2, dtype=int)

# The first corridor terminates at cell 3: 1 + ½, 1 + 0, 1 − 2. The second is cut off at cell 2: 1 + ½, 1 + 0.
REWARDS = {
    NEXT: [[1.5, 1.5], [1.0, 1.0], [-1.0, 0.0], [0.0, 1.5], [1.5, 1.0], [1.0, 0.0]],
    SAME: [[1.5, 1.5], [1.0, 1.0], [-1.0, 1.5], [1.5, 1.0], [1.0, 1.5], [-1.0, 1.0]],
}
REWARDS[DISABLED] = REWARDS[SAME]
RESETS = {NEXT: {(2, 1), (3, 0), (5, 1)}, SAME: set(), DISABLED: set()}


def shaped(remember=False):
    return as_control_reward(twice) * 0.0 + as_control_reward(None) + PotentialShaping(position, 0.5, remember=remember)


def walk(env, steps, reset=True):
    """What `step` returned, one list entry per step; whoever does not reset itself is reset."""
    over = np.zeros(env.num_envs, dtype=bool)
    if reset:
        env.reset(seed=0)
    taken = []
    for _ in range(steps):
        if over.any() and env.metadata["autoreset_mode"] is DISABLED:
            env.reset(options={"reset_mask": over})
        taken.append(env.step(ACTION))
        over = taken[-1][2] | taken[-1][3]
    return taken


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("mode", list(REWARDS))
def test_every_way_to_reset_gives_the_numbers_by_hand(mode, remember):
    env = RewardWrapper(corridors(mode), shaped(remember))
    assert isinstance(env, VectorRewardWrapper)
    steps = walk(env, 6)
    assert_array_equal([reward for _, reward, *_ in steps], REWARDS[mode])
    holds = np.array([step[-1]["_trueward/raw"] for step in steps])
    assert {(int(t), int(i)) for t, i in np.argwhere(~holds)} == RESETS[mode]


@pytest.mark.parametrize("mode", list(REWARDS))
def test_one_environment_after_another_gives_the_same(mode):
    """A vector of wrapped environments is paid like a wrapped vector of environments."""
    wrapped = [lambda make=make: RewardWrapper(make(), shaped()) for make in makers()]
    inside = SyncVectorEnv(wrapped, autoreset_mode=mode)
    assert_array_equal([reward for _, reward, *_ in walk(inside, 6)], REWARDS[mode])


@pytest.mark.parametrize("mode", list(REWARDS))
def test_sums_of_episodes_stand_where_they_ended(mode):
    steps = walk(RewardWrapper(corridors(mode), shaped()), 3)
    first, second, third = (info for *_, info in steps)
    assert "trueward/return" not in first
    # 1.5 + 1 of the second corridor, then 1.5 + 1 − 1 of the first.
    assert_array_equal(second["_trueward/return"], [False, True])
    assert_array_equal(second["trueward/return"], [0.0, 2.5])
    assert_array_equal(second["trueward/raw_return"], [0.0, 2.0])
    assert_array_equal(second["trueward/length"], [0, 2])
    assert_array_equal(third["_trueward/return"], [True, False])
    assert_array_equal(third["trueward/return"], [1.5, 0.0])
    assert_array_equal(third["trueward/length"], [3, 0])


def test_parts_have_masks_as_gymnasium_has_them():
    info = walk(RewardWrapper(corridors(NEXT), shaped()), 3)[-1][-1]
    assert_array_equal(info["trueward/parts"]["shaping"], [-2.0, 0.0])
    assert_array_equal(info["trueward/parts"]["_shaping"], [True, False])
    assert_array_equal(info["_trueward/parts"], [True, False])
    assert_array_equal(info["trueward/environment"], [1.0, 0.0])


def test_same_step_resets_say_it_in_final_info_too():
    info = walk(RewardWrapper(corridors(SAME), shaped()), 2)[-1][-1]
    assert_array_equal(info["final_info"]["trueward/return"], [0.0, 2.5])
    assert_array_equal(info["final_info"]["cell"][1], 2)


@pytest.mark.parametrize("mode", [NEXT, SAME])
def test_features_of_the_last_step_are_not_those_of_the_reset(mode):
    env = RewardWrapper(corridors(mode), lambda cell: 1.0 * cell)
    rewards = [reward for _, reward, *_ in walk(env, 4)]
    expected = {NEXT: [[1, 1], [2, 2], [3, 0], [0, 1]], SAME: [[1, 1], [2, 2], [3, 1], [1, 2]]}
    assert_array_equal(rewards, expected[mode])


def test_environments_that_are_reset_before_their_end_begin_anew():
    env = RewardWrapper(corridors(DISABLED), ScaledByReturn(shaped(remember=True), DISCOUNT, clip=None))
    walk(env, 1)
    env.reset(options={"reset_mask": np.array([True, False])})
    *_, dead, cut, info = env.step(ACTION)
    # The first corridor takes its first step again, and the second its second.
    assert_array_equal(info["trueward/raw"], [1.0, 1.0])
    assert_array_equal(cut, [False, True])
    scale = info["trueward/parts"]["environment"][0]
    np.testing.assert_allclose(info["trueward/parts"]["shaping"] / scale, [0.5, 0.0], atol=1e-12)
    assert_array_equal(info["trueward/length"], [0, 2])
    assert not dead.any()


def test_what_was_returned_may_be_written_into():
    env = RewardWrapper(corridors(NEXT), twice)
    env.reset()
    _, reward, *_, info = env.step(ACTION)
    reward += 100.0
    assert_array_equal(info["trueward/raw"], [2.0, 2.0])


def test_statistics_ignore_rows_that_were_reset():
    counts = {}
    for mode in (NEXT, SAME, DISABLED):
        reward = ScaledByReturn(as_control_reward(None), DISCOUNT)
        walk(RewardWrapper(corridors(mode), reward), 6)
        counts[mode] = round(reward.statistics.count)
    assert counts == {NEXT: 12 - 3, SAME: 12, DISABLED: 12}


def test_training_and_evaluation_share_the_scale():
    reward = ScaledByReturn(as_control_reward(None), DISCOUNT)
    training = RewardWrapper(corridors(SAME), reward)
    evaluation = RewardWrapper(SyncVectorEnv(makers() * 2, autoreset_mode=NEXT), reward, training=False)
    walk(training, 3)
    before = reward.state_dict()
    evaluation.reset()
    paid = evaluation.step(np.zeros(4, dtype=int))[1]
    assert reward.state_dict() == before
    np.testing.assert_allclose(paid, 1.0 / np.sqrt(before["returns"]["variance"] + 1e-8))
    # Training goes on where it was, with its own number of environments.
    walk(training, 3, reset=False)
    undisturbed = ScaledByReturn(as_control_reward(None), DISCOUNT)
    walk(RewardWrapper(corridors(SAME), undisturbed), 6)
    assert reward.state_dict() == undisturbed.state_dict()


def test_it_is_made_by_make_vec_and_under_the_statistics_of_gymnasium():
    env = gymnasium.make_vec("CartPole-v1", num_envs=3, vectorization_mode="sync")
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        RewardWrapper(env, lambda next_observation: 0.0 * next_observation[..., 0] + 0.5)
    )
    env.reset(seed=0)
    env.action_space.seed(0)
    while True:
        *_, dead, cut, info = env.step(env.action_space.sample())
        if (dead | cut).any():
            break
    ended = info["_episode"]
    np.testing.assert_allclose(info["episode"]["r"][ended], 0.5 * info["trueward/length"][ended])
    np.testing.assert_allclose(info["episode"]["r"], info["trueward/return"])


def test_the_vector_form_of_an_environment_can_be_wrapped_too():
    env = RewardWrapper(gymnasium.make_vec("CartPole-v1", num_envs=4, vectorization_mode="vector_entry_point"))
    env.reset(seed=0)
    assert_array_equal(env.step(np.zeros(4, dtype=int))[1], 1.0)


def test_wrapped_environments_run_in_processes():
    wrapped = [lambda make=make: RewardWrapper(make(), shaped()) for make in makers()]
    env = AsyncVectorEnv(wrapped, autoreset_mode=NEXT)
    try:
        steps = walk(env, 3)
    finally:
        env.close()
    assert_array_equal([reward for _, reward, *_ in steps], REWARDS[NEXT][:3])
    assert_array_equal(steps[1][-1]["trueward/return"], [0.0, 2.5])
    assert_array_equal(steps[0][-1]["trueward/parts"]["shaping"], [0.5, 0.5])


def test_a_reward_written_for_single_steps_is_caught():
    with pytest.raises(RewardError, match="per_step"):
        walk(RewardWrapper(corridors(NEXT), lambda next_observation: next_observation[0]), 1)


def test_wrapping_twice_is_refused():
    with pytest.raises(RewardError, match="wrap once"):
        RewardWrapper(gymnasium.wrappers.vector.ClipReward(RewardWrapper(corridors(NEXT)), 0.0, 1.0))


@pytest.mark.parametrize("remember", [False, True])
def test_shaping_telescopes_in_a_world_of_chance(remember):
    """Random episodes of a tabular task, which end and are cut off: Σ γ^t F = γ^T Φ(s_T) − Φ(s_0)."""
    task = random_task(states=9, actions=3)
    potential = np.random.default_rng(1).normal(size=9)
    shaping = PotentialShaping(
        lambda state: potential[state.astype(int)], 0.9, reads=("state", "next_state"), remember=remember
    )
    env = RewardWrapper(TabularVectorEnv(task, 16, seed=0), shaping)
    env.reset(seed=0)
    generator = np.random.default_rng(0)
    total, began, step = np.zeros(16), np.full(16, np.nan), np.zeros(16)
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(60):
        *_, paid, dead, cut, info = env.step(generator.integers(0, 3, 16))
        began = np.where(step == 0, potential[info["state"]], began)
        total += 0.9**step * paid
        step += 1
        end = np.where(dead, 0.0, 0.9**step * potential[info["next_state"]])
        over = dead | cut
        np.testing.assert_allclose(total[over], (end - began)[over], atol=1e-9)
        ends["terminated"] += dead.sum()
        ends["truncated"] += cut.sum()
        total[over], step[over] = 0.0, 0.0
    assert min(ends.values()) > 5


def random_task(states, actions):
    generator = np.random.default_rng(0)
    transitions = generator.dirichlet(np.full(states, 0.5), size=(states, actions))
    terminal = np.arange(states) == states - 1
    transitions[terminal] = np.eye(states)[-1]
    start = np.where(terminal, 0.0, 1.0 / (states - 1))
    mdp = TabularMDP(transitions, start, 0.9, terminal)
    return TabularTask(mdp, {"proxy": np.zeros(states)}, np.eye(states, dtype=np.float32), "random", horizon=6)
