"""A divergence on the few decisions that take most of the entropy away."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, masked_mean, weighted_total
from trueward.objectives.ratios import bounded, log_ratio


def covariance_penalty(
    logprobs: Float[Tensor, "n t"],
    old_logprobs: Float[Tensor, "n t"],
    advantages: Float[Tensor, " n"] | Float[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    weight: Float[Tensor, " n"] | None = None,
    *,
    share: float = 0.002,
) -> Loss:
    """KL-Cov: hold back the decisions on which probability and advantage are high together.

    To first order the entropy of a softmax policy falls by the covariance of log-probability and advantage, and a few
    decisions hold most of it. With c_it = (log π(a_it) − mean)(A_it − mean) over the decisions and S the given share of
    them, those with the largest c:

        loss = Σ_i w_i Σ_{t ∈ S} |log π(a_it) − log π_old(a_it)|

    It has no gradient in the first step after sampling, where both policies are the same. Decisions are ranked among
    those of the rows given, so that micro-batches rank apart.

    Args:
        logprobs: log-probability of each decision under the policy in training.
        old_logprobs: the same under the policy that sampled; no gradient flows into it.
        advantages: one per row or one per decision; no gradient flows into it.
        mask: True on decisions that the policy made itself.
        weight: weight per decision of each row, from `decision_weight`; by default the mean over all decisions.
        share: of the decisions that are held back; at least one is.

    Returns:
        Loss, and metrics: `covariance` (mean of c over the decisions), `held_share` (share that is held back).

    Raises:
        ValueError: the share is outside (0, 1].

    Reference: Cui et al. 2025, "The entropy mechanism of reinforcement learning for reasoning language models", arXiv
    2505.22617, section 4; released code (absolute difference).
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"the share of decisions that are held back lies in (0, 1]; got {share!r}")
    moved = bounded(log_ratio(logprobs, old_logprobs, mask))
    with torch.no_grad():
        current = torch.where(mask, logprobs.to(moved.dtype), 0.0)
        each = advantages.to(moved.dtype)
        each = torch.where(mask, each if each.ndim == 2 else each.unsqueeze(1), 0.0)
        covariance = (current - masked_mean(current, mask)) * (each - masked_mean(each, mask))
        held = _largest(covariance, mask, share)
        metrics = {
            "covariance": masked_mean(covariance, mask),
            "held_share": masked_mean(held.to(moved.dtype), mask),
        }
    return weighted_total(moved.abs() * held, mask, weight), metrics


def _largest(values: Float[Tensor, "n t"], mask: Bool[Tensor, "n t"], share: float) -> Bool[Tensor, "n t"]:
    """The largest share of the entries under the mask, at least one where there is one; equals of the last count."""
    inside = values[mask]
    if not len(inside):
        return torch.zeros_like(mask)
    least = inside.topk(max(1, int(share * len(inside)))).values[-1]
    return mask & (values >= least)
