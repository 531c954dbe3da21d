"""Trainers for the tests: a small policy, fixed settings, and rollouts from outside where they are to be the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
import trl
from transformers import PrinterCallback

from trueward.adapters.trl import TruewardGRPOTrainer
from trueward.policies.language import LanguagePolicy

SETTINGS: Mapping[str, Any] = {
    "num_generations": 4,
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "max_completion_length": 6,
    "max_steps": 2,
    "learning_rate": 1e-2,
    "beta": 0.0,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "logging_steps": 1,
    "save_strategy": "no",
    "disable_tqdm": True,
    "shuffle_dataset": False,
}


def trainer_of(
    model: Path,
    reward: Any,
    rows: Sequence[Mapping[str, Any]],
    directory: Path,
    *,
    kind: Any = TruewardGRPOTrainer,
    settings: Mapping[str, Any] | None = None,
    **given: Any,
) -> Any:
    """A trainer on the policy of a folder.

    Args:
        model: folder.
        reward: `reward_funcs`.
        rows: of the data set.
        directory: of the run.
        kind: class of the trainer.
        settings: of its configuration, over `SETTINGS`.
        given: further arguments of the trainer.
    """
    torch.set_num_threads(1)
    policy = LanguagePolicy.load(model)
    config = {TruewardGRPOTrainer: trl.GRPOConfig, trl.GRPOTrainer: trl.GRPOConfig}.get(kind, trl.RLOOConfig)
    trainer = kind(
        policy.model.train(),
        reward,
        config(output_dir=str(directory), **{**SETTINGS, **(settings or {})}),
        datasets.Dataset.from_list([dict(row) for row in rows]),
        processing_class=policy.tokenizer,
        **given,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    return trainer


def replay(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A `rollout_func` that gives rows back: the n-th call for a prompt gives its n-th completion.

    Args:
        rows: with `prompt`, `prompt_ids`, `completion_ids`, and optionally `env_mask`.
    """
    turn: dict[str, int] = {}

    def rollout(prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        chosen = []
        for prompt in prompts:
            known = [row for row in rows if row["prompt"] == prompt]
            chosen.append(known[turn.get(prompt, 0) % len(known)])
            turn[prompt] = turn.get(prompt, 0) + 1
        found: dict[str, Any] = {name: [row[name] for row in chosen] for name in ("prompt_ids", "completion_ids")}
        found["logprobs"] = None
        if "env_mask" in rows[0]:
            found["env_mask"] = [row["env_mask"] for row in chosen]
        return found

    return rollout
