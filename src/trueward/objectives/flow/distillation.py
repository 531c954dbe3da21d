"""Distillation of guidance: the velocity that makes the unguided kernel equal to the guided one."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, decision_weight, masked_mean, weighted_total
from trueward.objectives.ratios import at_least_single


def guidance_distillation(
    velocities: Float[Tensor, "n k *sample"],
    targets: Float[Tensor, "n k *sample"],
    kernel_weight: Float[Tensor, " k"] | Float[Tensor, "n k"],
    mask: Bool[Tensor, "n k"],
    weight: Float[Tensor, " n"] | None = None,
    *,
    reduction: Literal["mean", "sum"] = "mean",
) -> Loss:
    """Pull the velocity towards the one whose unguided step is the guided step of the policy that sampled.

    The unguided kernel of v has the mean x(1 − σ²Δ/(2t)) − v(1 + σ²(1 − t)/(2t))Δ, and guidance by a reward gradient g
    adds σ²Δ/(2β)·g to it. Both are equal for

        v* = v_old − [σ²/(2β) · g] / (1 + σ²(1 − t)/(2t))

    and the divergence of the guided kernel from the unguided one of v is w_t ‖v − v*‖², which is what is minimised:

        loss = Σ_i w_i Σ_t m_it w_t ‖v_it − v*_it‖²,     w_t = (Δ/(2σ²)) (1 + σ²(1 − t)/(2t))²

    After that sampling needs no reward. Without it guidance finds samples and the policy never learns where from.

    Args:
        velocities: v of the policy in training at the chosen steps.
        targets: v*; no gradient flows into it.
        kernel_weight: w_t of each step; 1 everywhere regresses velocities alike at all times.
        mask: True on steps that were guided.
        weight: weight per step of each row, from `decision_weight`; by default the mean over all steps.
        reduction: whether squares are averaged over the entries of a sample or summed. Take the one of the
            log-probabilities beside it: it says how much a step of distillation is worth against them.

    Returns:
        Loss, and metrics over the steps that count: `distilled_steps` (how many), `distillation_error` and
        `distillation_target` (root mean square per entry of v − v* and of v*).

    Raises:
        ValueError: the reduction is unknown.

    Reference: Zhong et al. 2026, arXiv 2602.04928; v* and w_t are the kernel divergence written out, because the
    released code holds no such loss.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction={reduction!r} is unknown; choose mean or sum")
    v, goal = at_least_single(velocities), at_least_single(targets.detach())
    entries = mask.reshape(*mask.shape, *[1] * (v.ndim - 2))
    # Replaced before the subtraction: NaN of a step that was not guided would reach the gradient.
    squares = (torch.where(entries, v, 0.0) - torch.where(entries, goal, 0.0)).square().flatten(2)
    per_step = squares.mean(dim=2) if reduction == "mean" else squares.sum(dim=2)
    # What is masked may have no kernel either: its noise can be 0.
    scale = torch.where(mask, kernel_weight.to(per_step.dtype).expand(mask.shape), 0.0)
    weight = decision_weight(mask) if weight is None else weight
    loss = weighted_total(scale * per_step, mask, weight)
    with torch.no_grad():
        size = torch.where(entries, goal, 0.0).square().flatten(2).mean(dim=2)
        metrics = {
            "distilled_steps": mask.sum(),
            "distillation_error": masked_mean(squares.mean(dim=2), mask).sqrt(),
            "distillation_target": masked_mean(size, mask).sqrt(),
        }
    return loss, metrics
