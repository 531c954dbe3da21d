"""PPO with a value head for the reward and one for the bonus."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv
from tests.adapters.corridor import FreshCorridor, makers

from trueward.adapters.sb3 import RewardCallback, TwoHeadPPO, wrap
from trueward.errors import RewardError, TrainingError
from trueward.rewards.control import as_control_reward
from trueward.rewards.intrinsic import Bonus, CountNovelty, Novelty
from trueward.rewards.shaping import PotentialShaping

SETTINGS = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "seed": 0, "device": "cpu", "gae_lambda": 0.9}


class Steady(Novelty):
    """Pays the same for everything."""

    name = "steady"

    def __init__(self, worth):
        self.worth = worth

    def bonus(self, observation):
        return np.full(len(observation), self.worth)

    def observe(self, observation):
        pass

    def learn(self):
        return {}


def collected(model):
    """The model's buffer after one collection, as it is before training."""
    _, callback = model._setup_learn(model.n_steps * model.n_envs, None)
    assert model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return model.rollout_buffer


def two_heads(novelty, **named):
    venv = wrap(DummyVecEnv(makers()), bonus=novelty)
    venv.apart = True
    return TwoHeadPPO("MlpPolicy", venv, **{**SETTINGS, **named})


def test_without_a_bonus_the_advantages_are_those_of_ppo():
    """The same weights, environments and actions."""
    ours = two_heads(Steady(0.0))
    theirs = PPO("MlpPolicy", wrap(DummyVecEnv(makers())), **SETTINGS)
    with torch.no_grad():
        ours.policy.value_net.weight[1], ours.policy.value_net.bias[1] = 0.0, 0.0
    for name, tensor in theirs.policy.state_dict().items():
        mine = ours.policy.state_dict()[name]
        assert torch.equal(mine[:1] if name.startswith("value_net") else mine, tensor), name
    buffers = []
    for model in (ours, theirs):
        torch.manual_seed(0)
        buffers.append(collected(model))
    for name in ("advantages", "returns", "values", "rewards"):
        assert_allclose(getattr(buffers[0], name), getattr(buffers[1], name), atol=1e-6)


def test_the_advantages_of_the_bonus_go_on_over_the_ends_of_episodes():
    model = two_heads(Steady(2.0), bonus_gamma=0.5)
    plain = two_heads(Steady(0.0), bonus_gamma=0.5)
    plain.policy.load_state_dict(model.policy.state_dict())
    torch.manual_seed(0)
    buffer = collected(model)
    last = model.policy.predict_bonus_values(torch.as_tensor(model._last_obs)).detach().numpy()
    # Written out: one sum along all steps of each environment, whatever ended in between.
    expected = np.zeros((17, 2))
    values = np.vstack([buffer.bonus_values, last])
    for t in reversed(range(16)):
        expected[t] = 2.0 + 0.5 * values[t + 1] - values[t] + 0.5 * 0.9 * expected[t + 1]
    assert_allclose(buffer.bonus_returns, expected[:16] + buffer.bonus_values, rtol=1e-5, atol=1e-6)
    assert buffer.episode_starts.sum() > 4
    torch.manual_seed(0)
    other = collected(plain)
    no_bonus = np.zeros((17, 2))
    for t in reversed(range(16)):
        no_bonus[t] = 0.5 * values[t + 1] - values[t] + 0.5 * 0.9 * no_bonus[t + 1]
    assert_allclose(buffer.advantages - other.advantages, (expected - no_bonus)[:16], rtol=1e-4, atol=1e-5)
    assert_allclose(buffer.rewards, other.rewards, err_msg="the bonus was added to the reward")


def test_minibatches_hold_both_values_of_a_step_together():
    buffer = collected(two_heads(CountNovelty()))
    steps = {
        tuple(np.float32(row))
        for row in zip(
            buffer.values.ravel(),
            buffer.bonus_values.ravel(),
            buffer.returns.ravel(),
            buffer.bonus_returns.ravel(),
            strict=True,
        )
    }
    seen = set()
    for batch in buffer.get(8):
        values, returns = (x.reshape(8, 2).numpy() for x in (batch.old_values, batch.returns))
        seen |= {tuple(row) for row in np.hstack([values, returns])}
        assert batch.advantages.shape == (8,)
    assert seen == steps


def test_each_head_learns_what_is_its_own():
    """The reward is 1 a step for ever and γ = 0: its value is 1. The bonus of 2 a step at γ = ½ is worth 4."""
    venv = wrap(DummyVecEnv([lambda: FreshCorridor(end=4)] * 4), bonus=Steady(2.0))
    model = TwoHeadPPO(
        "MlpPolicy", venv, n_steps=32, batch_size=32, n_epochs=10, learning_rate=5e-3, gamma=0.0, bonus_gamma=0.5,
        seed=0, device="cpu",
    )  # fmt: skip
    model.learn(128 * 20)
    observation = torch.arange(4.0)[:, None]
    with torch.no_grad():
        assert_allclose(model.policy.predict_values(observation).numpy(), np.ones((4, 1)), atol=0.1)
        assert_allclose(model.policy.predict_bonus_values(observation).numpy(), np.full(4, 4.0), atol=0.3)


def test_it_learns_with_the_callback_and_is_loaded_again(tmp_path):
    venv = wrap(make_vec_env("CartPole-v1", n_envs=2, seed=0), bonus=Bonus(CountNovelty(), 0.1))
    model = TwoHeadPPO("MlpPolicy", venv, bonus_gamma=0.9, clip_range_vf=0.2, **SETTINGS)
    model.learn(96, callback=RewardCallback())
    model.save(tmp_path / "model.zip")
    again = TwoHeadPPO.load(tmp_path / "model.zip", env=venv, device="cpu")
    assert again.bonus_gamma == 0.9
    observation = np.zeros((2, 4), dtype=np.float32)
    assert (
        again.predict(observation, deterministic=True)[0] == model.predict(observation, deterministic=True)[0]
    ).all()
    again.learn(32)


def test_what_cannot_work_is_refused():
    with pytest.raises(TrainingError, match="needs a bonus"):
        TwoHeadPPO("MlpPolicy", wrap(DummyVecEnv(makers())), **SETTINGS).learn(32)
    with pytest.raises(RewardError, match="no reward of Trueward"):
        TwoHeadPPO("MlpPolicy", DummyVecEnv(makers()), **SETTINGS).learn(32)
    with pytest.raises(TrainingError, match="bonus_gamma=1"):
        TwoHeadPPO("MlpPolicy", wrap(DummyVecEnv(makers())), bonus_gamma=1.0, **SETTINGS)
    from stable_baselines3.common.policies import ActorCriticPolicy

    with pytest.raises(TrainingError, match="needs a policy with two"):
        TwoHeadPPO(ActorCriticPolicy, wrap(DummyVecEnv(makers()), bonus=CountNovelty()), **SETTINGS).learn(32)
    shaping = as_control_reward(None) + PotentialShaping(lambda observation: observation[..., 0], 0.9)
    with pytest.raises(RewardError, match=r"with 0\.9 and the trainer with 0\.99"):
        TwoHeadPPO("MlpPolicy", wrap(DummyVecEnv(makers()), shaping, bonus=CountNovelty()), **SETTINGS).learn(32)
