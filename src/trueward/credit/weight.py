"""Weights of decisions, and the scale of a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

_ROWS = 32  # at a time, so that what is made of them stays in the cache


def weigh(advantages: Float[Any, "n t"], weights: Float[Any, "n t"] | Float[Any, "n 1"]) -> Float[np.ndarray, "n t"]:
    """A'_t = w_t A_t: how much each decision counts.

    A weight says how much, never which way: a negative one would turn praise into blame and is refused. To move credit
    without changing its amount, divide the weights by their mean under the mask first.

    Args:
        advantages: one per decision; a view from `spread` will do.
        weights: one per decision, or one per rollout.

    Raises:
        ValueError: a weight that is negative or not finite.

    Reference: Deng et al. 2025, "Token hidden reward" (weights by sign and size of a token's influence).
    """
    factors = np.asarray(weights)
    wrong = int((~(np.isfinite(factors) & (factors >= 0))).sum())
    if wrong:
        raise ValueError(f"{wrong} weights are negative or not finite; a weight says how much, never which way")
    weighed: np.ndarray = np.asarray(advantages) * factors
    return weighed


def whiten(advantages: Float[Any, "n t"], mask: Bool[Any, "n t"], *, epsilon: float = 1e-8) -> Float[np.ndarray, "n t"]:
    """Mean 0 and variance 1 over all decisions of the batch; 0 outside the mask.

        A'_t = (A_t − m) / √(s² + ε)

    with mean m and sample variance s² under the mask, as PPO does before its update. It takes the scale of the rewards
    out, so that one learning rate serves; it also makes a batch in which nothing was learned as loud as any other, so
    all-equal advantages give exactly 0.

    Args:
        advantages: one per decision, in NumPy or in CPU memory of torch.
        mask: the decisions of the policy.
        epsilon: ε. verl and TRL add 1e-8 to the variance.

    Raises:
        ValueError: shapes differ, or an advantage inside the mask that is not finite.

    Reference: Huang et al. 2022, "The 37 implementation details of proximal policy optimization", detail 7.
    """
    given, chosen = np.asarray(advantages), np.asarray(mask, dtype=bool)
    if given.shape != chosen.shape:
        raise ValueError(f"advantages have shape {given.shape} and the mask {chosen.shape}: they must be the same")
    whitened = np.zeros(given.shape, dtype=np.result_type(given.dtype, np.float32))
    blocks = [slice(start, start + _ROWS) for start in range(0, len(given), _ROWS)]
    decisions = np.count_nonzero(chosen)
    if decisions < 2:
        return whitened
    # Sums of differences to one decision: exactly 0 when all are equal, and no cancellation in the squares.
    origin = float(given[np.unravel_index(chosen.argmax(), chosen.shape)])
    total = squares = 0.0
    for rows in blocks:
        differences = given[rows].astype(np.float64)
        differences -= origin
        np.copyto(differences, 0.0, where=~chosen[rows])
        total += float(differences.sum())
        squares += float(np.vdot(differences, differences))
    if not np.isfinite(squares):
        raise ValueError("an advantage inside the mask is not finite")
    variance = (squares - total * total / decisions) / (decisions - 1)
    if variance <= 0.0:
        return whitened
    mean, scale = origin + total / decisions, 1.0 / math.sqrt(variance + epsilon)
    for rows in blocks:
        np.subtract(given[rows], mean, out=whitened[rows], casting="same_kind")
        whitened[rows] *= scale
        np.copyto(whitened[rows], 0.0, where=~chosen[rows])
    return whitened
