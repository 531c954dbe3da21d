"""RDD with Stable-Baselines3: PPO with two value heads on a maze of MiniGrid, seen as its whole grid.

    model = build("MiniGrid-DoorKey-16x16-v0", environments=16)
    model.learn(5_000_000, callback=RewardCallback())

For images give a policy and a network of your own: `policy="CnnPolicy"`, and `network=` of the bonus as `regression`
says. Watch `trueward/novelty/raw_bonus`: it must go on falling. Where it stands still although new states are rare, the
predictor does not average (`PredictorSettings.averaging`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from trueward.adapters.sb3 import TwoHeadPPO, wrap
from trueward.rewards.intrinsic import Bonus, BonusNormaliser, PredictorSettings, RandomDistributionDistillation

SETTINGS: Mapping[str, Any] = {
    "n_steps": 128, "batch_size": 512, "n_epochs": 4, "learning_rate": 3e-4, "gamma": 0.999, "gae_lambda": 0.95,
    "clip_range": 0.1, "ent_coef": 0.001, "bonus_gamma": 0.99,
}  # fmt: skip
PREDICTOR = PredictorSettings(hidden=(256,), learning_rate=1e-3, minibatch=256, averaging=3.0, start="zero")
_TINY: Mapping[str, Any] = {"n_steps": 4, "batch_size": 8, "n_epochs": 1}


def build(
    maze: str = "MiniGrid-DoorKey-16x16-v0",
    *,
    environments: int = 16,
    weight: float = 0.5,
    sigma: float = 1.0,
    predictor: PredictorSettings = PREDICTOR,
    policy: str = "MlpPolicy",
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> TwoHeadPPO:
    """A model whose bonus counts.

    Args:
        maze: an environment of MiniGrid.
        environments: how many at once.
        weight: of the bonus, whose discounted sum is scaled to a deviation of 1.
        sigma: noise of the draws.
        predictor: of the bonus.
        policy: of SB3, with two heads.
        seed: of everything.
        tiny: collections of four steps, a small predictor.
        settings: of PPO, over `SETTINGS`.

    Reference: Fang et al. 2025, "Exploration by random distribution distillation", arXiv 2505.11044.
    """
    from stable_baselines3.common.env_util import make_vec_env

    if tiny:
        predictor = PredictorSettings(outputs=8, hidden=(16,), minibatch=8, averaging=3.0, start="zero", warm_up=8)
    venv = make_vec_env(_whole_grid(maze), n_envs=environments, seed=seed)
    chosen = {**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
    shape = venv.observation_space.shape or ()
    novelty = RandomDistributionDistillation(shape, predictor, sigma=sigma, seed=seed)
    scale = BonusNormaliser(chosen["bonus_gamma"])
    return TwoHeadPPO(policy, wrap(venv, bonus=Bonus(novelty, weight, normaliser=scale)), seed=seed, **chosen)


def _whole_grid(maze: str) -> Callable[[], gymnasium.Env[Any, Any]]:
    """Makes a maze that is seen whole: kind, colour and condition of every cell, the agent among them, in [0, 1]."""

    def make() -> gymnasium.Env[Any, Any]:
        from minigrid.wrappers import FullyObsWrapper, ImgObsWrapper

        whole: Any = ImgObsWrapper(FullyObsWrapper(gymnasium.make(maze)))  # type: ignore[no-untyped-call]
        env: Any = gymnasium.wrappers.FlattenObservation(whole)
        space = gymnasium.spaces.Box(0.0, 1.0, env.observation_space.shape, np.float32)
        return gymnasium.wrappers.TransformObservation(env, _scaled, space)

    return make


def _scaled(grid: np.ndarray) -> np.ndarray:
    return (grid / _MOST).astype(np.float32)


_MOST = 10.0  # the largest number by which MiniGrid names a kind of thing
