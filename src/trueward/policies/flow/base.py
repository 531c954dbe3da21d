"""What a flow policy is, and the algebra of its path.

    x_t = (1 − t) x₀ + t ε,   v = ε − x₀,   t = 0 clean, t = 1 noise

A flow policy is any callable (x [N, *S], t [N], condition) → v [N, *S], usually an `nn.Module`. A condition is opaque
here: a tensor or a mapping of tensors whose first axis has one entry per sample (classes, prompt embeddings).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Condition: TypeAlias = Tensor | Mapping[str, Tensor]
Velocity: TypeAlias = Callable[[Tensor, Tensor, Condition], Tensor]
TimeDistribution = Literal["logit_normal", "uniform"]


def condition_length(condition: Condition) -> int:
    """For how many samples a condition is."""
    return len(condition if isinstance(condition, Tensor) else next(iter(condition.values())))


def condition_device(condition: Condition) -> torch.device:
    """Where a condition is."""
    return (condition if isinstance(condition, Tensor) else next(iter(condition.values()))).device


def condition_rows(condition: Condition, index: Int[Tensor, " n"] | Bool[Tensor, " m"]) -> Condition:
    """Some rows of a condition, by number or by mask."""
    return _each(condition, lambda values: values[index.to(values.device)])


def condition_repeat(condition: Condition, times: int) -> Condition:
    """Every row as often as told, one after the other: rows a, b twice are a, a, b, b."""
    return _each(condition, lambda values: values.repeat_interleave(times, dim=0))


def condition_join(first: Condition, second: Condition) -> Condition:
    """The rows of the first, then those of the second."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.cat([first, second])
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return {name: torch.cat([values, second[name]]) for name, values in first.items()}
    raise TypeError(f"conditions of two kinds cannot be joined: {type(first).__name__}, {type(second).__name__}")


def condition_where(chosen: Bool[Tensor, " n"], first: Condition, second: Condition) -> Condition:
    """Row by row the first where chosen, else the second."""
    rows = torch.arange(len(chosen), device=chosen.device)
    return condition_rows(condition_join(first, second), torch.where(chosen, rows, rows + len(chosen)))


def _each(condition: Condition, change: Callable[[Tensor], Tensor]) -> Condition:
    if isinstance(condition, Tensor):
        return change(condition)
    return {name: change(values) for name, values in condition.items()}


def along(values: Tensor | float, sample: Float[Tensor, "n *s"]) -> Tensor:
    """One number per sample, or one for all, in a shape that multiplies samples."""
    numbers = torch.as_tensor(values, dtype=torch.float32, device=sample.device)
    return numbers if numbers.ndim == 0 else numbers.reshape(-1, *[1] * (sample.ndim - 1))


def noised(
    x0: Float[Tensor, "n *s"], noise: Float[Tensor, "n *s"], t: Float[Tensor, " n"] | float
) -> Float[Tensor, "n *s"]:
    """x_t = (1 − t) x₀ + t ε."""
    at = along(t, x0)
    return (1 - at) * x0 + at * noise


def velocity_target(x0: Float[Tensor, "n *s"], noise: Float[Tensor, "n *s"]) -> Float[Tensor, "n *s"]:
    """v = ε − x₀, what flow matching regresses on."""
    return noise - x0


def clean_estimate(
    x: Float[Tensor, "n *s"], v: Float[Tensor, "n *s"], t: Float[Tensor, " n"] | float
) -> Float[Tensor, "n *s"]:
    """x̂₀ = x − t v: where a straight line from here would end."""
    return x - along(t, x) * v


def score_of(
    x: Float[Tensor, "n *s"], v: Float[Tensor, "n *s"], t: Float[Tensor, " n"] | float
) -> Float[Tensor, "n *s"]:
    """∇ log p_t(x) = −(x + (1 − t) v) / t, the score that a velocity implies; t above 0."""
    at = along(t, x)
    return -(x + (1 - at) * v) / at


def draw_times(
    count: int, generator: torch.Generator, distribution: TimeDistribution = "logit_normal"
) -> Float[Tensor, " n"]:
    """Noise levels to train at: σ(z) with z ~ N(0, 1), which spends most on the middle, or uniform on (0, 1).

    Reference: Esser et al. 2024, "Scaling rectified flow transformers", section 3.1.
    """
    if distribution == "logit_normal":
        return torch.sigmoid(torch.randn(count, generator=generator, device=generator.device))
    if distribution == "uniform":
        return torch.rand(count, generator=generator, device=generator.device)
    raise ValueError(f"distribution={distribution!r} is unknown; choose logit_normal or uniform")
