"""Cooper with public models: GRPO of TRL on a verifier model, and a callback that trains the model after every step.

    trainer = build("Qwen/Qwen2.5-1.5B-Instruct", "verifier", questions, assistant=rewrite, directory="run")
    trainer.train()

The verifier model comes from `train_on_labels` with a layout and is written by `LearnedReward.save`. It is trained in
this process, on the pairs of this process: run one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import numpy as np
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer  # type: ignore[attr-defined]

from trueward.batch import Context, Rollouts, Scores, Text
from trueward.errors import TrainingError
from trueward.policies.language import LanguagePolicy
from trueward.rewards.base import Reward, as_reward
from trueward.rewards.models.learned import LearnedReward
from trueward.training.co_training import CoTraining
from trueward.training.hooks import StopRun
from trueward.training.pairs import PairBuilder
from trueward.training.pairs_parts import first_valid, judged_wrong, rewritten

SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-6,
    "warmup_steps": 20,
    "beta": 1e-3,
    "num_generations": 16,
    "per_device_train_batch_size": 16,
    "gradient_accumulation_steps": 8,
    "max_completion_length": 512,
    "temperature": 1.0,
    "bf16": True,
    "logging_steps": 1,
    "report_to": "none",
}
_TINY: Mapping[str, Any] = {
    "warmup_steps": 0,
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


class CoTrained(TrainerCallback):
    """A reward in TRL's convention that remembers the rollouts of a step, and learns from them at its end.

    Attributes:
        reward: the model, which scores before it learns.
        hook: how it learns.
        told: what the hook logged, step by step.
    """

    def __init__(self, reward: Reward, hook: CoTraining) -> None:
        self.reward, self.hook, self.__name__ = reward, hook, reward.name
        self.told: list[Mapping[str, float]] = []
        self._seen: list[tuple[Rollouts, Scores]] = []

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """Scores of the completions."""
        size = len(completions)
        usable = {key: value for key, value in columns.items() if isinstance(value, list) and len(value) == size}
        reference = [{key: value[place] for key, value in usable.items()} for place in range(size)]
        rollouts = Rollouts(Text(prompts, completions), reference=reference)
        scores = self.reward.score(rollouts, Context(training=True))
        self._seen.append((rollouts, scores))
        return [None if np.isnan(value) else float(value) for value in scores.total()]

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Learn from what was sampled for this step."""
        for rollouts, scores in self._seen:
            generator = np.random.default_rng([args.seed, state.global_step, len(self.told)])
            try:
                context = Context(state.global_step, training=True, generator=generator)
                self.told.append(self.hook.after_rollouts(rollouts, scores, context))
            except StopRun:
                control.should_training_stop = True
        self._seen.clear()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """What was sampled for an evaluation teaches nothing."""
        self._seen.clear()


def build(
    model: str = "Qwen/Qwen2.5-1.5B-Instruct",
    verifier: str | Path = "verifier",
    questions: Sequence[Mapping[str, Any]] = (),
    correct: str | Callable[..., Any] | Reward = "trueward.rewards.rules.math:math",
    *,
    assistant: Callable[[Any, str], str | None],
    directory: str | Path,
    learning_rate: float = 1e-5,
    least_rate: float = 0.02,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> GRPOTrainer:
    """A `GRPOTrainer` on a verifier model that is trained along.

    Args:
        model: folder or name of a causal language model.
        verifier: folder of a `LearnedReward`.
        questions: rows with `prompt` and what rule and model read (`answer`).
        correct: the rule: seldom wrong where it says 1.
        assistant: (question, right solution) → a plausible wrong one of the same style and length, wrong throughout;
            None where it has none. Ask an instruct model at temperature 0.7, up to 500 tokens beyond the solution's.
        directory: of checkpoints.
        learning_rate: of the verifier model, some ten times that of the policy.
        least_rate: training stops where fewer prompts than this give a pair.
        seed: of training.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Raises:
        TrainingError: there is more than one process.

    Reference: Hong et al. 2025 (Cooper), arXiv 2508.05613.
    """
    policy, reward, rule = LanguagePolicy.load(model), LearnedReward.load(verifier), as_reward(correct)

    def right(completion: str, reference: Mapping[str, Any]) -> bool:
        return (rule([""], [completion], **{key: [value] for key, value in reference.items()})[0] or 0.0) > 0.5

    write = rewritten(lambda positive, candidates, generator: assistant(candidates.prompt, positive))
    builder = PairBuilder(first_valid, write, judged_wrong(right), capacity=256, least=8)
    hook = CoTraining(
        reward.scorer,
        reward.tokenizer,
        builder,
        rule,
        reward.layout,
        learning_rate=learning_rate,
        least_rate=least_rate,
        window=20,
    )
    trained = CoTrained(reward, hook)
    trainer = GRPOTrainer(
        model=policy.model.train(),
        processing_class=policy.tokenizer,
        reward_funcs=[trained],
        args=GRPOConfig(
            output_dir=str(directory), seed=seed, **{**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
        ),
        train_dataset=datasets.Dataset.from_list([dict(row) for row in questions]),
        callbacks=[trained],
    )
    if trainer.accelerator.num_processes > 1:
        raise TrainingError(
            f"{trainer.accelerator.num_processes} processes would each train a verifier model of their own: start one"
        )
    reward.scorer.to(trainer.accelerator.device)
    return trainer
