"""One stochastic step of a flow, from t to t − Δ: mean, noise, density, and what moves them.

    x' = μ + σ_t √Δ z,   μ = x − Δ v + (σ_t² / 2) ∇ log p_t(x) Δ
                           = x (1 − σ² Δ / (2t)) − v (1 + σ² (1 − t) / (2t)) Δ

For every σ the states have the same distributions at every t as those of the ODE (σ = 0), up to the error of finite
steps: the score term takes out what the noise adds.

Numbers per step are either one for all samples or [N]. Everything here is in single precision: in half the density of
a step overflows.

Reference: Liu et al. 2025, "Flow-GRPO", Eq. 7–9; Xue et al. 2025, "DanceGRPO", Eq. 5–7; Zhong et al. 2026,
"Euphonium".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from trueward.policies.flow.base import along

Reduction = Literal["mean", "sum"]


@dataclass(frozen=True)
class Kernel:
    """How much noise each step has.

    - ode: σ = 0.
    - flow_grpo: σ_t = level · √(t / (1 − t)). At t = 1, where that has no bound, the denominator is that of the next
      grid value, as released. However many steps there are, the first then has σ² Δ = level², and leaves a variance of
      1 + level⁴ / 4 where it should be 1; later steps forget it.
    - dance_grpo: σ_t = level.

    Attributes:
        kind: see above.
        level: a or η.
        clean_end: no noise in the step that ends at t = 0: it then gives the clean estimate. There is nothing to learn
            from such a step.
    """

    kind: Literal["ode", "flow_grpo", "dance_grpo"]
    level: float = 0.0
    clean_end: bool = False

    def __post_init__(self) -> None:
        """Raises `ValueError` for an unknown kind or a negative level."""
        if self.kind not in ("ode", "flow_grpo", "dance_grpo") or not self.level >= 0:
            raise ValueError(
                f"kind={self.kind!r}, level={self.level!r}: expected ode, flow_grpo or dance_grpo, and a level of at "
                "least 0"
            )

    def sigma(self, times: Float[Tensor, " T1"]) -> Float[Tensor, " T"]:
        """σ of each step of a grid of T + 1 times."""
        start = times[:-1].float()
        if self.kind == "ode":
            return torch.zeros_like(start)
        if self.kind == "flow_grpo":
            rest = 1 - torch.where(start == 1, times[1:].float(), start)
            sigma = self.level * torch.sqrt(start / rest)
        else:
            sigma = torch.full_like(start, self.level)
        return torch.where(times[1:] == 0, 0.0, sigma) if self.clean_end else sigma


def ode() -> Kernel:
    """No noise: Euler steps."""
    return Kernel("ode")


def flow_grpo(a: float = 0.7, *, clean_end: bool = False) -> Kernel:
    """The noise of Flow-GRPO; with it in the last step too, as released."""
    return Kernel("flow_grpo", a, clean_end)


def dance_grpo(eta: float = 0.3, *, clean_end: bool = True) -> Kernel:
    """The noise of DanceGRPO, which takes the clean estimate for the last step."""
    return Kernel("dance_grpo", eta, clean_end)


def time_grid(steps: int, shift: float = 1.0) -> Float[Tensor, " T1"]:
    """T + 1 times from 1 to 0: equally spaced s, moved to t = shift · s / (1 + (shift − 1) s).

    Args:
        steps: T.
        shift: above 1 for more steps near t = 1, as larger samples need.

    Reference: Esser et al. 2024, "Scaling rectified flow transformers", Eq. 23.
    """
    if steps < 1 or not shift > 0:
        raise ValueError(f"steps={steps!r}, shift={shift!r}: at least one step and a positive shift are needed")
    even = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)
    return (shift * even / (1 + (shift - 1) * even)).float()


Number: TypeAlias = Tensor | float
"""One for all samples, or [N]."""


def _velocity_factor(t: Number, sigma: Number) -> Number:
    """1 + σ² (1 − t) / (2t): how much of the velocity a step takes, per unit of time."""
    return 1 + sigma * sigma * (1 - t) / (2 * t)


def _single(value: Number) -> Number:
    return value.float() if isinstance(value, Tensor) else value


def step_mean(
    x: Float[Tensor, "n *s"], v: Float[Tensor, "n *s"], t: Number, dt: Number, sigma: Number
) -> Float[Tensor, "n *s"]:
    """μ = x (1 − σ² Δ / (2t)) − v (1 + σ² (1 − t) / (2t)) Δ; with σ = 0 the Euler step x − v Δ.

    Args:
        x: state at t.
        v: velocity there.
        t: above 0.
        dt: Δ, above 0.
        sigma: σ_t.
    """
    state, velocity = x.float(), v.float()
    # On numbers per sample before they meet samples: a step is two multiplications and a sum.
    at, step, noise = _single(t), _single(dt), _single(sigma)
    keeps, moves = 1 - noise * noise * step / (2 * at), _velocity_factor(at, noise) * step
    return state * _wide(keeps, state) - velocity * _wide(moves, state)


def _wide(value: Number, sample: Float[Tensor, "n *s"]) -> Number:
    return along(value, sample) if isinstance(value, Tensor) else value


def step_deviation(dt: Number, sigma: Number) -> Tensor:
    """σ √Δ, the deviation of a step."""
    return torch.as_tensor(sigma, dtype=torch.float32) * torch.as_tensor(dt, dtype=torch.float32).sqrt()


def guidance_shift(gradient: Float[Tensor, "n *s"], sigma: Number, beta: float, dt: Number) -> Float[Tensor, "n *s"]:
    """(σ² / (2β)) ∇r Δ: what moves the mean of a step so that the path is tilted by exp(r / β)."""
    return gradient.float() * along(sigma, gradient).square() / (2 * beta) * along(dt, gradient)


def step_logprob(
    x_next: Float[Tensor, "n *s"],
    mean: Float[Tensor, "n *s"],
    std: Number,
    reduction: Reduction = "mean",
) -> Float[Tensor, " n"]:
    """Log-density of a state under N(mean, std² I), over the dimensions of a sample.

        mean or sum over d of   −(x'_d − μ_d)² / (2 std²) − log std − ½ log 2π

    The mean is what the published systems use: ratios are then so close to 1 that clip ranges are about 1e-4. The sum
    is the density, with ratios and clip ranges of the ordinary size.

    Args:
        x_next: state after the step.
        mean: μ.
        std: σ √Δ, above 0.
        reduction: see above.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction={reduction!r} is unknown; choose mean or sum")
    squares = (x_next.float() - mean.float()).square().flatten(1)
    # Reduced first: what all dimensions of a sample share is then added once.
    deviation = torch.as_tensor(std, dtype=torch.float32, device=mean.device)
    shared = deviation.log() + 0.5 * math.log(2 * math.pi)
    if reduction == "mean":
        return -0.5 * squares.mean(dim=1) / deviation.square() - shared
    return -0.5 * squares.sum(dim=1) / deviation.square() - squares.shape[1] * shared


def shifted_velocity(
    v: Float[Tensor, "n *s"],
    shift: Float[Tensor, "n *s"],
    t: Number,
    dt: Number,
    sigma: Number,
) -> Float[Tensor, "n *s"]:
    """v* = v − (shift / Δ) / (1 + σ² (1 − t) / (2t)): unguided steps with v* are those with v and the shift."""
    taken = _single(dt) * _velocity_factor(_single(t), _single(sigma))
    return v.float() - shift.float() / _wide(taken, v)


def distilled_velocity(
    v_old: Float[Tensor, "n *s"],
    gradient: Float[Tensor, "n *s"],
    t: Number,
    sigma: Number,
    beta: float,
) -> Float[Tensor, "n *s"]:
    """v* = v_old − [σ² / (2β) ∇r] / (1 + σ² (1 − t) / (2t)): unguided steps with v* are guided ones with v_old."""
    return shifted_velocity(v_old, guidance_shift(gradient, sigma, beta, 1.0), t, 1.0, sigma)


def kernel_weight(t: Number, dt: Number, sigma: Number) -> Tensor:
    """w_t = (Δ / (2σ²)) (1 + σ² (1 − t) / (2t))²; w_t ‖v − v'‖² is the KL divergence of the steps of v and v'.

    Args:
        t, dt: above 0.
        sigma: above 0: steps without noise have no finite divergence.
    """
    step, noise = torch.as_tensor(dt, dtype=torch.float32), torch.as_tensor(sigma, dtype=torch.float32)
    factor = torch.as_tensor(_velocity_factor(_single(t), noise))
    return step / (2 * noise.square()) * factor.square()
