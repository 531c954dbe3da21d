"""How far a policy is from its reference, from sampled decisions or in closed form, and how spread out it is."""

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


def categorical_kl(log_p: Float[Tensor, "*shape k"], log_q: Float[Tensor, "*shape k"]) -> Float[Tensor, "*shape"]:
    """KL(p ‖ q) = Σ_k p_k (log p_k − log q_k) of categorical distributions.

    Args:
        log_p, log_q: normalised log-probabilities. Infinite where p allows what q rules out.

    Returns:
        One value per row, in nats.
    """
    log_p, log_q = at_least_single(log_p), at_least_single(log_q)
    p = log_p.exp()
    return (p * torch.where(p > 0, log_p - log_q, 0.0)).sum(dim=-1)


def categorical_chi2(log_p: Float[Tensor, "*shape k"], log_q: Float[Tensor, "*shape k"]) -> Float[Tensor, "*shape"]:
    """χ²(p ‖ q) = Σ_k (p_k − q_k)² / q_k = Σ_k p_k² / q_k − 1 of categorical distributions.

    Args:
        log_p, log_q: normalised log-probabilities. Infinite where p allows what q rules out.

    Returns:
        One value per row, at least 0.
    """
    log_p, log_q = at_least_single(log_p), at_least_single(log_q)
    p, q = log_p.exp(), log_q.exp()
    allowed = ((q > 0) | (p == 0)).all(dim=-1)
    # Replaced before the division: 0 · ∞ would reach the gradient. Squares of differences, because Σ p²/q − 1 loses
    # every digit where the distributions agree.
    value = ((p - q).square() / torch.where(q > 0, q, 1.0)).sum(dim=-1)
    return torch.where(allowed, value, torch.inf)


def gaussian_kl(
    mean: Float[Tensor, "*shape d"],
    log_deviation: Float[Tensor, "*shape d"],
    ref_mean: Float[Tensor, "*shape d"],
    ref_log_deviation: Float[Tensor, "*shape d"],
) -> Float[Tensor, "*shape"]:
    """KL of diagonal Gaussians: Σ_d log(σ₂/σ₁) + (σ₁² + (m₁ − m₂)²) / (2 σ₂²) − ½, with 1 the policy, 2 the reference.

    Returns:
        One value per row, in nats.
    """
    wider = log_deviation - ref_log_deviation
    apart = (mean - ref_mean) * torch.exp(-ref_log_deviation)
    return (0.5 * (torch.expm1(2 * wider) + apart.square()) - wider).sum(dim=-1)


def gaussian_chi2(
    mean: Float[Tensor, "*shape d"],
    log_deviation: Float[Tensor, "*shape d"],
    ref_mean: Float[Tensor, "*shape d"],
    ref_log_deviation: Float[Tensor, "*shape d"],
) -> Float[Tensor, "*shape"]:
    """χ² of diagonal Gaussians: Π_d σ₂² / (σ₁ √c) · exp((m₁ − m₂)² / c) − 1, where c = 2 σ₂² − σ₁².

    1 is the policy, 2 the reference. Infinite where c ≤ 0 in any dimension: the policy is then so wide that the mean of
    the squared ratio has no bound.

    Returns:
        One value per row. Where it is infinite it has no gradient.
    """
    first, second = torch.exp(2 * log_deviation), torch.exp(2 * ref_log_deviation)
    room = 2 * second - first
    finite = (room > 0).all(dim=-1)
    # Replaced before anything is computed from it: 0 · NaN would reach the gradient.
    held = torch.where(finite.unsqueeze(-1), room, 1.0)
    exponent = 2 * ref_log_deviation - log_deviation - 0.5 * held.log() + (mean - ref_mean).square() / held
    logarithm = torch.where(finite, exponent.sum(dim=-1), 0.0)
    return torch.where(finite, torch.expm1(logarithm), torch.inf)
