r"""Losses of a network that tells the steps of two policies apart, and whose output becomes a ratio of densities.

One number d per step, and whose step it was: of a policy π, or of the reference π_ref. Both weigh the same, however
many steps each has.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from trueward.objectives.aggregation import Loss, Metrics, entry_weight, weighted_mean
from trueward.objectives.ratios import at_least_single


def logistic_ratio(
    d: Float[Tensor, " n"],
    of_policy: Bool[Tensor, " n"],
    weight: Float[Tensor, " n"] | None = None,
    *,
    smoothing: float = 0.0,
) -> Loss:
    r"""Logistic loss: with enough data and capacity its least value is at $d = \log \mu_\pi / \mu_{ref}$.

    mean over π of softplus(−d) + mean over π_ref of softplus(d).

    Smoothing ε replaces the labels 1 and 0 by 1 − ε and ε, which holds d within ± log((1 − ε)/ε) and pulls all ratios
    towards 1.

    Args:
        d: one per step.
        of_policy: True for steps of π, False for steps of π_ref.
        weight: of the steps of either policy among themselves, such as γ^t; 0 leaves a step out. By default 1.
        smoothing: ε in [0, ½).

    Returns:
        Loss, and metrics: `accuracy` (mean over the two), `policy_mean` and `reference_mean` of d.

    Raises:
        ValueError: smoothing outside [0, ½), or a weight that is negative or not finite.

    Reference: Sugiyama, Suzuki and Kanamori 2012, "Density Ratio Estimation in Machine Learning", section 4.
    """
    if not 0 <= smoothing < 0.5:
        raise ValueError(f"smoothing={smoothing!r} must lie in [0, 0.5)")
    d, own, other = _sides(d, of_policy, weight)
    keep = 1.0 - smoothing
    of_own = keep * softplus(-d) + smoothing * softplus(d)
    of_other = keep * softplus(d) + smoothing * softplus(-d)
    return weighted_mean(of_own, own) + weighted_mean(of_other, other), _told(d, own, other)


def variation_ratio(
    d: Float[Tensor, " n"], of_policy: Bool[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> Loss:
    """Total variation in its dual form, whose least value is where tanh d is the sign of μ_π − μ_ref.

    mean over π_ref of tanh d − mean over π of tanh d + .01 d², whose last term keeps d from growing without bound.

    Args:
        d, of_policy, weight: as in `logistic_ratio`.

    Returns:
        Loss, and metrics: `accuracy`, `policy_mean`, `reference_mean`.

    Raises:
        ValueError: a weight that is negative or not finite.

    Reference: Laidlaw, Singhal and Dragan 2024 (arXiv 2403.03185), as released.
    """
    d, own, other = _sides(d, of_policy, weight)
    squares = 0.01 * (weighted_mean(d.square(), own) + weighted_mean(d.square(), other))
    apart = weighted_mean(torch.tanh(d), other) - weighted_mean(torch.tanh(d), own)
    return apart + squares, _told(d, own, other)


def wasserstein_critic(
    d: Float[Tensor, " n"], of_policy: Bool[Tensor, " n"], weight: Float[Tensor, " n"] | None = None
) -> Loss:
    """Wasserstein distance in its dual form, for a d of bounded slope: mean over π_ref of d − mean over π of d.

    Bounding the slope is up to whoever trains: weights of the network clipped to ±.01, as in the source.

    Args:
        d, of_policy, weight: as in `logistic_ratio`.

    Returns:
        Loss, and metrics: `accuracy`, `policy_mean`, `reference_mean`.

    Raises:
        ValueError: a weight that is negative or not finite.

    Reference: Arjovsky, Chintala and Bottou 2017, "Wasserstein GAN", algorithm 1.
    """
    d, own, other = _sides(d, of_policy, weight)
    return weighted_mean(d, other) - weighted_mean(d, own), _told(d, own, other)


def _sides(
    d: Float[Tensor, " n"], of_policy: Bool[Tensor, " n"], weight: Float[Tensor, " n"] | None
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """d where it counts, and the weights of either side."""
    d = at_least_single(d)
    weight = entry_weight(d, weight)
    return torch.where(weight > 0, d, 0.0), weight * of_policy, weight * ~of_policy


def _told(d: Tensor, own: Tensor, other: Tensor) -> Metrics:
    d = d.detach()
    right = weighted_mean((d > 0).to(d), own) + weighted_mean((d <= 0).to(d), other)
    return {
        "accuracy": right / 2,
        "policy_mean": weighted_mean(d, own),
        "reference_mean": weighted_mean(d, other),
    }
