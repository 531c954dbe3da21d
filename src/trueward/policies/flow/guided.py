"""Guidance: the gradient of a reward in the mean of each step, with and without a differentiable reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from trueward.policies.flow.base import Condition, along, clean_estimate, condition_repeat
from trueward.policies.flow.kernels import guidance_shift

Gradient: TypeAlias = Callable[[Tensor, Tensor, Condition], tuple[Tensor, Tensor]]
"""(x [N, *S], t [N], condition) → (value [N], its gradient by x [N, *S])."""


@dataclass(frozen=True)
class Guidance:
    """How the gradient of a reward moves the mean of each step.

        shift = (σ² / (2β)) ∇r Δ    with beta: the path tilted by exp(r / β); nothing where there is no noise
        shift = coefficient ∇r Δ    with a coefficient: acts without noise too (plain gradient guidance)

    A reward's gradient is also a direction of attack: bound it (`clip_norm`), and watch the value against what is
    really wanted.

    Attributes:
        gradient: of the reward; see `Gradient`.
        beta, coefficient: exactly one of them.
        normalise: gradients of length 1.
        clip_norm: longest gradient.
        window: first and last guided step, counted from 0, both included; None for all.
        on: what the gradient is taken at: the state, or the clean estimate x − t v as if it were the state, for rewards
            that know clean samples only.

    Reference: Zhong et al. 2026, "Euphonium".
    """

    gradient: Gradient
    beta: float | None = None
    coefficient: float | None = None
    normalise: bool = False
    clip_norm: float | None = None
    window: tuple[int, int] | None = None
    on: Literal["state", "clean"] = "state"

    def __post_init__(self) -> None:
        """Raises `ValueError` unless there is exactly one of beta (above 0) and coefficient."""
        if (self.beta is None) == (self.coefficient is None) or (self.beta is not None and not self.beta > 0):
            raise ValueError(
                f"beta={self.beta!r}, coefficient={self.coefficient!r}: give exactly one of them, and beta above 0"
            )
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm={self.clip_norm!r} must be positive; None for no bound")
        if self.on not in ("state", "clean"):
            raise ValueError(f"on={self.on!r} is unknown; choose state or clean")

    def acts(self, step: int, sigma: float) -> bool:
        """Whether a step is guided."""
        inside = self.window is None or self.window[0] <= step <= self.window[1]
        return inside and (self.beta is None or sigma > 0)

    def shift(
        self,
        x: Float[Tensor, "n *s"],
        v: Float[Tensor, "n *s"],
        t: Float[Tensor, " n"],
        dt: float,
        sigma: float,
        condition: Condition,
    ) -> tuple[Float[Tensor, "n *s"], Float[Tensor, " n"]]:
        """What is added to the mean of a step, and the value that is to rise.

        A sample whose gradient is not finite is not moved.
        """
        point = x if self.on == "state" else clean_estimate(x, v, t)
        with torch.enable_grad():
            value, gradient = self.gradient(point.detach(), t, condition)
        gradient = gradient.detach().float()
        length = gradient.flatten(1).norm(dim=1)
        known = torch.isfinite(length)
        gradient = torch.where(along(known, gradient) > 0, gradient, 0.0)
        if self.normalise:
            gradient = gradient / along(torch.where(known, length, 1.0).clamp(min=1e-12), gradient)
            length = torch.ones_like(length)
        if self.clip_norm is not None:
            gradient = gradient * along(
                (self.clip_norm / length.clamp(min=1e-12)).clamp(max=1.0).nan_to_num(), gradient
            )
        if self.beta is not None:
            return guidance_shift(gradient, sigma, self.beta, dt), value.detach().float()
        return gradient * (float(self.coefficient or 0.0) * dt), value.detach().float()


def spsa_gradient(
    reward: Callable[[Tensor, Condition], Tensor],
    decode: Callable[[Tensor], Tensor] | None = None,
    *,
    size: float = 0.01,
    draws: int = 1,
    generator: torch.Generator,
) -> Gradient:
    """Gradient of a reward that has none, from its values on both sides of a point.

        g = mean over draws of   (R(x + s u) − R(x − s u)) / (2s) · u,   u ~ N(0, I)

    Its mean is the gradient of R smoothed by N(0, s²), up to s²; its noise grows with the dimension of x. All draws go
    through the reward in one batch. For rewards of clean samples use it with `Guidance(on="clean")`.

    Args:
        reward: (decoded samples [M, …], condition of M rows) → [M].
        decode: from samples to what the reward takes; None for the samples themselves.
        size: s.
        draws: directions per sample.
        generator: of the directions.

    Returns:
        See `Gradient`; the value is the mean over the evaluated points.

    Reference: Spall 1992, "Multivariate stochastic approximation using a simultaneous perturbation gradient
    approximation"; with normal directions Nesterov and Spokoiny 2017, "Random gradient-free minimization".
    """
    if not size > 0 or draws < 1:
        raise ValueError(f"size={size!r}, draws={draws!r}: a positive size and at least one draw are needed")

    @torch.no_grad()
    def gradient(x: Tensor, t: Tensor, condition: Condition) -> tuple[Tensor, Tensor]:
        n, shape = len(x), x.shape[1:]
        u = torch.randn(n, draws, *shape, generator=generator, device=generator.device).to(x.device)
        points = torch.stack([x.unsqueeze(1) + size * u, x.unsqueeze(1) - size * u], dim=2)
        flat = points.reshape(n * draws * 2, *shape)
        found = reward(flat if decode is None else decode(flat), condition_repeat(condition, 2 * draws))
        sides = found.detach().float().to(x.device).reshape(n, draws, 2)
        slope = (sides[..., 0] - sides[..., 1]) / (2 * size)
        rise = (u * slope.reshape(n, draws, *[1] * len(shape))).mean(dim=1)
        return sides.mean(dim=(1, 2)), rise

    return gradient
