"""Single environments under `RewardWrapper`: numbers by hand, the checker of Gymnasium, and what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common import env_checker as stable_baselines
from tests.adapters.corridor import DISCOUNT, Corridor, FreshCorridor, position, twice

from trueward.adapters.gymnasium import RewardWrapper
from trueward.errors import RewardError, TrainingError
from trueward.rewards.control import as_control_reward
from trueward.rewards.shaping import PotentialShaping, ScaledByReturn


def shaped(remember: bool = False):
    return as_control_reward(None) + PotentialShaping(position, DISCOUNT, remember=remember)


def walk(env, steps):
    env.reset(seed=0)
    return [env.step(0)[1:] for _ in range(steps)]


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("corridor", [Corridor, FreshCorridor])
def test_a_terminated_episode_has_no_potential_at_its_end(corridor, remember):
    steps = walk(RewardWrapper(corridor(end=3), shaped(remember)), 3)
    # 1 + (½·1 − 0), 1 + (½·2 − 1), 1 + (0 − 2)
    assert [reward for reward, *_ in steps] == [1.5, 1.0, -1.0]
    assert [(dead, cut) for _, dead, cut, _ in steps] == [(False, False), (False, False), (True, False)]


@pytest.mark.parametrize("remember", [False, True])
@pytest.mark.parametrize("corridor", [Corridor, FreshCorridor])
def test_a_truncated_episode_keeps_the_potential_at_its_end(corridor, remember):
    steps = walk(RewardWrapper(corridor(end=50, limit=3), shaped(remember)), 3)
    # The last one is 1 + (½·3 − 2), which it would also be had the episode gone on.
    assert [reward for reward, *_ in steps] == [1.5, 1.0, 0.5]
    assert steps[-1][2] and not steps[-1][1]


def test_raw_and_shaped_stand_side_by_side():
    *_, (_, _, _, last) = walk(RewardWrapper(FreshCorridor(end=3), twice_and_shaped()), 3)
    assert last["trueward/raw"] == 6.0 and last["trueward/environment"] == 1.0
    assert last["trueward/parts"] == {"twice": 6.0, "shaping": -2.0}
    # 2·1 + 2·2 + 2·3 without shaping, and .5 + 0 − 2 more with it.
    assert (last["trueward/raw_return"], last["trueward/return"], last["trueward/length"]) == (12.0, 10.5, 3)
    assert last["cell"] == 3


def twice_and_shaped():
    return as_control_reward(twice) + PotentialShaping(position, DISCOUNT)


def test_sums_are_given_at_ends_only_and_begin_anew():
    env = RewardWrapper(FreshCorridor(end=2), shaped())
    for _ in range(2):
        first, second = walk(env, 2)
        assert "trueward/return" not in first[-1]
        assert second[-1]["trueward/raw_return"] == 2.0
    env.reset()
    env.step(0)
    assert walk(env, 2)[-1][-1]["trueward/length"] == 2, "an episode that was broken off was counted in"


def test_an_environment_that_resets_itself_is_paid_nothing_for_it():
    steps = walk(RewardWrapper(gymnasium.wrappers.Autoreset(FreshCorridor(end=2)), shaped()), 5)
    # Two steps, the reset, and two steps: 1 + ½, 1 − 1, 0, and again.
    assert [reward for reward, *_ in steps] == [1.5, 0.0, 0.0, 1.5, 0.0]
    assert "trueward/raw" not in steps[2][-1]
    assert steps[4][-1]["trueward/length"] == 2


def test_what_a_reward_reads_out_of_info_is_found():
    def at(cell):
        return cell + 0.25

    env = RewardWrapper(FreshCorridor(), at)
    assert [reward for reward, *_ in walk(env, 2)] == [1.25, 2.25]


def test_a_reward_that_reads_what_is_not_there_is_told_so():
    env = RewardWrapper(FreshCorridor(), lambda height: height)
    with pytest.raises(TrainingError, match="info has no 'height'; it has: "):
        walk(env, 1)


@pytest.mark.parametrize("reward", [None, "environment and shaping", "scaled, evaluated"])
def test_the_checker_of_gymnasium_passes(reward):
    env = FreshCorridor(end=5)
    if reward == "scaled, evaluated":
        # While statistics move the same step is worth something else the second time: no environment to check.
        wrapped = RewardWrapper(env, ScaledByReturn(shaped(), DISCOUNT, clip=None), training=False)
    else:
        wrapped = RewardWrapper(env, shaped() if reward else None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version.*")
        check_env(wrapped, skip_render_check=True)


@pytest.mark.filterwarnings("ignore::UserWarning")  # CartPole's bounds, and that it is wrapped
def test_the_checker_passes_on_an_environment_of_gymnasium():
    env = gymnasium.make("CartPole-v1")
    check_env(RewardWrapper(env, lambda next_observation: -np.abs(next_observation[..., 2])), skip_render_check=True)


def test_it_is_made_again_from_its_spec(tmp_path):
    file = tmp_path / "rewards.py"
    file.write_text("def upright(next_observation):\n    return -abs(next_observation[..., 2])\n")
    env = RewardWrapper(gymnasium.make("CartPole-v1"), f"{file}:upright")
    written = env.spec.to_json()
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(written))
    rewards = [walk(one, 5) for one in (env, again)]
    assert [step[0] for step in rewards[0]] == [step[0] for step in rewards[1]]
    assert type(again) is RewardWrapper and rewards[0][0][0] != 1.0


def test_it_can_be_pickled():
    env = RewardWrapper(FreshCorridor(end=3), ScaledByReturn(as_control_reward(twice), DISCOUNT))
    walk(env, 2)
    again = pickle.loads(pickle.dumps(env))
    assert again.step(0)[1:3] == env.step(0)[1:3]


def test_sums_under_and_over_it_are_what_they_say():
    # RecordEpisodeStatistics sees what comes out of what it wraps.
    under = RewardWrapper(gymnasium.wrappers.RecordEpisodeStatistics(FreshCorridor(end=3)), twice_and_shaped())
    over = gymnasium.wrappers.RecordEpisodeStatistics(RewardWrapper(FreshCorridor(end=3), twice_and_shaped()))
    assert walk(under, 3)[-1][-1]["episode"]["r"] == 3.0
    last = walk(over, 3)[-1][-1]
    assert last["episode"]["r"] == last["trueward/return"] == 10.5


def test_statistics_are_shared_and_episodes_are_not():
    reward = ScaledByReturn(as_control_reward(None), DISCOUNT)
    training, evaluation = (
        RewardWrapper(FreshCorridor(), reward),
        RewardWrapper(FreshCorridor(), reward, training=False),
    )
    training.reset()
    training.step(0)
    before = reward.state_dict()
    walk(evaluation, 3)
    assert reward.state_dict() == before, "evaluation moved the statistics"
    training.step(0)
    # Returns of the training episode: 1, and 1 + ½: the evaluation did not make it begin anew.
    assert reward.statistics.count == pytest.approx(2.0001)
    assert reward.statistics.mean == pytest.approx(1.25, abs=1e-4)


def test_observations_that_are_no_arrays_are_refused():
    class Named(FreshCorridor):
        def __init__(self):
            super().__init__()
            self.observation_space = gymnasium.spaces.Dict({"cell": self.observation_space})

    with pytest.raises(RewardError, match="of Dict: put a wrapper"):
        RewardWrapper(Named())


def test_wrapping_twice_is_refused():
    with pytest.raises(RewardError, match="wrap once"):
        RewardWrapper(gymnasium.wrappers.TimeLimit(RewardWrapper(FreshCorridor()), 5))


def test_stepping_without_a_reset_is_refused():
    env = RewardWrapper(FreshCorridor(end=1), twice)
    with pytest.raises(TrainingError, match="before its first reset"):
        env.step(0)
    walk(env, 1)
    with pytest.raises(TrainingError, match="although their episodes are over"):
        env.step(0)


def test_the_checker_of_stable_baselines_passes():
    stable_baselines.check_env(RewardWrapper(FreshCorridor(end=5), shaped()))


@pytest.mark.parametrize(
    ("library", "module"), [("gymnasium", "gymnasium"), ("stable_baselines3", "sb3"), ("gymnasium", "sb3")]
)
def test_a_library_that_is_missing_is_named_with_its_extra(library, module):
    script = f"import sys; sys.modules[{library!r}] = None; import trueward.adapters.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "MissingExtra" in done.stderr.splitlines()[-1]
    assert "pip install 'trueward[control]'" in done.stderr


def test_shaping_is_loaded_without_heavy_libraries():
    script = (
        "import sys, trueward.rewards.shaping, trueward.rewards.control\n"
        "assert not {'torch', 'scipy', 'gymnasium', 'stable_baselines3'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
