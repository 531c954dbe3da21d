"""Policy-gradient losses: the clipped surrogate and REINFORCE."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, Metrics, masked_mean, weighted_total
from trueward.objectives.ratios import LOG_RATIO_LIMIT, at_least_single, bounded, log_ratio

RatioLevel = Literal["token", "sequence"]


def clipped_surrogate(
    logprobs: Float[Tensor, "n t"],
    old_logprobs: Float[Tensor, "n t"],
    advantages: Float[Tensor, " n"] | Float[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    weight: Float[Tensor, " n"] | None = None,
    *,
    low: float = 0.2,
    high: float = 0.2,
    dual: float | None = None,
    ratio: RatioLevel = "token",
) -> Loss:
    """The loss of PPO, GRPO, Dr. GRPO, DAPO and GSPO: importance-weighted advantages, pessimistic far from the sampler.

    l_it = −min(r A, clip(r, 1 − low, 1 + high) A), and where A < 0 at most −dual · A; loss = Σ_i w_i Σ_t m_it l_it.

    - ratio "token": r_it = π(a_it) / π_old(a_it).
    - ratio "sequence": r_it = s_i = exp(mean over the row's decisions of log π/π_old), the geometric mean, as a value;
      the gradient is s_i ∇ log π(a_it). With one advantage per row that is the gradient of s_i itself (GSPO), and with
      one per decision each decision keeps its own (GSPO-token).

    What is averaged is told by the weight: GRPO is `decision_weight(mask, "sequence")`, Dr. GRPO "fixed_length". A row
    whose advantage is zero adds nothing to the loss and still counts in the denominator. Rows of several sources with
    different settings: one weight from the whole mask, one call per source with its part of the mask, losses added.
    What weighs whole rows or prompts (difficulty, trust) is a factor on the weight.

    Args:
        logprobs: log-probability of each decision under the policy in training.
        old_logprobs: the same under the policy that sampled; no gradient flows into it.
        advantages: one per row or one per decision; no gradient flows into it.
        mask: True on decisions that the policy made itself.
        weight: weight per decision of each row, from `decision_weight`; by default the mean over all decisions.
        low, high: how far the ratio may fall below and rise above 1 (`math.inf`: no bound).
        dual: bound above 1 of the ratio where the advantage is negative.
        ratio: level of the importance ratio.

    Returns:
        Loss, and metrics over the decisions: `clip_share_low`, `clip_share_high`, `clip_share_dual` (share held at that
        bound, hence without gradient), `ratio_mean`, `ratio_max`, `approx_kl` (k3 estimate of KL(π_old ‖ π) from
        decision ratios), `decisions` (how many). Log ratios are held within ±20; the shares
        count that too.

    Raises:
        ValueError: a bound is negative, dual is not above 1, or the ratio level is unknown.

    Reference: Schulman et al. 2017 (PPO) Eq. 7; Ye et al. 2020 (dual clip); Yu et al. 2025 (DAPO) §3.1; Zheng et
    al. 2025 (GSPO) §4.
    """
    _check_bounds(low, high, dual, ratio)
    decision = log_ratio(logprobs, old_logprobs, mask)
    advantage = _per_decision(advantages, mask, decision.dtype)
    used = decision if ratio == "token" else _geometric_mean(decision, mask)
    falls, rises = advantage < 0, advantage > 0
    lowest = torch.full_like(advantage, -LOG_RATIO_LIMIT).masked_fill(falls, _log(1 - low))
    highest = torch.full_like(advantage, _log(dual or math.inf)).masked_fill(rises, _log(1 + high))
    # Bounded as logarithms: exp(x) that overflows first and is clipped then has no finite gradient.
    loss = weighted_total(-used.clamp(lowest, highest).exp() * advantage, mask, weight)
    with torch.no_grad():
        at_bound = {
            "clip_share_low": falls & (used < lowest),
            "clip_share_high": rises & (used > highest),
            "clip_share_dual": falls & (used > highest),
        }
        metrics = {name: masked_mean(share.to(used.dtype), mask) for name, share in at_bound.items()}
        metrics |= _ratio_metrics(used, decision, mask)
    return loss, metrics


def _check_bounds(low: float, high: float, dual: float | None, ratio: str) -> None:
    if not (low >= 0 and high >= 0):
        raise ValueError(f"low and high say how far the ratio may leave 1, both at least 0; got {low!r} and {high!r}")
    if dual is not None and not dual > 1:
        raise ValueError(f"dual must be above 1, or it would hold ratios inside the trust region; got {dual!r}")
    if ratio not in ("token", "sequence"):
        raise ValueError(f"ratio={ratio!r} is unknown; choose token or sequence")


def _log(bound: float) -> float:
    return min(max(math.log(bound), -LOG_RATIO_LIMIT), LOG_RATIO_LIMIT) if bound > 0 else -LOG_RATIO_LIMIT


def _per_decision(
    advantages: Float[Tensor, " n"] | Float[Tensor, "n t"], mask: Bool[Tensor, "n t"], dtype: torch.dtype
) -> Float[Tensor, "n _"]:
    # One column where one number per row says it all: nothing of size [n, t] is written.
    advantages = advantages.detach().to(dtype)
    if advantages.ndim == 1:
        return torch.where(mask.any(dim=1), advantages, 0.0).unsqueeze(1)
    return torch.where(mask, advantages, 0.0)


def _geometric_mean(decision: Float[Tensor, "n t"], mask: Bool[Tensor, "n t"]) -> Float[Tensor, "n t"]:
    mean = decision.detach().sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return mean.unsqueeze(1) + (decision - decision.detach())


def _ratio_metrics(used: Float[Tensor, "n t"], decision: Float[Tensor, "n t"], mask: Bool[Tensor, "n t"]) -> Metrics:
    ratio, held = bounded(used).exp(), bounded(decision)
    return {
        "ratio_mean": masked_mean(ratio, mask),
        "ratio_max": torch.where(mask, ratio, 0.0).max() if mask.numel() else ratio.new_zeros(()),
        "approx_kl": masked_mean(torch.expm1(held) - held, mask),
        "decisions": mask.sum(),
    }


def reinforce(
    logprobs: Float[Tensor, "n t"],
    advantages: Float[Tensor, " n"] | Float[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    weight: Float[Tensor, " n"] | None = None,
) -> Loss:
    """REINFORCE: the score-function gradient, for one update per batch of rollouts.

    loss = −Σ_i w_i Σ_t m_it A_it log π(a_it). Its gradient is that of `clipped_surrogate` where π = π_old; the number
    itself is no measure of progress.

    Args:
        logprobs: log-probability of each decision under the policy in training, which also sampled.
        advantages: one per row or one per decision; no gradient flows into it.
        mask: True on decisions that the policy made itself.
        weight: weight per decision of each row, from `decision_weight`; by default the mean over all decisions.

    Returns:
        Loss, and metrics over the decisions: `logprob_mean`, `decisions` (how many).

    Reference: Williams 1992, "Simple statistical gradient-following algorithms".
    """
    new = torch.where(mask, at_least_single(logprobs), 0.0)
    loss = weighted_total(-_per_decision(advantages, mask, new.dtype) * new, mask, weight)
    return loss, {"logprob_mean": masked_mean(new.detach(), mask), "decisions": mask.sum()}
