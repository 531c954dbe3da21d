"""Ensembles with public models: a reward model on each of several base models, and GRPO of TRL on all of them.

    for base in ("Qwen/Qwen3-0.6B", "meta-llama/Llama-3.2-1B", "google/gemma-3-1b-pt"):
        reward_trainer(base, pairs, directory=f"rewards/{base}").train()      # then save_model()
    build("Qwen/Qwen2.5-0.5B-Instruct", folders, prompts, directory="run").train()

Different base models stand in for different pretrainings; fine-tunings of one base share its errors. K members cost K
times the scoring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trueward.rewards.models.ensemble import Aggregate
from trueward.tasks.text.rows import Prompt

SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-6, "beta": 0.02, "num_generations": 8, "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 4, "max_completion_length": 512, "bf16": True, "logging_steps": 1,
    "report_to": "none",
}  # fmt: skip
REWARD_SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-5, "center_rewards_coefficient": 0.01, "per_device_train_batch_size": 16,
    "num_train_epochs": 1, "max_length": 1024, "bf16": True, "report_to": "none",
}  # fmt: skip
_TINY: Mapping[str, Any] = {"max_steps": 2, "bf16": False, "use_cpu": True, "save_strategy": "no", "disable_tqdm": True}
_TINY_GRPO: Mapping[str, Any] = {
    "max_completion_length": 8, "num_generations": 2, "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
}  # fmt: skip


def reward_trainer(
    base: str,
    pairs: Sequence[Mapping[str, Any]],
    *,
    directory: str | Path,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """A `RewardTrainer` for one member, centred with η = 0.01: without it members differ by a constant per prompt.

    Args:
        base: folder or name of a causal language model.
        pairs: rows with `chosen` and `rejected`, and `prompt` where these do not begin with it.
        directory: of checkpoints.
        seed: of head and order.
        tiny: two steps on a CPU.
        settings: of `RewardConfig`, over `REWARD_SETTINGS`.
    """
    import datasets  # type: ignore[import-untyped]
    from trl import RewardConfig, RewardTrainer  # type: ignore[attr-defined]

    chosen = {**REWARD_SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
    config = RewardConfig(output_dir=str(directory), seed=seed, **chosen)
    data = datasets.Dataset.from_list([dict(pair) for pair in pairs])
    return RewardTrainer(model=base, args=config, train_dataset=data)


def build(
    model: str = "Qwen/Qwen2.5-0.5B-Instruct",
    reward_models: Sequence[str] = ("Skywork/Skywork-Reward-V2-Qwen3-0.6B", "Skywork/Skywork-Reward-V2-Llama-3.2-1B"),
    prompts: Sequence[Prompt] = (),
    *,
    directory: str | Path,
    aggregate: Aggregate = "mean",
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """A `TruewardGRPOTrainer` on the aggregate of several reward models; their disagreement is logged beside.

    Args:
        model: folder or name of a causal language model.
        reward_models: folders or names of sequence classifiers with safetensors, of different pretrainings.
        prompts: text or chat messages.
        directory: of checkpoints.
        aggregate: of the members' scores; call `fit` on the reward before training where their scales differ.
        seed: of training.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Reference: Eisenstein et al. 2023, "Helping or herding?", arXiv 2312.09244, §4.
    """
    import datasets
    from trl import GRPOConfig  # type: ignore[attr-defined]

    from trueward.adapters.trl import TruewardGRPOTrainer
    from trueward.rewards.base import as_reward
    from trueward.rewards.models.ensemble import Ensemble

    chosen = {**SETTINGS, **({**_TINY, **_TINY_GRPO} if tiny else {}), **(settings or {})}
    return TruewardGRPOTrainer(
        model=model,
        reward_funcs=Ensemble([as_reward(f"hf:{name}") for name in reward_models], aggregate),
        args=GRPOConfig(output_dir=str(directory), seed=seed, **chosen),
        train_dataset=datasets.Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
    )
