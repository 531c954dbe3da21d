"""Models that predict noise as flow policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.adapters.diffusers.architectures import Call, architecture_of
from trueward.adapters.diffusers.architectures.unet import path_times
from trueward.adapters.diffusers.policy import DiffusersPolicy
from trueward.errors import TrainingError
from trueward.policies.flow.base import along

_SHORTEST = 1e-4


class DiffusersDenoiser(DiffusersPolicy):
    """A diffusion model of diffusers (Stable Diffusion 1 and 2) as a flow policy.

    A variance-preserving state y = α x₀ + s ε lies, divided by α + s, on the straight path: with t = s / (α + s)

        x_t = (1 − t) x₀ + t ε,   y = x_t / √((1 − t)² + t²)

    so what the model says of ε gives x̂₀ = (y − s ε̂) / α and v = (x_t − x̂₀) / t. Euler steps of v are DDIM steps, errors
    of v are errors of ε divided by (1 − t)², and every sampler, loss and update takes the model as it is.

    Noise beyond the last training step (t above `longest`, .936 for Stable Diffusion 1.5) is taken for that step's, as
    pipelines do with the pure noise that they start from.

    Args:
        model: the UNet.
        scheduler: of the pipeline; its noise schedule and what the model predicts (noise or velocity) are read.
        call: how the model is called, for one that is not among `architectures`.
        autocast, checkpointing, rows: see `DiffusersPolicy`.

    Raises:
        TrainingError: the scheduler has no noise schedule, or the model predicts something else.

    Reference: Song et al. 2021 (DDIM) Eq. 12; Salimans and Ho 2022 for velocity prediction.
    """

    def __init__(
        self,
        model: nn.Module,
        scheduler: Any,
        *,
        call: Call | None = None,
        autocast: torch.dtype | None = None,
        checkpointing: bool = False,
        rows: int | None = None,
    ) -> None:
        super().__init__(model, autocast=autocast, checkpointing=checkpointing, rows=rows)
        if not hasattr(scheduler, "alphas_cumprod"):
            raise TrainingError(
                f"{type(scheduler).__name__} has no noise schedule (alphas_cumprod): give the scheduler that the model "
                "was trained with, or use DiffusersFlow for a model of velocity"
            )
        self.predicts = scheduler.config.prediction_type
        if self.predicts not in ("epsilon", "v_prediction"):
            raise TrainingError(f"prediction_type is {self.predicts!r}; epsilon or v_prediction is expected")
        self.call = call or architecture_of(model).call
        self.register_buffer("grid", path_times(scheduler), persistent=False)
        self.grid: Tensor

    @property
    def longest(self) -> float:
        """t of the last training step."""
        return float(self.grid[-1])

    def velocity(self, x: Tensor, t: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """v_θ(x, t, condition)."""
        state = x / _norm(along(t, x))
        held = along(t.clamp(_SHORTEST, self.longest), x)
        noise = held / _norm(held)
        signal = (1 - held) / _norm(held)
        predicted = self.call(self.model, state.to(self.precision), self.training_step(t), condition, 1.0).float()
        if self.predicts == "v_prediction":
            clean = signal * state - noise * predicted
        else:
            clean = (state - noise * predicted) / signal
        # As in DDIM the clean estimate is what a step moves towards, also where t lies beyond the last training step.
        return (x - clean) / along(t.clamp(min=_SHORTEST), x)

    def training_step(self, t: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The training step, between whole numbers, that has the noise of t."""
        grid = self.grid.to(t.device)
        above = torch.searchsorted(grid, t.contiguous()).clamp(1, len(grid) - 1)
        low, high = grid[above - 1], grid[above]
        return (above - 1 + (t - low) / (high - low)).clamp(0, len(grid) - 1)


def _norm(t: Tensor) -> Tensor:
    """√((1 − t)² + t²)."""
    return ((1 - t).square() + t.square()).sqrt()
