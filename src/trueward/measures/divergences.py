"""How far apart two distributions over the same finite set are, such as two occupancy measures."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float


def chi_squared(mu: Float[np.ndarray, "*shape"], nu: Float[np.ndarray, "*shape"]) -> float:
    r"""$\chi^2(\mu \| \nu) = \sum (\mu - \nu)^2 / \nu$; ∞ where μ has mass and ν has none."""
    if escapes(mu, nu):
        return math.inf
    there = nu > 0
    return float(np.sum((mu[there] - nu[there]) ** 2 / nu[there]))


def kl(mu: Float[np.ndarray, "*shape"], nu: Float[np.ndarray, "*shape"]) -> float:
    r"""$KL(\mu \| \nu) = \sum \mu \log(\mu / \nu)$ in nats; ∞ where μ has mass and ν has none."""
    if escapes(mu, nu):
        return math.inf
    there = mu > 0
    return float(np.sum(mu[there] * np.log(mu[there] / nu[there])))


def total_variation(mu: Float[np.ndarray, "*shape"], nu: Float[np.ndarray, "*shape"]) -> float:
    r"""$TV(\mu, \nu) = \frac{1}{2} \sum |\mu - \nu|$."""
    return 0.5 * float(np.abs(mu - nu).sum())


def escapes(mu: Float[np.ndarray, "*shape"], nu: Float[np.ndarray, "*shape"]) -> bool:
    """Whether μ has mass where ν has none, so that nothing seen under ν says anything of it."""
    return bool(np.any((mu > 0) & (nu <= 0)))
