"""Sampling a flow policy: from noise to samples, with any kernel, with guidance or without."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trueward.policies.flow.base import Condition, Velocity, condition_device, condition_length
from trueward.policies.flow.guided import Guidance, spsa_gradient
from trueward.policies.flow.kernels import Kernel, Reduction, ode, step_logprob, step_mean
from trueward.policies.flow.trajectories import Trajectories, stacked

__all__ = ["Guidance", "Trajectories", "sample", "spsa_gradient", "starting_noise"]


def starting_noise(
    count: int,
    shape: Sequence[int],
    generator: torch.Generator,
    *,
    device: torch.device | None = None,
    repeat: int = 1,
) -> Float[Tensor, "n *s"]:
    """ε of samples, N(0, I), drawn where the generator is, so that it does not depend on the device.

    Args:
        count: different draws.
        shape: of one sample.
        generator: of the draws.
        device: where they are wanted.
        repeat: how often each is there, one after the other, for groups that share their noise.
    """
    noise = torch.randn(count, *shape, generator=generator, device=generator.device)
    return noise.repeat_interleave(repeat, dim=0).to(device or generator.device)


@torch.no_grad()
def sample(
    policy: Velocity,
    condition: Condition,
    *,
    shape: Sequence[int],
    times: Float[Tensor, " T1"],
    kernel: Kernel | None = None,
    guidance: Guidance | None = None,
    generator: torch.Generator | None = None,
    noise: Float[Tensor, "n *s"] | None = None,
    reduction: Reduction = "mean",
) -> Trajectories:
    """Draw one sample per row of the condition.

    The policy is used in the mode that it is in (training or evaluation). Everything is on the device of the condition.

    Args:
        policy: see `base`.
        condition: one row per sample.
        shape: of one sample.
        times: grid from 1 to 0, such as `time_grid(10)`.
        kernel: how much noise each step has; none by default.
        guidance: what moves the means; None for nothing.
        generator: of all noise. Not needed where the noise at the start is given and no step has any.
        noise: at the start; drawn where None.
        reduction: of log-probabilities, see `step_logprob`.

    Raises:
        ValueError: times do not fall, a generator is missing, or the noise has another shape.
    """
    n, device = condition_length(condition), condition_device(condition)
    grid = times.to(device=device, dtype=torch.float32)
    if len(grid) < 2 or not bool((grid[:-1] > grid[1:]).all()):
        raise ValueError(f"times must fall from noise to sample, such as time_grid(10); got {times.tolist()}")
    x = _start(n, shape, generator, noise, device)
    sigma = (kernel or ode()).sigma(grid)
    if generator is None and bool((sigma > 0).any()):
        raise ValueError("steps with noise need a generator, got None; give torch.Generator().manual_seed(…)")
    record = _Record(guided=guidance is not None, states=[x])
    # As plain numbers: a step then takes few operations, which is what small networks wait for.
    starts, lengths, scales = grid[:-1].tolist(), (grid[:-1] - grid[1:]).tolist(), sigma.tolist()
    for step, (start, dt, scale) in enumerate(zip(starts, lengths, scales, strict=True)):
        at = grid[step].expand(n)
        v = policy(x, at, condition).float()
        mean = step_mean(x, v, start, dt, scale)
        shift = value = None
        if guidance is not None and guidance.acts(step, scale):
            shift, value = guidance.shift(x, v, at, dt, scale, condition)
        centre = mean if shift is None else mean + shift
        deviation = scale * math.sqrt(dt)
        x = centre if generator is None or not scale > 0 else centre + deviation * _like(centre, generator)
        record.add(x, v, mean, deviation, shift, value, reduction)
    return record.trajectories(grid, sigma, condition, reduction)


def _start(
    n: int, shape: Sequence[int], generator: torch.Generator | None, noise: Tensor | None, device: torch.device
) -> Tensor:
    if noise is not None:
        if noise.shape != (n, *shape):
            raise ValueError(f"noise has shape {tuple(noise.shape)}; {n} samples of shape {tuple(shape)} are wanted")
        return noise.to(device=device, dtype=torch.float32)
    if generator is None:
        raise ValueError("give a generator, or the noise to start from")
    return starting_noise(n, shape, generator, device=device)


def _like(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=generator.device).to(x.device)


class _Record:
    """States and densities as they come."""

    def __init__(self, *, guided: bool, states: list[Tensor]) -> None:
        self.guided, self.states = guided, states
        self.velocities: list[Tensor] = []
        self.logprobs: list[Tensor] = []
        self.guided_logprobs: list[Tensor] = []
        self.shifts: list[Tensor] = []
        self.values: list[Tensor] = []

    def add(
        self,
        x: Tensor,
        v: Tensor,
        mean: Tensor,
        deviation: float,
        shift: Tensor | None,
        value: Tensor | None,
        reduction: Reduction,
    ) -> None:
        self.states.append(x)
        self.velocities.append(v)
        none = x.new_zeros(len(x))
        noisy = deviation > 0
        plain = step_logprob(x, mean, deviation, reduction) if noisy else none
        self.logprobs.append(plain)
        if self.guided:
            moved = plain if shift is None or not noisy else step_logprob(x, mean + shift, deviation, reduction)
            self.guided_logprobs.append(moved)
            self.shifts.append(torch.zeros_like(x) if shift is None else shift)
            self.values.append(torch.full_like(none, torch.nan) if value is None else value)

    def trajectories(self, times: Tensor, sigma: Tensor, condition: Condition, reduction: Reduction) -> Trajectories:
        return Trajectories(
            states=stacked(self.states),
            times=times,
            sigma=sigma,
            velocities=stacked(self.velocities),
            logprobs=stacked(self.logprobs),
            condition=condition,
            reduction=reduction,
            shifts=stacked(self.shifts) if self.guided else None,
            values=stacked(self.values) if self.guided else None,
            guided_logprobs=stacked(self.guided_logprobs) if self.guided else None,
        )
