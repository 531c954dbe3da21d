"""Clip and Delta with public models: TRL's GRPO trainer with one advantage per token.

TRL's own advantages are one number per completion, and a sum over steps takes Delta's differences back. This trainer
puts the returns of the steps in their place: A_t = z(correct) + α (c_{k(t)} − mean of the group's steps).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import numpy as np
import torch
import trl

from trueward.batch import Context, Rollouts, Text
from trueward.credit.estimators import SegmentReturns
from trueward.errors import TrainingError
from trueward.policies.language import LanguagePolicy
from trueward.policies.scorer import TokenScorer
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.models.process import StepScorer
from trueward.rewards.transforms import step_clip, step_delta
from trueward.tasks.text.procedural.steps import segments_of

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


_TRL: Any = trl


class StepCreditTrainer(_TRL.GRPOTrainer):  # type: ignore[misc]
    """GRPO whose tokens are credited with the return of their own step.

    Attributes:
        step_reward: with parts per rollout and per segment.
        credit: scores to advantages per token.
    """

    def __init__(self, *args: Any, step_reward: Reward, credit: SegmentReturns, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.step_reward, self.credit = step_reward, credit
        self.tokenizer: Any = self.processing_class
        tokens = [self.tokenizer.decode([number]) for number in range(len(self.tokenizer))]
        self._breaks = np.array(["\n" in token for token in tokens])

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's batch, its advantages replaced."""
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        size = self.num_generations if self.model.training else self.num_generations_eval
        if len(inputs) % size:
            raise TrainingError(
                f"{len(inputs)} completions on this process do not make groups of {size}: choose a batch per device "
                "that num_generations divides"
            )
        rollouts = self._rollouts(inputs, batch, size)
        credited = self.credit(
            self.step_reward.score(rollouts, Context(self.state.global_step, training=True)), rollouts, Context()
        )
        like = batch["completion_mask"]
        return {**batch, "advantages": torch.as_tensor(credited.advantages, dtype=torch.float32, device=like.device)}

    def _rollouts(self, inputs: list[dict[str, Any]], batch: dict[str, Any], size: int) -> Rollouts:
        ids, mask = (batch[name].cpu().numpy() for name in ("completion_ids", "completion_mask"))
        mask = mask.astype(bool)
        end = self.tokenizer.eos_token_id
        kinds = np.where(self._breaks[ids], 1, np.where(ids == end, 2, 0))
        texts = self.tokenizer.batch_decode(batch["completion_ids"], skip_special_tokens=True)
        both = {
            key: torch.cat([batch[f"prompt_{key}"], batch[f"completion_{key}"]], dim=1).cpu() for key in ("ids", "mask")
        }
        return Rollouts(
            Text([row["prompt"] for row in inputs], texts, both["ids"].numpy(), both["mask"].numpy().astype(bool)),
            mask=mask,
            group=np.arange(len(inputs)) // size,
            segments=segments_of(kinds, mask, 1, closing=[2]),
            features={"finished": ((ids == end) & mask).any(axis=1)},
            reference=[{key: value for key, value in row.items() if key != "prompt"} for row in inputs],
        )


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
) -> StepCreditTrainer:
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
    return StepCreditTrainer(
        model=policy.model.train(),
        processing_class=policy.tokenizer,
        reward_funcs=[verifier],
        args=_TRL.GRPOConfig(
            output_dir=str(directory), seed=seed, **{**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
        ),
        train_dataset=datasets.Dataset.from_list([dict(row) for row in questions]),
        step_reward=verifier + weight * process.transform(step_clip(), step_delta()),
        credit=SegmentReturns(),
    )
