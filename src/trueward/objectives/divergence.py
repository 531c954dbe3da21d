"""How far a policy is from its reference, estimated from sampled decisions, and how spread out it is."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, masked_mean, weighted_total
from trueward.objectives.ratios import at_least_single, bounded, log_ratio

Estimator = Literal["k1", "k2", "k3"]


def kl_estimate(
    logprobs: Float[Tensor, "n t"],
    ref_logprobs: Float[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    estimator: Estimator = "k1",
) -> Float[Tensor, "n t"]:
    """Estimate of KL(π ‖ π_ref) at each decision, from the log-probability of what was sampled from π.

    With d = log π(a) − log π_ref(a):

    | estimator | value | mean under π | mean of its gradient under π |
    |---|---|---|---|
    | k1 | d | KL(π ‖ π_ref) | 0 |
    | k2 | d² / 2 | KL + O(d³): biased | ∇ KL(π ‖ π_ref) |
    | k3 | exp(−d) − 1 + d ≥ 0 | KL(π ‖ π_ref) | ∇ KL(π_ref ‖ π) |

    As a value, such as a penalty in the reward, take k1 or k3 (less variance near 0). As a loss that is differentiated,
    see `kl_penalty`.

    Args:
        logprobs: log-probability of each decision under the policy.
        ref_logprobs: the same under the reference; no gradient flows into it.
        mask: True on decisions that the policy made itself.
        estimator: which one.

    Returns:
        One value per decision, in nats; 0 where masked. d is held within ±20 for k3.

    Raises:
        ValueError: unknown estimator.

    Reference: Schulman 2020, "Approximating KL divergence".
    """
    difference = log_ratio(logprobs, ref_logprobs, mask)
    if estimator == "k1":
        return difference
    if estimator == "k2":
        return difference.square() / 2
    if estimator == "k3":
        held = bounded(difference)
        # expm1, because exp(−d) − 1 loses every digit where the policies agree, which is where k3 is used.
        return torch.expm1(-held) + held
    raise ValueError(f"estimator={estimator!r} is unknown; choose k1, k2 or k3")


def kl_penalty(
    logprobs: Float[Tensor, "n t"],
    ref_logprobs: Float[Tensor, "n t"],
    mask: Bool[Tensor, "n t"],
    weight: Float[Tensor, " n"] | None = None,
    *,
    estimator: Estimator = "k3",
    old_logprobs: Float[Tensor, "n t"] | None = None,
) -> Loss:
    """KL divergence to the reference as a loss term; multiply by its coefficient and add.

    loss = Σ_i w_i Σ_t m_it k_it, times π/π_old where the sampling policy is given. What the gradient then is, in mean
    over decisions sampled from π (without π_old) or from π_old (with it):

    | estimator | without π_old | with π_old |
    |---|---|---|
    | k1 | 0: pulls nowhere, refused | ∇ KL(π ‖ π_ref) |
    | k2 | ∇ KL(π ‖ π_ref) | not that of a KL |
    | k3 | ∇ KL(π_ref ‖ π), what GRPO does | ∇ KL(π ‖ π_ref) |

    Args:
        logprobs: log-probability of each decision under the policy in training.
        ref_logprobs: the same under the reference; no gradient flows into it.
        mask: True on decisions that the policy made itself.
        weight: weight per decision of each row, from `decision_weight`; by default the mean over all decisions.
        estimator: which one.
        old_logprobs: log-probability under the policy that sampled; corrects for it having been another one.

    Returns:
        Loss, and metrics over the decisions: `kl` (mean of the estimate, without importance ratio), `kl_max`.

    Raises:
        ValueError: unknown estimator, or k1 without `old_logprobs`.

    Reference: Shao et al. 2024 (GRPO) Eq. 4; Tang and Munos 2025, "On a few pitfalls in KL divergence gradient
    estimation for RL".
    """
    if estimator == "k1" and old_logprobs is None:
        raise ValueError(
            "the gradient of k1 has mean 0, so as a loss it does nothing but add noise: take k2 or k3, give "
            "old_logprobs, or put k1 into the reward (kl_estimate)"
        )
    estimate = kl_estimate(logprobs, ref_logprobs, mask, estimator)
    losses = estimate
    if old_logprobs is not None:
        losses = bounded(log_ratio(logprobs, old_logprobs, mask)).exp() * estimate
    value = estimate.detach()
    largest = torch.where(mask, value, -torch.inf).max() if mask.numel() else value.new_zeros(())
    metrics = {"kl": masked_mean(value, mask), "kl_max": torch.where(mask.any(), largest, 0.0)}
    return weighted_total(losses, mask, weight), metrics


def entropy(logits: Float[Tensor, "*shape v"]) -> Float[Tensor, "*shape"]:
    """Entropy of the categorical distribution softmax(logits) in nats: H = −Σ_v p_v log p_v.

    Choices that are ruled out (logit −inf) add nothing, to value and gradient.
    """
    log_p = torch.log_softmax(at_least_single(logits), dim=-1)
    p = log_p.exp()
    return -(p * log_p.masked_fill(p == 0, 0.0)).sum(dim=-1)


def entropy_bonus(
    logits: Float[Tensor, "n t v"], mask: Bool[Tensor, "n t"], weight: Float[Tensor, " n"] | None = None
) -> Loss:
    """Negative entropy as a loss term, against early collapse; multiply by its coefficient and add.

    loss = −Σ_i w_i Σ_t m_it H(softmax(z_it)).

    Args:
        logits: z, of the policy in training, at each decision.
        mask: True on decisions that the policy made itself.
        weight: weight per decision of each row, from `decision_weight`; by default the mean over all decisions.

    Returns:
        Loss, and metrics over the decisions: `entropy` (mean, nats).

    Reference: Williams and Peng 1991, "Function optimization using connectionist reinforcement learning algorithms".
    """
    spread = entropy(torch.where(mask.unsqueeze(-1), logits, 0.0))
    return weighted_total(-spread, mask, weight), {"entropy": masked_mean(spread.detach(), mask)}
