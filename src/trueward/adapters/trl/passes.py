"""Forward passes over a fresh batch that credit and objective ask for, beyond those that TRL makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trueward.adapters.trl.gathering import fitted
from trueward.batch import Rollouts, Text
from trueward.errors import TrainingError
from trueward.policies.prediction_errors import hidden_and_errors

_CREDIT_MAY_NEED = frozenset({"reference", "entropy", "hidden", "errors"})
_OBJECTIVE_MAY_NEED = frozenset({"reference", "entropy"})
_COLUMNS = {"logprobs": "old_per_token_logps", "reference": "ref_per_token_logps"}
_WHY_NOT = {
    "value": "TRL's trainers have no critic: use trueward.training.train, or credit without one",
    "greedy": "TRL's trainers sample no greedy completion beside the group: use GroupRelative, whose group is there",
}


def check_needs(credit: Any, objective: Any) -> frozenset[str]:
    """What credit and objective need together.

    Raises:
        TrainingError: something that this trainer cannot give.
    """
    asked = frozenset() if credit is None else frozenset(credit.needs)
    wanted = frozenset() if objective is None else frozenset(objective.needs)
    for name in sorted((asked - _CREDIT_MAY_NEED) | (wanted - _OBJECTIVE_MAY_NEED)):
        who = "credit" if name in asked - _CREDIT_MAY_NEED else "objective"
        why = _WHY_NOT.get(name, "this trainer cannot give it")
        raise TrainingError(f"{who} needs {name!r}: {why}")
    return asked | wanted


def keep_passes(output: dict[str, Any], found: Mapping[str, Tensor]) -> None:
    """Put passes into TRL's batch, under its own names: the loss takes them from there."""
    output.update({_COLUMNS[name]: rows for name, rows in found.items() if name in _COLUMNS})


def aligned(args: Any) -> bool:
    """True where every batch is learnt from before the weights change, so that π_old = π."""
    every: int = args.steps_per_generation * args.num_iterations
    return bool(args.gradient_accumulation_steps % every == 0)


@torch.no_grad()
def token_passes(trainer: Any, output: dict[str, Any], wanted: set[str]) -> dict[str, Tensor]:
    """Numbers of each completion token, [n, t]: any of "logprobs", "entropy", "reference".

    What TRL has computed for the batch is taken from there.
    """
    found: dict[str, Tensor] = {}
    for name in wanted & _COLUMNS.keys():
        if output.get(_COLUMNS[name]) is not None:
            found[name] = output[_COLUMNS[name]]
    if (wanted - found.keys()) & {"logprobs", "entropy"}:
        logprobs, entropy = _forward(trainer, trainer.model, output, "entropy" in wanted)
        found.setdefault("logprobs", logprobs)
        if entropy is not None:
            found["entropy"] = entropy
    if "reference" in wanted - found.keys():
        found["reference"] = _reference(trainer, output)
    return {name: found[name] for name in wanted}


def _forward(trainer: Any, model: Any, output: dict[str, Any], entropy: bool) -> tuple[Tensor, Tensor | None]:
    from trl.models.utils import disable_gradient_checkpointing

    args = trainer.args
    size = args.per_device_train_batch_size if trainer.model.training else args.per_device_eval_batch_size
    with disable_gradient_checkpointing(trainer.model, args.gradient_checkpointing_kwargs):
        logprobs, entropies, _ = trainer._get_per_token_logps_and_entropies(
            model,
            torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1),
            torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1),
            output["completion_ids"].size(1),
            batch_size=size,
            compute_entropy=entropy,
        )
    return logprobs, entropies


def _reference(trainer: Any, output: dict[str, Any]) -> Tensor:
    if trainer.ref_model is not None:
        return _forward(trainer, trainer.ref_model, output, False)[0]
    from trl.trainer.utils import use_adapter

    model = trainer.accelerator.unwrap_model(trainer.model)
    with use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None):
        return _forward(trainer, trainer.model, output, False)[0]


def hidden_passes(trainer: Any, rollouts: Rollouts, own: slice, width: int) -> dict[str, Tensor]:
    """Hidden states and prediction errors of the rows of this process, [n, width, …].

    Errors are told on the tokens of a whole group, so the rows of other processes that belong to a group of this one
    are read too.

    Args:
        trainer: with the policy.
        rollouts: of all processes, with the mask that is learnt from.
        own: rows of this process.
        width: T of the whole batch.
    """
    content, group = rollouts.content, np.asarray(rollouts.group)
    if not isinstance(content, Text) or content.token_ids is None:
        raise TrainingError("hidden states are those of tokens: the rollouts hold none")
    touched = np.flatnonzero(np.isin(group, group[own]))
    mine = np.flatnonzero((touched >= own.start) & (touched < own.stop))
    device = trainer.accelerator.device

    def tensor(values: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(np.asarray(values)[touched])).to(device)

    hidden, errors = hidden_and_errors(
        trainer.accelerator.unwrap_model(trainer.model),
        tensor(content.token_ids),
        tensor(content.attention),
        tensor(rollouts.mask),
        tensor(group),
        temperature=trainer.temperature,
    )
    return {"hidden": fitted(hidden[mine], width), "errors": fitted(errors[mine], width)}
