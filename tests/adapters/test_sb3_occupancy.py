"""The occupancy penalty inside SB3's PPO: what is in the buffer afterwards, and that it holds a policy back."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv

from trueward.adapters.sb3.occupancy import Driven, OccupancyCallback
from trueward.errors import TrainingError
from trueward.rewards.models.density_ratio import DensityRatio
from trueward.training.control.occupancy_penalty import OccupancyPenalty
from trueward.training.density_ratio import Steps


class Corridor(gymnasium.Env[np.ndarray, int]):
    """Five cells in a row; the right half pays more and more; 20 steps."""

    observation_space = spaces.Box(0.0, 1.0, (5,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.place = self.time = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.time = 0, 0
        return self._seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.place = int(np.clip(self.place + (1 if action else -1), 0, 4))
        self.time += 1
        return self._seen(), float(self.place), False, self.time >= 20, {}

    def _seen(self) -> np.ndarray:
        return np.eye(5, dtype=np.float32)[self.place]


def _venv(count: int = 4) -> DummyVecEnv:
    return DummyVecEnv([Corridor] * count)


def _left(observation: np.ndarray) -> np.ndarray:
    """Mostly to the left."""
    return (np.random.default_rng(len(observation)).random(len(observation)) < 0.2).astype(np.int64)


def _random_left(seed: int = 0) -> Any:
    generator = np.random.default_rng(seed)
    return lambda seen: (generator.random(len(seen)) < 0.3).astype(np.int64)


def _penalty(coefficient: float, **given: Any) -> OccupancyPenalty:
    ratio = DensityRatio((5,), spaces.Discrete(2), (32,), seed=0)
    return OccupancyPenalty(ratio, coefficient, discount=0.99, learning_rate=3e-3, **given)


def _model(**given: Any) -> PPO:
    return PPO("MlpPolicy", _venv(), n_steps=64, batch_size=64, n_epochs=4, gamma=0.99, seed=0, device="cpu", **given)


class _Kept(OccupancyCallback):
    """Keeps the buffer as it was before and after."""

    def _on_rollout_end(self) -> None:
        self.before = copy.deepcopy(self.model.rollout_buffer)  # type: ignore[attr-defined]
        super()._on_rollout_end()
        self.after = copy.deepcopy(self.model.rollout_buffer)  # type: ignore[attr-defined]


def test_rewards_are_lowered_and_advantages_made_anew() -> None:
    callback = _Kept(_penalty(0.5), Driven(_venv(), _random_left()))
    model = _model()
    model.learn(256, callback=callback)
    charge = callback.after.rewards - callback.before.rewards
    assert np.abs(charge).max() > 0.01
    again = copy.deepcopy(callback.after)
    last = torch.as_tensor(callback.locals["values"])
    again.compute_returns_and_advantage(last_values=last, dones=callback.locals["dones"])
    assert np.array_equal(again.advantages, callback.after.advantages)
    assert not np.allclose(callback.before.advantages, callback.after.advantages)
    assert "trueward/occupancy/divergence" in model.logger.name_to_value or callback.penalty.weight > 0


def test_without_weight_nothing_changes() -> None:
    callback = _Kept(_penalty(0.0), Driven(_venv(), _random_left()))
    _model().learn(256, callback=callback)
    assert np.array_equal(callback.before.rewards, callback.after.rewards)
    assert np.allclose(callback.before.advantages, callback.after.advantages, atol=1e-6)


def _rightness(coefficient: float) -> float:
    torch.manual_seed(0)
    model = _model(learning_rate=3e-3)
    model.learn(256 * 8, callback=OccupancyCallback(_penalty(coefficient), Driven(_venv(), _random_left())))
    seen, _ = model.policy.obs_to_tensor(np.eye(5, dtype=np.float32))
    with torch.no_grad():
        return float(model.policy.get_distribution(seen).distribution.probs[:, 1].mean())  # type: ignore[attr-defined]


def test_it_holds_the_policy_near_the_reference() -> None:
    free, held = _rightness(0.0), _rightness(20.0)
    assert free > 0.8
    assert held < free - 0.2


def test_a_log_serves_as_reference() -> None:
    driven = Driven(_venv(), _random_left()).collect(512)
    assert len(driven.steps) == 512 and not driven.ended.any()
    penalty = _penalty(0.5, logged=Steps(driven.steps.observation, driven.steps.action), deviation=1.0)
    callback = _Kept(penalty)
    _model().learn(256, callback=callback)
    assert np.abs(callback.after.rewards - callback.before.rewards).max() > 0.01


def test_refusals() -> None:
    with pytest.raises(TrainingError, match="needs steps of the reference"):
        OccupancyCallback(_penalty(0.5))
    driven = Driven(_venv(), _left)
    with pytest.raises(TrainingError, match="discounts by"):
        PPO("MlpPolicy", _venv(), n_steps=32, batch_size=32, gamma=0.9, device="cpu").learn(
            128, callback=OccupancyCallback(_penalty(0.5), driven)
        )
    pendulum = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")])
    with pytest.raises(TrainingError, match="PPO or A2C"):
        SAC("MlpPolicy", pendulum, buffer_size=100, device="cpu").learn(
            10, callback=OccupancyCallback(_penalty(0.5), driven)
        )
