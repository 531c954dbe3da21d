"""Token hidden rewards with public models: TRL's GRPO trainer, its tokens steered by the sign of one number.

    trainer = build("Qwen/Qwen2.5-Math-1.5B", questions, p=-0.1, directory="run")
    trainer.train()

p < 0 for better pass@k, p > 0 for better greedy accuracy. The trainer makes one more forward pass without gradients
over the completions of each batch. Watch `kept_share`, the share of tokens that are learnt from (about half), and
`positive_share`: where either is near 0 or 1 the threshold says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]

from trueward.adapters.trl import TruewardGRPOTrainer
from trueward.credit.token_estimators import token_hidden_reward
from trueward.credit.tokens import Threshold
from trueward.objectives.policy_loss import PolicyLoss
from trueward.policies.language import LanguagePolicy
from trueward.rewards.base import Reward, as_reward

SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-6,
    "num_generations": 8,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 32,
    "max_completion_length": 1024,
    "temperature": 1.0,
    "bf16": True,
    "logging_steps": 1,
    "report_to": "none",
}
_TINY: Mapping[str, Any] = {
    "max_steps": 2,
    "max_completion_length": 8,
    "num_generations": 4,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "bf16": False,
    "use_cpu": True,
    "save_strategy": "no",
    "disable_tqdm": True,
}


def build(
    model: str = "Qwen/Qwen2.5-Math-1.5B",
    questions: Sequence[Mapping[str, Any]] = (),
    correct: str | Callable[..., Any] | Reward = "trueward.rewards.rules.math:math",
    *,
    directory: str | Path,
    p: float = -0.1,
    threshold: Threshold = "least",
    sequence_ratio: bool = False,
    kl: float = 1e-4,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> TruewardGRPOTrainer:
    """A trainer whose dominant tokens are steered.

    Args:
        model: folder or name of a causal language model.
        questions: rows with `prompt` and what the verifier reads.
        correct: the verifier, 0 or 1; a reward that is given whole declares its own range.
        directory: of checkpoints.
        p: below 0 explores, above 0 exploits; the source uses ±0.1.
        threshold: of `dominance`: which tokens are dominant.
        sequence_ratio: one importance ratio per completion (GSPO-token) instead of one per token.
        kl: coefficient of the divergence from the model as it is given.
        seed: of training.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Reference: Deng et al. 2025, "Token hidden reward", arXiv 2510.03669.
    """
    policy = LanguagePolicy.load(model)
    args = TruewardGRPOTrainer.config_class(
        output_dir=str(directory), seed=seed, **{**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
    )
    return TruewardGRPOTrainer(
        policy.model.train(),
        as_reward(correct, low=0.0, high=1.0),
        args,
        datasets.Dataset.from_list([dict(row) for row in questions]),
        processing_class=policy.tokenizer,
        credit=token_hidden_reward(p=p, threshold=threshold),
        objective=PolicyLoss(over="sequence", ratio="sequence" if sequence_ratio else "token", kl=kl),
    )
