"""Vector environments of Stable-Baselines3 with a Trueward reward: numbers by hand, bonuses, statistics, runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor, VecNormalize
from tests.adapters.corridor import DISCOUNT, FreshCorridor, makers, position, twice

from trueward.adapters.gymnasium import RewardWrapper
from trueward.adapters.sb3 import RewardCallback, load_statistics, save_statistics, sync_eval, wrap
from trueward.errors import RewardError, TrainingError
from trueward.rewards.control import as_control_reward
from trueward.rewards.intrinsic import (
    Bonus,
    CountNovelty,
    PredictorSettings,
    RandomDistributionDistillation,
    RandomNetworkDistillation,
)
from trueward.rewards.shaping import PotentialShaping, ScaledByReturn

ROOT = Path(__file__).resolve().parents[2]
ACTION = np.zeros(2, dtype=int)
# One corridor terminates at cell 3: 1 + ½, 1 + 0, 1 − 2. The other is cut off at cell 2: 1 + ½, 1 + 0.
REWARDS = [[1.5, 1.5], [1.0, 1.0], [-1.0, 1.5], [1.5, 1.0], [1.0, 1.5], [-1.0, 1.0]]


def shaped(remember=False):
    return as_control_reward(None) + PotentialShaping(position, DISCOUNT, remember=remember)


def walk(venv, steps=6):
    venv.reset()
    taken = [venv.step(ACTION[: venv.num_envs]) for _ in range(steps)]
    return np.array([reward for _, reward, *_ in taken]), [infos for *_, infos in taken]


@pytest.mark.parametrize("remember", [False, True])
def test_rewards_by_hand(remember):
    rewards, infos = walk(wrap(DummyVecEnv(makers()), shaped(remember)))
    assert_array_equal(rewards, REWARDS)
    assert rewards.dtype == np.float32
    assert infos[2][0]["trueward/parts"] == {"environment": 1.0, "shaping": -2.0}
    assert (infos[2][0]["trueward/return"], infos[2][0]["trueward/raw_return"]) == (1.5, 3.0)
    assert (infos[1][1]["trueward/return"], infos[1][1]["trueward/length"]) == (2.5, 2)
    assert "trueward/return" not in infos[2][1]


def test_processes_give_the_same():
    venv = wrap(SubprocVecEnv(makers(), start_method="fork"), shaped())
    try:
        assert_array_equal(walk(venv)[0], REWARDS)
    finally:
        venv.close()


@pytest.mark.parametrize("processes", [False, True])
def test_environments_may_be_wrapped_one_by_one(processes):
    wrapped = [lambda make=make: RewardWrapper(make(), shaped()) for make in makers()]
    venv = SubprocVecEnv(wrapped, start_method="fork") if processes else DummyVecEnv(wrapped)
    try:
        rewards, infos = walk(venv)
    finally:
        venv.close()
    assert_array_equal(rewards, REWARDS)
    assert infos[2][0]["trueward/raw_return"] == 3.0


def test_what_a_reward_reads_out_of_infos_is_that_of_the_step():
    rewards, _ = walk(wrap(DummyVecEnv(makers()), lambda cell: 1.0 * cell))
    assert_array_equal(rewards, [[1, 1], [2, 2], [3, 1], [1, 2], [2, 1], [3, 2]])
    with pytest.raises(TrainingError, match="info has no 'height'"):
        walk(wrap(DummyVecEnv(makers()), lambda height: height))


@pytest.mark.parametrize("below", [True, False])
def test_monitors_report_what_lies_below_them(below):
    if below:
        venv = wrap(VecMonitor(DummyVecEnv(makers())), shaped())
    else:
        venv = VecMonitor(wrap(DummyVecEnv(makers()), shaped()))
    _, infos = walk(venv)
    assert infos[2][0]["episode"]["r"] == (3.0 if below else 1.5)
    assert infos[2][0]["trueward/raw_return"] == 3.0


def test_a_monitor_keeps_the_raw_return():
    venv = VecMonitor(wrap(DummyVecEnv(makers()), shaped()), info_keywords=("trueward/raw_return",))
    assert walk(venv)[1][2][0]["episode"]["trueward/raw_return"] == 3.0


def test_observations_may_be_normalised_above():
    venv = VecNormalize(wrap(DummyVecEnv(makers()), shaped()), norm_reward=False)
    assert_array_equal(walk(venv)[0], REWARDS)
    scaled = VecNormalize(wrap(DummyVecEnv(makers()), shaped()), gamma=0.9)
    assert_array_equal([[info["trueward/raw"] for info in infos] for infos in walk(scaled)[1]], 1.0)


@pytest.mark.parametrize("which", [{"norm_obs": False}, {"norm_reward": False}])
def test_and_not_below(which):
    normalised = VecMonitor(VecNormalize(DummyVecEnv(makers()), **which))
    with pytest.raises(RewardError, match="Put it outside"):
        wrap(normalised, shaped())


def test_scaling_agrees_with_vec_normalize():
    theirs = VecNormalize(DummyVecEnv(makers()), norm_obs=False, gamma=0.9)
    ours = wrap(DummyVecEnv(makers()), ScaledByReturn(as_control_reward(None), 0.9))
    assert_allclose(walk(ours, 20)[0], walk(theirs, 20)[0], rtol=1e-6)


def test_the_last_observation_of_an_episode_is_needed():
    class Forgetful(DummyVecEnv):
        def step_wait(self):
            *step, infos = super().step_wait()
            return *step, [{name: value for name, value in info.items() if name[0] == "T"} for info in infos]

    with pytest.raises(TrainingError, match=r"environment 1 was reset, and infos\[1\] has no 'terminal_observation'"):
        walk(wrap(Forgetful(makers())))


def test_wrapping_twice_is_refused():
    for once in (wrap(DummyVecEnv(makers())), DummyVecEnv([lambda: RewardWrapper(FreshCorridor())])):
        with pytest.raises(RewardError, match="wrap once"):
            wrap(VecMonitor(once))


# Bonuses


def test_a_bonus_is_paid_beside_the_reward():
    venv = wrap(DummyVecEnv([lambda: FreshCorridor(end=2)] * 2), twice, bonus=CountNovelty(), bonus_weight=0.5)
    rewards, infos = walk(venv, 3)
    bonuses = np.array([[info["trueward/bonus"] for info in step] for step in infos])
    assert (bonuses[0] == bonuses[1]).all() and bonuses[0, 0] > bonuses[2, 0] > 0.0
    assert_allclose(rewards, np.array([[2.0, 2.0], [4.0, 4.0], [2.0, 2.0]]) + bonuses, rtol=1e-6)
    assert infos[1][0]["trueward/raw_return"] == 6.0
    assert infos[1][0]["trueward/return"] == pytest.approx(6.0 + 2 * bonuses[0, 0])


def test_the_last_observation_of_an_episode_is_what_is_new():
    """Cell 2 is seen only as the last one of an episode: SB3 returns cell 0 in its place."""
    seen = []

    class Told(CountNovelty):
        def observe(self, observation):
            seen.extend(observation[:, 0].tolist())
            super().observe(observation)

    walk(wrap(DummyVecEnv([lambda: FreshCorridor(end=2)]), bonus=Told()), 4)
    assert seen == [1.0, 2.0, 1.0, 2.0]


def test_evaluation_counts_nothing():
    novelty = CountNovelty()
    evaluation = wrap(DummyVecEnv(makers()), bonus=novelty, training=False)
    first = walk(evaluation)[1][0][0]["trueward/bonus"]
    assert walk(evaluation)[1][-1][0]["trueward/bonus"] == first


def test_a_bonus_has_one_weight():
    bonus = Bonus(CountNovelty(), 0.25, every=7)
    assert wrap(DummyVecEnv(makers()), bonus=bonus).bonus is bonus
    with pytest.raises(RewardError, match=r"its own weight, 0\.25"):
        wrap(DummyVecEnv(makers()), bonus=bonus, bonus_weight=2.0)
    with pytest.raises(RewardError, match="expected a Novelty or a Bonus"):
        wrap(DummyVecEnv(makers()), bonus=lambda observation: 1.0)


# Statistics


def scaled():
    return ScaledByReturn(as_control_reward(None), 0.9)


def distilled(seed=0, width=8):
    return RandomNetworkDistillation((1,), PredictorSettings(outputs=4, hidden=(width,), warm_up=0), seed=seed)


def test_training_and_evaluation_of_one_reward_share_its_scale():
    reward = scaled()
    training, evaluation = (wrap(DummyVecEnv(makers()), reward, training=training) for training in (True, False))
    walk(training, 5)
    before = reward.state_dict()
    rewards, _ = walk(evaluation, 1)
    assert reward.state_dict() == before
    assert_allclose(rewards, 1.0 / np.sqrt(before["returns"]["variance"] + 1e-8), rtol=1e-6)


def test_what_was_learnt_is_saved_and_synchronised(tmp_path):
    trained = wrap(DummyVecEnv(makers()), scaled(), bonus=Bonus(distilled(), every=2))
    walk(trained, 20)
    trained.training = False
    expected = walk(trained, 4)[0]
    save_statistics(VecMonitor(trained), tmp_path / "reward.npz")

    def other():
        return wrap(DummyVecEnv(makers()), scaled(), bonus=Bonus(distilled(seed=1), every=2), training=False)

    untrained, loaded, synchronised = other(), other(), other()
    load_statistics(VecMonitor(loaded), tmp_path / "reward.npz")
    sync_eval(trained, synchronised)
    assert not np.allclose(walk(untrained, 4)[0], expected)
    for venv in (loaded, synchronised):
        assert_array_equal(walk(venv, 4)[0], expected)
    with np.load(tmp_path / "reward.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_files_of_something_else_are_refused(tmp_path):
    path = tmp_path / "reward.npz"
    save_statistics(wrap(DummyVecEnv(makers()), scaled(), bonus=distilled()), path)
    with pytest.raises(RewardError, match="with a bonus, unlike the environment"):
        load_statistics(wrap(DummyVecEnv(makers()), scaled()), path)
    wider = wrap(DummyVecEnv(makers()), scaled(), bonus=distilled(width=9))
    with pytest.raises(RewardError, match="the networks of the bonus are others"):
        load_statistics(wider, path)
    with pytest.raises(RewardError, match="the networks of the bonus are others"):
        sync_eval(wrap(DummyVecEnv(makers()), scaled(), bonus=distilled()), wider)
    np.savez(path, other=np.zeros(1))
    with pytest.raises(RewardError, match="holds no statistics"):
        load_statistics(wider, path)
    with pytest.raises(RewardError, match="no reward of Trueward"):
        save_statistics(DummyVecEnv(makers()), path)


# Runs


def cart(**named):
    return wrap(make_vec_env("CartPole-v1", n_envs=4, seed=0), **named)


def model_of(venv, **named):
    return PPO("MlpPolicy", venv, n_steps=32, batch_size=64, n_epochs=2, seed=0, device="cpu", **named)


def test_it_trains_with_a_bonus_as_the_documentation_says():
    bonus = RandomDistributionDistillation((4,))
    model = model_of(cart(bonus=bonus))
    assert model.learn(256).num_timesteps == 256


def logged(callback, tmp_path, venv, **named):
    model = model_of(venv, **named)
    model.set_logger(configure(str(tmp_path), ["json"]))
    model.learn(512, callback=callback, log_interval=1)
    return [json.loads(line) for line in (tmp_path / "progress.json").read_text().splitlines()], model


def test_raw_and_optimised_returns_are_logged(tmp_path):
    reward = as_control_reward(None) + PotentialShaping(lambda observation: observation[..., 0], 0.99)
    lines, model = logged(RewardCallback(), tmp_path, cart(reward=reward, bonus=distilled_cart(), bonus_weight=0.1))
    last = lines[-1]
    # CartPole pays 1 for every step.
    assert last["trueward/raw_return"] == pytest.approx(last["trueward/length"])
    assert last["trueward/return"] != last["trueward/raw_return"]
    assert last["trueward/parts/environment"] == 1.0
    assert any(name.startswith("trueward/novelty/") for name in last)
    assert model.env.bonus.every == 0, "the callback trains the bonus after every collection"


def distilled_cart():
    return RandomNetworkDistillation((4,), PredictorSettings(outputs=4, hidden=(8,)))


def test_a_discount_that_differs_is_refused_unless_it_is_named():
    reward = as_control_reward(None) + PotentialShaping(lambda observation: observation[..., 0], 0.9)
    with pytest.raises(RewardError, match=r"with 0\.9 and the trainer with 0\.99"):
        model_of(cart(reward=reward)).learn(128, callback=RewardCallback())
    model_of(cart(reward=reward), gamma=0.9).learn(128, callback=RewardCallback())
    model_of(cart(reward=reward)).learn(128, callback=RewardCallback(may_discount_otherwise=True))
    with pytest.raises(RewardError, match="no reward of Trueward"):
        model_of(make_vec_env("CartPole-v1", n_envs=2)).learn(128, callback=RewardCallback())


def test_evaluation_during_training_changes_nothing():
    reward = scaled()
    evaluation = wrap(make_vec_env("CartPole-v1", n_envs=2, seed=1), reward, training=False)
    runs = []
    for callback in (None, EvalCallback(evaluation, n_eval_episodes=2, eval_freq=40, verbose=0)):
        venv = cart(reward=scaled() if callback is None else reward)
        model = model_of(venv)
        model.learn(256, callback=callback)
        runs.append((venv.reward.state_dict(), model.policy.state_dict()))
    assert runs[0][0] == runs[1][0]
    assert all(tensor.equal(runs[1][1][name]) for name, tensor in runs[0][1].items())
    assert callback.last_mean_reward > 0


def test_algorithms_off_policy_take_it():
    venv = wrap(DummyVecEnv([lambda: Monitor(FreshCorridor(end=5))]), shaped(), bonus=CountNovelty())
    model = DQN("MlpPolicy", venv, learning_starts=10, buffer_size=100, seed=0, device="cpu", gamma=DISCOUNT)
    model.learn(60, callback=RewardCallback())
    assert venv.bonus.every == 128, "it keeps its own pace where steps are collected a few at a time"


# What the documentation shows


def test_the_documentation_runs(tmp_path):
    text = (ROOT / "docs" / "control.md").read_text(encoding="utf-8")
    scripts = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(scripts) >= 3
    done = run("-c", "\n".join(scripts), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_example_runs(tmp_path):
    done = run(str(ROOT / "examples" / "control_sb3.py"), "--steps", "1024", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"reaches the goal in \d+ % of episodes", done.stdout)) == 3


def run(*arguments, cwd):
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=200, cwd=cwd, env=alone)
