"""The critic: its loss with clipping, and how much of the returns it explains."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, masked_mean, weighted_total, weighted_variance
from trueward.objectives.ratios import at_least_single


def clipped_value_loss(
    values: Float[Tensor, "n t"],
    old_values: Float[Tensor, "n t"],
    returns: Float[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    weight: Float[Tensor, " n"] | None = None,
    *,
    clip: float = 0.2,
) -> Loss:
    """Half the squared error of the critic, pessimistic about values that moved far from those of the rollouts.

    l = ½ max((V − R)², (clip(V, V_old − c, V_old + c) − R)²); loss = Σ_i w_i Σ_t m_it l_it. Without a bound
    (`math.inf`) half the mean squared error.

    Args:
        values: V, of the critic in training.
        old_values: V_old, of the critic when the rollouts were made; no gradient flows into it.
        returns: R; no gradient flows into it.
        mask: True on decisions that the policy made itself.
        weight: weight per decision of each row, from `decision_weight`; by default the mean over all decisions.
        clip: c, in units of the return.

    Returns:
        Loss, and metrics over the decisions: `clip_share` (share where the clipped error is the larger, hence without
        gradient), `explained_variance` (of V), `value_mean`, `return_mean`.

    Raises:
        ValueError: the bound is not positive.

    Reference: the value loss of OpenAI Baselines' PPO2; Huang et al. 2022, "The 37 implementation details of PPO", 9.
    """
    if not clip > 0:
        raise ValueError(f"clip={clip!r}: values need room to move; give a positive bound, or math.inf for none")
    value = torch.where(mask, at_least_single(values), 0.0)
    target = torch.where(mask, returns.detach(), 0.0).to(value.dtype)
    error = (value - target).square()
    if math.isinf(clip):
        pessimistic, clipped = error, torch.zeros_like(mask)
    else:
        old = torch.where(mask, old_values.detach(), 0.0).to(value.dtype)
        held = (value.clamp(old - clip, old + clip) - target).square()
        pessimistic, clipped = torch.maximum(error, held), held > error
    metrics = {
        "clip_share": masked_mean(clipped.to(value.dtype), mask),
        "explained_variance": explained_variance(value.detach(), target, mask),
        "value_mean": masked_mean(value.detach(), mask),
        "return_mean": masked_mean(target, mask),
    }
    return weighted_total(pessimistic / 2, mask, weight), metrics


def explained_variance(
    values: Float[Tensor, "*shape"], returns: Float[Tensor, "*shape"], mask: Bool[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Share of the variance of the returns that the critic explains: 1 − Var(R − V) / Var(R).

    Returns:
        At most 1; 0 for a critic that is constant, below 0 for one that is worse than that; 0 also where the returns do
        not vary, because then there is nothing to explain.
    """
    returns = at_least_single(returns)
    counts = mask.to(returns.dtype)
    spread = weighted_variance(returns, counts)
    varies = spread > 0
    left = weighted_variance(returns - values, counts)
    return torch.where(varies, 1 - left / torch.where(varies, spread, 1.0), 0.0)
