"""The loss of a micro-batch under one of Trueward's objectives.

The weight of each row is made once for the whole generation batch of all processes, so the losses of its micro-batches,
summed over processes, are the loss of the batch, however it is cut and shuffled:

    loss of a micro-batch = P · S/K · Σ_i w_i Σ_t m_it l_it

with P processes (data parallelism averages their gradients), S micro-batches per generation and K per optimiser step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trueward.adapters.trl.crediting import ScoredBatch, loss_mask
from trueward.adapters.trl.passes import aligned, keep_passes, token_passes

WEIGHT = "trueward_weight"


def add_loss_inputs(trainer: Any, batch: ScoredBatch, output: dict[str, Any]) -> None:
    """Put what the loss needs into TRL's batch, row by row, so that it is shuffled and split with the rest.

    Args:
        trainer: with the objective.
        batch: with the mask that is learnt from.
        output: TRL's batch of this process; changed.
    """
    objective, device = trainer.policy_objective, output["completion_mask"].device
    mask = torch.from_numpy(np.ascontiguousarray(batch.rollouts.mask)).to(device)
    group = torch.from_numpy(np.ascontiguousarray(batch.rollouts.group)).to(device)
    output[WEIGHT] = objective.weight(mask, group)[batch.own]
    wanted = {"reference"} if "reference" in objective.needs else set()
    if not aligned(trainer.args):
        wanted.add("logprobs")
    if wanted:
        keep_passes(output, token_passes(trainer, output, wanted))


def policy_loss(trainer: Any, model: Any, inputs: dict[str, Any]) -> Tensor:
    """The loss of a micro-batch, and its metrics into the trainer's log."""
    objective = trainer.policy_objective
    logprobs, entropies, auxiliary = trainer._get_per_token_logps_and_entropies(
        model,
        torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1),
        torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1),
        inputs["completion_ids"].size(1),
        compute_entropy=True,
        compute_aux_loss=trainer.aux_loss_enabled,
    )
    mask = loss_mask(inputs)
    old = inputs.get("old_per_token_logps")
    loss: Tensor
    loss, metrics = objective(
        logprobs,
        logprobs.detach() if old is None else old,
        _advantages(trainer, inputs),
        mask,
        inputs[WEIGHT],
        ref_logprobs=inputs.get("ref_per_token_logps"),
        entropy=entropies if "entropy" in objective.needs else None,
    )
    training = trainer.model.training
    windows = trainer.args.steps_per_generation / trainer.current_gradient_accumulation_steps if training else 1.0
    loss = loss * (trainer.accelerator.num_processes * windows)
    if trainer.aux_loss_enabled:
        parts = trainer.current_gradient_accumulation_steps if training else 1.0
        loss = loss + trainer.router_aux_loss_coef * auxiliary / parts
        metrics = {**metrics, "router_loss": auxiliary.detach()}
    with torch.no_grad():
        counted = mask.sum()
        spread = torch.where(mask, entropies.float(), 0.0).sum() / counted.clamp(min=1)
    _tell(trainer, "train" if training else "eval", {**metrics, "entropy": spread}, counted)
    return loss


def _advantages(trainer: Any, inputs: dict[str, Any]) -> Tensor:
    advantages: Tensor = inputs["advantages"]
    ratio: Tensor | None = inputs.get("importance_sampling_ratio")
    if ratio is None:
        return advantages
    # A surrogate is linear in a factor of at least 0 on the advantage, so this is the factor on its loss.
    if ratio.shape[1] == 1 and advantages.ndim == 1:
        return advantages * ratio.squeeze(1)
    return ((advantages if advantages.ndim == 2 else advantages.unsqueeze(1)) * ratio).contiguous()


def _tell(trainer: Any, mode: str, metrics: dict[str, Tensor], decisions: Tensor) -> None:
    """Metrics over all processes: means weigh decisions, of the largest there is one, counts add up."""
    names = sorted(metrics)
    values = torch.stack([metrics[name].detach().float().reshape(()) for name in names])
    told = trainer.accelerator.gather(torch.cat([decisions.float().reshape(1), values]).unsqueeze(0))
    share = told[:, 0] / told[:, 0].sum().clamp(min=1)
    for place, name in enumerate(names, start=1):
        column = told[:, place]
        if name == "decisions":
            number = column.sum()
        else:
            number = column.max() if name.endswith("_max") else (share * column).sum()
        trainer._metrics[mode]["entropy" if name == "entropy" else f"objective/{name}"].append(float(number))
