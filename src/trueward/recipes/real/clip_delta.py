"""Clip and Delta with public models: TRL's GRPO trainer with one advantage per token.

TRL's own advantages are one number per completion, and a sum over steps takes Delta's differences back. Here the
returns of the steps stand in their place: A_t = z(correct) + α (c_{k(t)} − mean of the group's steps).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]

from trueward.adapters.trl import TruewardGRPOTrainer, line_breaks
from trueward.credit.estimators import SegmentReturns
from trueward.policies.language import LanguagePolicy
from trueward.policies.scorer import TokenScorer
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.models.process import StepScorer
from trueward.rewards.transforms import step_clip, step_delta

SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-6,
    "beta": 0.01,
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 16,
    "max_completion_length": 1024,
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
    "gradient_accumulation_steps": 1,
    "bf16": False,
    "use_cpu": True,
    "save_strategy": "no",
    "disable_tqdm": True,
}


def build(
    model: str = "Qwen/Qwen2.5-Math-1.5B-Instruct",
    process_model: str | Path = "process-scorer",
    questions: Sequence[Mapping[str, Any]] = (),
    correct: str | Callable[..., Any] | Reward = "trueward.rewards.rules.math:math",
    *,
    directory: str | Path,
    weight: float = 0.1,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> TruewardGRPOTrainer:
    """A trainer on correct + α · PR-Clip-Delta.

    Args:
        model: folder or name of a causal language model.
        process_model: folder of a `TokenScorer` that reads the model's own tokens; `train_on_labels` with
            `monte_carlo_labels` makes one.
        questions: rows with `prompt` (text) and what the verifier reads.
        correct: the verifier, 0 or 1.
        directory: of checkpoints.
        weight: α.
        seed: of training.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Reference: Gao, Xu et al. 2024, "On designing effective RL reward at training time for LLM reasoning", arXiv
    2410.15115; per token in the place of its PPO with a critic.
    """
    policy = LanguagePolicy.load(model)
    process = StepScorer("process", TokenScorer.load(process_model), policy.tokenizer)
    verifier = as_reward(correct)
    return TruewardGRPOTrainer(
        policy.model.train(),
        verifier + weight * process.transform(step_clip(), step_delta()),
        TruewardGRPOTrainer.config_class(
            output_dir=str(directory), seed=seed, **{**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
        ),
        datasets.Dataset.from_list([dict(row) for row in questions]),
        processing_class=policy.tokenizer,
        credit=SegmentReturns(),
        segment=line_breaks(policy.tokenizer),
    )
