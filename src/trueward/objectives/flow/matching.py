"""Errors of velocities: the loss of flow matching, and divergences between flows."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trueward.objectives.aggregation import Loss, entry_weight, masked_mean, weighted_mean
from trueward.policies.flow.kernels import Reduction, kernel_weight


def denoising_error(
    prediction: Float[Tensor, "n *s"], target: Float[Tensor, "n *s"], reduction: Reduction = "mean"
) -> Float[Tensor, " n"]:
    """E_i = mean or sum over the dimensions of (prediction − target)², in single precision.

    The same for velocities and for predicted noise.

    Args:
        prediction: of the network.
        target: v = ε − x₀, or ε.
        reduction: over the dimensions of a sample. Whatever multiplies errors or their differences (β of implicit
            rewards) depends on it: with the mean it does not grow with the size of the sample.

    Raises:
        ValueError: another reduction.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction={reduction!r} is unknown; choose mean or sum")
    rows = (prediction.float() - target.float()).square().flatten(1)
    return rows.mean(dim=1) if reduction == "mean" else rows.sum(dim=1)


def flow_matching(
    prediction: Float[Tensor, "n *s"],
    target: Float[Tensor, "n *s"],
    weight: Float[Tensor, " n"] | None = None,
    reduction: Reduction = "mean",
) -> Loss:
    """The loss of flow matching: Σ_i w_i E_i / Σ_i w_i with the denoising errors E.

    Its minimiser is v = E[ε − x₀ | x_t, c]. As supervised fine-tuning it takes samples worth imitating; a weight says
    how much each is worth.

    Args:
        prediction: velocity of the network.
        target: ε − x₀.
        weight: of each sample, at least 0; all alike by default.
        reduction: over the dimensions of a sample.

    Returns:
        Loss, and metrics: `error` (mean over the samples that have weight, all alike). Samples without weight may be
        anything.

    Raises:
        ValueError: a weight is negative or not finite; another reduction.

    Reference: Lipman et al. 2023, "Flow matching for generative modeling"; Liu et al. 2023, "Flow straight and fast".
    """
    if weight is None:
        errors = denoising_error(prediction, target, reduction)
        scale = torch.ones_like(errors)
    else:
        scale = entry_weight(prediction.new_zeros(len(prediction), dtype=torch.float32), weight)
        # Replaced before the subtraction: NaN of a sample without weight would reach the gradient.
        counts = (scale > 0).reshape(-1, *[1] * (prediction.ndim - 1))
        errors = denoising_error(torch.where(counts, prediction, 0.0), torch.where(counts, target, 0.0), reduction)
    return weighted_mean(errors, scale), {"error": masked_mean(errors.detach(), scale > 0)}


def velocity_divergence(
    v: Float[Tensor, "n *s"], v_ref: Float[Tensor, "n *s"], reduction: Reduction = "mean"
) -> Float[Tensor, " n"]:
    """‖v − v_ref‖² per sample: how far a flow is from its reference, every t alike. No gradient into the reference."""
    return denoising_error(v, v_ref.detach(), reduction)


def kernel_divergence(
    v: Float[Tensor, "n *s"],
    v_ref: Float[Tensor, "n *s"],
    t: Float[Tensor, " n"],
    dt: Float[Tensor, " n"],
    sigma: Float[Tensor, " n"],
    reduction: Reduction = "mean",
) -> Float[Tensor, " n"]:
    """KL divergence of one stochastic step from that of a reference.

        ‖μ − μ_ref‖² / (2σ²Δ) = w_t ‖v − v_ref‖²,   w_t = (Δ / (2σ²)) (1 + σ² (1 − t) / (2t))²

    With the mean over dimensions it is a KL divergence per dimension, which is what coefficients such as 0.04 are meant
    for; the sum is the divergence itself. It is symmetric, because both steps have the same noise, and at the reference
    value and gradient are 0.

    Args:
        v: velocity of the policy in training.
        v_ref: of the reference, or any other target; no gradient flows into it.
        t, dt, sigma: of each step, all above 0.
        reduction: over the dimensions of a sample.

    Raises:
        ValueError: a step without noise, whose divergence is not finite.

    Reference: Liu et al. 2025, "Flow-GRPO", Eq. 10.
    """
    if not bool((sigma > 0).all()):
        raise ValueError("a step without noise has no finite divergence: leave steps with sigma = 0 out")
    return kernel_weight(t, dt, sigma).to(v.device) * velocity_divergence(v, v_ref, reduction)
