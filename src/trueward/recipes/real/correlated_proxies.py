"""Correlated proxies on engines: SB3's PPO with a price on occupancy, TRL's GRPO with one on whole answers.

    model, callback = build("HalfCheetah-v5", reference)          # reference: observations to actions
    model.learn(3_000_000, callback=callback)

    trainer = build_language("Qwen/Qwen3-1.7B", questions, reward, directory="run")
    trainer.train()

Half of the steps are the reference's, so a run costs twice the environment steps. Watch `trueward/occupancy/divergence`
and `trueward/occupancy/clipped`; in TRL `sequence_divergence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from trueward.adapters.sb3 import wrap
from trueward.adapters.sb3.occupancy import Driven, OccupancyCallback
from trueward.adapters.trl import TruewardGRPOTrainer
from trueward.credit.estimators import GroupRelative
from trueward.objectives.sequence_divergence import NearReference
from trueward.policies.language import LanguagePolicy
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.models.density_ratio import DensityRatio
from trueward.tasks.control.running import Running
from trueward.training.control.occupancy_penalty import OccupancyPenalty

CONTROL_SETTINGS: Mapping[str, Any] = {
    "n_steps": 512,
    "batch_size": 256,
    "n_epochs": 10,
    "gamma": 0.99,
    "device": "cpu",
}
SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-6,
    "beta": 0.0,
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 16,
    "max_completion_length": 256,
    "temperature": 1.0,
    "bf16": True,
    "logging_steps": 1,
    "report_to": "none",
}
_TINY: Mapping[str, Any] = {
    "max_steps": 2,
    "max_completion_length": 12,
    "num_generations": 4,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "bf16": False,
    "use_cpu": True,
    "save_strategy": "no",
    "disable_tqdm": True,
}


def build(
    environment: str = "HalfCheetah-v5",
    reference: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    coefficient: float = 0.5,
    environments: int = 8,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> tuple[PPO, OccupancyCallback]:
    """PPO on speed, held near a reference policy.

    Args:
        environment: a robot of `Running`.
        reference: observations to actions, such as an early checkpoint; None for random actions.
        coefficient: c, in standard deviations of the proxy under the reference.
        environments: of the policy; the reference has as many.
        seed: of everything.
        settings: of PPO, that win over `CONTROL_SETTINGS`.
    """
    chosen = {**CONTROL_SETTINGS, **(settings or {})}
    task = Running(environment)

    def paid(first: int) -> Any:
        return wrap(make_vec_env(environment, environments, seed=first), task.proxy, features=task.features)

    venv, beside = paid(seed), paid(seed + environments)
    act = reference or (lambda seen: np.stack([beside.action_space.sample() for _ in seen]))
    ratio = DensityRatio(venv.observation_space.shape or (), venv.action_space, (64, 64), seed=seed)
    penalty = OccupancyPenalty(ratio, coefficient, discount=chosen["gamma"], seed=seed)
    return PPO("MlpPolicy", venv, seed=seed, **chosen), OccupancyCallback(penalty, Driven(beside, act))


def build_language(
    model: str = "Qwen/Qwen3-1.7B",
    questions: Sequence[Mapping[str, Any]] = (),
    reward: str | Callable[..., Any] | Reward = "trueward.rewards.rules.math:math",
    *,
    directory: str | Path,
    coefficient: float = 0.01,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> TruewardGRPOTrainer:
    """A GRPO trainer whose loss has √χ² of whole answers from the first policy, in place of KL per token.

    Args:
        model: folder or name of a causal language model.
        questions: rows with `prompt` and what the reward reads.
        reward: the proxy.
        directory: of checkpoints.
        coefficient: λ of the root. Answers of hundreds of tokens are far from the reference at once: begin low.
        seed: of training.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Reference: Laidlaw, Singhal and Dragan 2024 (arXiv 2403.03185).
    """
    import datasets  # type: ignore[import-untyped]

    policy = LanguagePolicy.load(model)
    chosen = {**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
    return TruewardGRPOTrainer(
        policy.model.train(),
        as_reward(reward),
        TruewardGRPOTrainer.config_class(output_dir=str(directory), seed=seed, **chosen),
        datasets.Dataset.from_list([dict(row) for row in questions]),
        processing_class=policy.tokenizer,
        credit=GroupRelative(),
        objective=NearReference(coefficient),
    )
