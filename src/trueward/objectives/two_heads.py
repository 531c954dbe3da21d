"""A reward model with a head for quality and a head for length, so that length does not leak into quality (ODIN)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, entry_weight, weighted_mean, weighted_variance
from trueward.objectives.preference import logistic_preference
from trueward.objectives.ratios import at_least_single


def two_heads(
    quality_a: Float[Tensor, " n"],
    quality_b: Float[Tensor, " n"],
    length_score_a: Float[Tensor, " n"],
    length_score_b: Float[Tensor, " n"],
    length_a: Float[Tensor, " n"],
    length_b: Float[Tensor, " n"],
    quality_head: Float[Tensor, "h d"],
    length_head: Float[Tensor, "h d"],
    label: Float[Tensor, " n"] | None = None,
    *,
    weight: Float[Tensor, " n"] | None = None,
    correlation: float = 1.0,
    orthogonality: float = 1.0,
) -> Loss:
    """The loss of ODIN: both heads together explain the preferences, one of them everything about length.

    loss = logistic loss of D = (Q_a + L_a) − (Q_b + L_b) (see `logistic_preference`)
    + λ_c (|corr(Q, length)| − corr(L, length)) + λ_o ‖W_Q W_Lᵀ‖_F / (‖W_Q‖_F ‖W_L‖_F + 1e-6).

    The correlation is Pearson's over all rollouts of the batch, both sides of every pair; 0, without gradient, where
    one of the two does not vary. Only Q is used as a reward.

    Args:
        quality_a, quality_b: Q, score of the quality head.
        length_score_a, length_score_b: L, score of the length head.
        length_a, length_b: lengths in tokens.
        quality_head: W_Q, weights of the quality head, [outputs, features].
        length_head: W_L, weights of the length head.
        label, weight: as in `Preferences`.
        correlation: λ_c.
        orthogonality: λ_o.

    Returns:
        Loss, and the metrics of `logistic_preference` (of both heads together) with `quality_accuracy` (of Q alone),
        `quality_length_correlation`, `length_correlation` (of L), `orthogonality` (without λ_o).

    Raises:
        ValueError: as `logistic_preference`.

    Reference: Chen et al. 2024 (ODIN), "Disentangled reward mitigates hacking in RLHF", §3; the normalised form of the
    last term and both coefficients as in the baselines of Fu et al. 2025 (PAR).
    """
    pairs = entry_weight(at_least_single(quality_a), weight)
    both = torch.cat([pairs, pairs])
    keep = both > 0
    quality = torch.where(keep, at_least_single(torch.cat([quality_a, quality_b])), 0.0)
    extent = torch.where(keep, at_least_single(torch.cat([length_score_a, length_score_b])), 0.0)
    length = torch.where(keep, torch.cat([length_a, length_b]).to(quality.dtype), 0.0)

    score_a, score_b = (quality + extent).chunk(2)
    loss, metrics = logistic_preference(score_a - score_b, label, weight=pairs)
    leaked, explained = _correlation(quality, length, both), _correlation(extent, length, both)
    crossed = at_least_single(quality_head) @ at_least_single(length_head).mT
    overlap = _norm(crossed) / (_norm(at_least_single(quality_head)) * _norm(at_least_single(length_head)) + 1e-6)
    # Where nothing counts, nothing is learnt: the heads are not turned by an empty batch either.
    counts = (both.sum() > 0).to(overlap.dtype)
    loss = loss + correlation * (leaked.abs() - explained) + orthogonality * overlap * counts
    with torch.no_grad():
        quality_a, quality_b = quality.chunk(2)
        alone = logistic_preference(quality_a - quality_b, label, weight=pairs)[1]
    metrics |= {
        "quality_accuracy": alone["accuracy"],
        "quality_length_correlation": leaked.detach(),
        "length_correlation": explained.detach(),
        "orthogonality": overlap.detach(),
    }
    return loss, metrics


def _correlation(x: Float[Tensor, " m"], y: Float[Tensor, " m"], weight: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    covariance = weighted_mean((x - weighted_mean(x, weight)) * (y - weighted_mean(y, weight)), weight)
    spread = weighted_variance(x, weight) * weighted_variance(y, weight)
    varies = spread > 0
    # The root of 0 has an infinite gradient, so it is never taken.
    return torch.where(varies, covariance, 0.0) / torch.where(varies, spread, 1.0).sqrt()


def _norm(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, ""]:
    squares = matrix.square().sum()
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)
