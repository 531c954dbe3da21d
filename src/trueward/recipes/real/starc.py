"""STARC with public models: how far two rewards are apart on the policy's own answers, before it is trained on one.

    trainer = build("Qwen/Qwen2.5-0.5B-Instruct", questions, reward="hf:Skywork/Skywork-Reward-V2-Qwen3-0.6B",
                    directory="run", limit=1.2)
    trainer.train()

In one step the value-adjusted reward is r(x, y) − E_y r(x, y), so that eight answers to each of 500 prompts are enough:
no policy is trained to find out that a reward orders answers as nobody wanted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback

from trueward.batch import Context
from trueward.errors import TrainingError
from trueward.measures.distances import BanditDistance, bandit_distance
from trueward.policies.language import LanguagePolicy
from trueward.policies.sampling import Sampling
from trueward.report.atomic import write_whole
from trueward.rewards.base import Reward, as_reward
from trueward.tasks.text.rows import Row
from trueward.training.rollouts import gather
from trueward.training.seeds import torch_stream

SETTINGS: Mapping[str, Any] = {
    "learning_rate": 1e-6, "beta": 0.0, "num_generations": 8, "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 8, "max_completion_length": 512, "temperature": 1.0, "bf16": True,
    "logging_steps": 1, "report_to": "none",
}  # fmt: skip
_TINY: Mapping[str, Any] = {
    "max_steps": 2, "max_completion_length": 8, "num_generations": 4, "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1, "bf16": False, "use_cpu": True, "save_strategy": "no", "disable_tqdm": True,
}  # fmt: skip
AnyReward = str | Callable[..., Any] | Reward


def compare(
    policy: LanguagePolicy,
    first: Reward,
    second: Reward,
    rows: Sequence[Row],
    *,
    answers: int,
    sampling: Sampling,
    seed: int,
) -> BanditDistance:
    """How far two rewards are apart on the answers of a policy. An answer that one of them cannot score is left out.

    Args:
        policy: whose answers count: a distance holds where the policy goes, and it will go elsewhere in training.
        first, second: the rewards.
        rows: prompts, with what the rewards read.
        answers: per prompt.
        sampling: how.
        seed: of the draws.
    """
    rollouts = gather(policy, rows, sampling, torch_stream(seed, "answers to compare by"), group=answers)
    scores = [reward.score(rollouts, Context()).total() for reward in (first, second)]
    return bandit_distance(scores[0], scores[1], np.asarray(rollouts.group), seed=seed)


class CompareFirst(TrainerCallback):
    """Compares the reward that is to be optimised with another one when training begins.

    The distance joins the log as `starc/…` and is written to `output_dir/starc.json`.

    Attributes:
        told: what was found; None before training begins.
    """

    def __init__(
        self,
        first: Reward,
        second: Reward,
        rows: Sequence[Row],
        *,
        answers: int = 8,
        limit: float | None = None,
    ) -> None:
        """Say what is compared.

        Args:
            first: what is optimised.
            second: what it stands in for: a stricter check, a larger model.
            rows: prompts, with what the rewards read.
            answers: per prompt.
            limit: distance beyond which training is refused; √2 is that of unrelated rewards.
        """
        self.first, self.second, self.rows, self.answers, self.limit = first, second, rows, answers, limit
        self.told: BanditDistance | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Sample, score, compare.

        Raises:
            TrainingError: the rewards are further apart than the limit.
        """
        sampling = Sampling(args.max_completion_length, temperature=args.temperature)
        model, training = kwargs["model"], kwargs["model"].training
        policy = LanguagePolicy(model.eval(), kwargs["processing_class"])
        try:
            told = compare(
                policy, self.first, self.second, self.rows, answers=self.answers, sampling=sampling, seed=args.seed
            )
        finally:
            model.train(training)
        self.told = told
        if state.is_world_process_zero:
            found = {"distance": told.distance, "low": told.low, "high": told.high, "left_out": float(told.left_out)}
            state.log_history.append({"step": state.global_step, **{f"starc/{key}": found[key] for key in found}})
            whole = json.dumps(dataclasses.asdict(told), indent=2)
            write_whole(Path(args.output_dir) / "starc.json", whole.encode())
        if self.limit is not None and told.distance > self.limit:
            raise TrainingError(
                f"{self.first.name} is {told.distance:.2f} [{told.low:.2f}, {told.high:.2f}] from {self.second.name}, "
                f"beyond the limit of {self.limit:g} (1.41 is unrelated): what is wanted would not be what is "
                "optimised; mend the reward, or raise the limit"
            )


def build(
    model: str = "Qwen/Qwen2.5-0.5B-Instruct",
    questions: Sequence[Mapping[str, Any]] = (),
    *,
    reward: AnyReward,
    check: AnyReward = "trueward.rewards.rules.math:math",
    directory: str | Path,
    compared: int = 500,
    answers: int = 8,
    limit: float | None = None,
    seed: int = 0,
    tiny: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Any:
    """A GRPO trainer that says, before its first step, how far its reward is from another one.

    Args:
        model: folder or name of a causal language model.
        questions: rows with `prompt` and what the rewards read.
        reward: what is optimised: an address, a function as TRL takes it, or a reward.
        check: what it stands in for.
        directory: of checkpoints.
        compared: prompts on which the rewards are compared, the first ones.
        answers: to each of them.
        limit: distance beyond which training is refused; None to log it only.
        seed: of training and of the answers.
        tiny: two steps on a CPU.
        settings: of `GRPOConfig`, over `SETTINGS`.

    Reference: Skalse et al. 2024, "STARC", arXiv 2309.15257; the case of one step is ours.
    """
    import datasets  # type: ignore[import-untyped]

    from trueward.adapters.trl import TruewardGRPOTrainer

    policy, first, second = LanguagePolicy.load(model), as_reward(reward), as_reward(check)
    rows = [
        Row(str(place), one["prompt"], one.get("answer"), columns={k: v for k, v in one.items() if k != "prompt"})
        for place, one in enumerate(questions[:compared])
    ]
    return TruewardGRPOTrainer(
        policy.model.train(),
        first,
        TruewardGRPOTrainer.config_class(
            output_dir=str(directory), seed=seed, **{**SETTINGS, **(_TINY if tiny else {}), **(settings or {})}
        ),
        datasets.Dataset.from_list([dict(row) for row in questions]),
        processing_class=policy.tokenizer,
        callbacks=[CompareFirst(first, second, rows, answers=answers, limit=limit)],
    )
