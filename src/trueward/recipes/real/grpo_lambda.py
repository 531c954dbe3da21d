"""GRPO-λ with public models: TRL's GRPO trainer on a reward that ranks the groups of the gathered batch.

    trainer = build("Qwen/Qwen3-1.7B", questions, directory="run")
    trainer.train()

The more groups a batch has, the finer the selection: with 64 prompts and λ = 0.2 thirteen are shortened in each step.
Watch `rewards/selected/mean`, the share of completions that are, and accuracy on the hardest questions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trueward.adapters.trl import TruewardGRPOTrainer
from trueward.credit.estimators import GroupRelative
from trueward.policies.language import LanguagePolicy
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.transforms import grpo_lambda

SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-6,
    "beta": 0.0,
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 64,
    "max_completion_length": 8192,
    "temperature": 1.0,
    "bf16": True,
    "logging_steps": 1,
    "report_to": "none",
}
_TINY: Mapping[str, Any] = {
    "max_steps": 2,
    "max_completion_length": 24,
    "num_generations": 4,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 2,
    "bf16": False,
    "use_cpu": True,
    "save_strategy": "no",
    "disable_tqdm": True,
}


def build(
    model: str = "Qwen/Qwen3-1.7B",
    questions: Sequence[Mapping[str, Any]] = (),
    correct: str | Callable[..., Any] | Reward = "trueward.rewards.rules.math:math",
    *,
    directory: str | Path,
    fraction: float = 0.2,
    alpha: float = 0.4,
    min_ratio: float = 0.0,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> TruewardGRPOTrainer:
    """A trainer on correctness, paid by length in the groups that are solved best.

    Args:
        model: folder or name of a causal language model.
        questions: rows with `prompt` and what the verifier reads.
        correct: the verifier, 0 or 1.
        directory: of checkpoints.
        fraction: λ, share of the groups that are paid by length.
        alpha: α, 0.2 to 0.6: largest share of the reward that length takes there.
        min_ratio: share of right answers below which no group is paid by length; raise it for a weak model.
        seed: of training.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Reference: Dai et al. 2025, "Stable reinforcement learning for efficient reasoning", arXiv 2505.18086.
    """
    import datasets  # type: ignore[import-untyped]

    policy = LanguagePolicy.load(model)
    chosen = {**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
    return TruewardGRPOTrainer(
        policy.model.train(),
        as_reward(correct, low=0.0, high=1.0).transform(grpo_lambda(fraction, alpha, min_ratio=min_ratio)),
        TruewardGRPOTrainer.config_class(output_dir=str(directory), seed=seed, **chosen),
        datasets.Dataset.from_list([dict(row) for row in questions]),
        processing_class=policy.tokenizer,
        credit=GroupRelative(),
    )
