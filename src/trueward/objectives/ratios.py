"""Log-probability ratios that stay finite, in value and gradient."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# exp(20) ≈ 5e8: a ratio beyond it says no more, and its square would overflow in single precision.
LOG_RATIO_LIMIT = 20.0


def at_least_single(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Half precision as single precision: σ saturates and sums of many tokens round away in half."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def log_ratio(
    logprobs: Float[Tensor, "n t"], other: Float[Tensor, "n t"], mask: Bool[Tensor, "n t"]
) -> Float[Tensor, "n t"]:
    """Log π(a)/π_other(a) at each decision; 0 where masked. No gradient flows into the other policy."""
    # Replaced before the subtraction: 0 · NaN and −inf − (−inf) of padding would reach the gradient.
    return torch.where(mask, at_least_single(logprobs), 0.0) - torch.where(mask, at_least_single(other.detach()), 0.0)


def bounded(log_ratios: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Log ratios held within ±20; beyond that they have no gradient."""
    return log_ratios.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
