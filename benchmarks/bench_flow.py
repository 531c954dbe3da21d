"""Sampling and the online update of flow policies against plain transcriptions, on one thread.

    python benchmarks/bench_flow.py

Equality first: samples, log-probabilities, loss and gradient must be those of Flow-GRPO's step written out step by
step, sample by sample, and ODE samples those of diffusers' FlowMatchEulerDiscreteScheduler. Then both sides take turns,
and the medians are compared. The plain sides are in two forms: one sample at a time, and all samples of one step at a
time, which is how the published trainers go about it.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import itertools
import math
import statistics
import time
from collections.abc import Callable

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn

from trueward.objectives.policy_gradient import clipped_surrogate
from trueward.policies.flow import FlowMLP, Trajectories, flow_grpo, sample, time_grid, trajectory_logprobs

torch.set_num_threads(1)

SHAPE, CLASSES, GROUP, STEPS, LEVEL, CLIP = (1, 8, 8), 10, 12, 10, 0.7, 1e-4
LEARNT = STEPS - 1  # without the step to t = 0
ROUNDS = 5
SCHEDULER = FlowMatchEulerDiscreteScheduler(shift=1.0)
LABELS = torch.arange(CLASSES).repeat_interleave(GROUP)


def network(width: int) -> FlowMLP:
    """Random weights, the last layer too, so that velocities are not 0."""
    made = FlowMLP(SHAPE, CLASSES, width=width, seed=0)
    nn.init.normal_(made.leave.weight, std=0.05, generator=torch.Generator().manual_seed(1))
    return made


def plain_step(v: Tensor, x: Tensor, t: float, after: float) -> tuple[Tensor, float]:
    """Mean and deviation of Flow-GRPO's step, with its time difference, which is negative."""
    dt, sigma = after - t, LEVEL * math.sqrt(t / (1 - (after if t == 1.0 else t)))
    mean = x * (1 + sigma**2 / (2 * t) * dt) + v * (1 + sigma**2 * (1 - t) / (2 * t)) * dt
    return mean, sigma * math.sqrt(-dt)


def plain_logprob(after: Tensor, mean: Tensor, width: float) -> Tensor:
    each = -((after - mean) ** 2) / (2 * width**2) - math.log(width) - math.log(math.sqrt(2 * math.pi))
    return each.mean(dim=(1, 2, 3))


@torch.no_grad()
def plain_sampling(policy: nn.Module, seed: int, *, rows: int) -> tuple[Tensor, Tensor]:
    """States [N, T + 1, …] and log-probabilities [N, T], so many rows at a time."""
    generator = torch.Generator().manual_seed(seed)
    times, n = time_grid(STEPS).tolist(), len(LABELS)
    x = torch.randn(n, *SHAPE, generator=generator)
    states, logprobs = [x], []
    for t, after in itertools.pairwise(times):
        noise, parts, told = torch.randn(n, *SHAPE, generator=generator), [], []
        for first in range(0, n, rows):
            at = slice(first, first + rows)
            v = policy(x[at], torch.full((len(x[at]),), t), LABELS[at])
            mean, width = plain_step(v, x[at], t, after)
            parts.append(mean + width * noise[at])
            told.append(plain_logprob(parts[-1], mean, width))
        x = torch.cat(parts)
        states.append(x)
        logprobs.append(torch.cat(told))
    return torch.stack(states, dim=1), torch.stack(logprobs, dim=1)


def our_sampling(policy: nn.Module, seed: int) -> Trajectories:
    return sample(
        policy,
        LABELS,
        shape=SHAPE,
        times=time_grid(STEPS),
        kernel=flow_grpo(LEVEL),
        generator=torch.Generator().manual_seed(seed),
    )


@torch.no_grad()
def diffusers_sampling(policy: nn.Module, noise: Tensor, scheduler: FlowMatchEulerDiscreteScheduler) -> Tensor:
    scheduler.set_timesteps(sigmas=time_grid(STEPS)[:-1].tolist())
    x = noise
    for t in scheduler.timesteps:
        v = policy(x, (t / 1000).expand(len(x)), LABELS)
        x = scheduler.step(v, t, x, return_dict=False)[0]
    return x


def plain_update(
    policy: nn.Module, states: Tensor, old: Tensor, advantages: Tensor, *, rows: int
) -> tuple[float, Tensor]:
    """Loss and gradient of Flow-GRPO, so many rows at a time, every step by itself."""
    policy.zero_grad(set_to_none=True)
    times, n, total = time_grid(STEPS).tolist(), len(states), 0.0
    for step in range(LEARNT):
        t, after = times[step], times[step + 1]
        for first in range(0, n, rows):
            at = slice(first, first + rows)
            x = states[at, step]
            mean, width = plain_step(policy(x, torch.full((len(x),), t), LABELS[at]), x, t, after)
            ratio = torch.exp(plain_logprob(states[at, step + 1], mean, width) - old[at, step])
            held = ratio.clamp(1 - CLIP, 1 + CLIP)
            loss = torch.maximum(-advantages[at] * ratio, -advantages[at] * held).sum() / (n * LEARNT)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
    return total, gradient_of(policy)


def our_update(policy: nn.Module, trajectories: Trajectories, advantages: Tensor) -> tuple[float, Tensor]:
    policy.zero_grad(set_to_none=True)
    rows, steps = torch.arange(len(trajectories)), torch.arange(LEARNT)
    new = trajectory_logprobs(policy, trajectories, rows, steps).logprobs
    mask = torch.ones_like(new, dtype=torch.bool)
    loss, _ = clipped_surrogate(new, trajectories.logprobs[:, :LEARNT], advantages, mask, low=CLIP, high=CLIP)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), gradient_of(policy)


def gradient_of(policy: nn.Module) -> Tensor:
    return torch.cat([values.grad.flatten() for values in policy.parameters() if values.grad is not None])


def take_turns(*sides: Callable[[], object]) -> list[float]:
    """Median seconds of each side."""
    seconds: list[list[float]] = [[] for _ in sides]
    for side in sides:
        side()
    for _ in range(ROUNDS):
        for place, side in enumerate(sides):
            begun = time.perf_counter()
            side()
            seconds[place].append(time.perf_counter() - begun)
    return [statistics.median(one) for one in seconds]


def check(policy: nn.Module) -> tuple[Trajectories, Tensor]:
    """Raises `AssertionError` unless both sides agree."""
    found = our_sampling(policy, 3)
    states, logprobs = plain_sampling(policy, 3, rows=1)
    torch.testing.assert_close(found.states, states, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.logprobs, logprobs, rtol=1e-4, atol=1e-4)
    noise = torch.randn(len(LABELS), *SHAPE, generator=torch.Generator().manual_seed(4))
    ours = sample(policy, LABELS, shape=SHAPE, times=time_grid(STEPS), noise=noise).final
    torch.testing.assert_close(ours, diffusers_sampling(policy, noise, SCHEDULER), rtol=1e-4, atol=1e-4)
    advantages = torch.randn(len(LABELS), generator=torch.Generator().manual_seed(5))
    expected, gradient = plain_update(policy, found.states, found.logprobs, advantages, rows=1)
    loss, ours_gradient = our_update(policy, found, advantages)
    assert abs(loss - expected) < 1e-5, (loss, expected)
    torch.testing.assert_close(ours_gradient, gradient, rtol=1e-3, atol=1e-5)
    return found, advantages


def row(name: str, ours: float, theirs: float, target: float) -> None:
    ratio = theirs / ours
    kept = "ok" if ratio >= target else "LOST"
    print(f"{name:<62} {1e3 * ours:>9.2f} ms {1e3 * theirs:>9.2f} ms {ratio:>8.2f}x   target {target:>4.2f}x   {kept}")


def small(policy: nn.Module, found: Trajectories, advantages: Tensor) -> None:
    """One sample at a time, where overhead is all there is."""
    ours, theirs = take_turns(lambda: our_sampling(policy, 3), lambda: plain_sampling(policy, 3, rows=1))
    row("stochastic sampling / one sample at a time", ours, theirs, 5.0)
    ours, theirs = take_turns(
        lambda: our_update(policy, found, advantages),
        lambda: plain_update(policy, found.states, found.logprobs, advantages, rows=1),
    )
    row("update / one sample and step at a time", ours, theirs, 5.0)


def together(policy: nn.Module, found: Trajectories, advantages: Tensor) -> None:
    """All samples of one step at a time."""
    n, noise, grid = len(LABELS), found.states[:, 0], time_grid(STEPS)
    ours, theirs = take_turns(lambda: our_sampling(policy, 3), lambda: plain_sampling(policy, 3, rows=n))
    row("stochastic sampling / all samples at a time", ours, theirs, 0.9)
    ours, theirs = take_turns(
        lambda: sample(policy, LABELS, shape=SHAPE, times=grid, noise=noise),
        lambda: diffusers_sampling(policy, noise, SCHEDULER),
    )
    row("ODE sampling / diffusers' scheduler", ours, theirs, 1.0)
    ours, theirs = take_turns(
        lambda: our_update(policy, found, advantages),
        lambda: plain_update(policy, found.states, found.logprobs, advantages, rows=n),
    )
    row("update / all samples of one step at a time", ours, theirs, 1.0)


def main() -> None:
    """Print the table."""
    print(f"{len(LABELS)} samples of {STEPS} steps; ours, theirs, how many times faster")
    for width in (192, 768):
        policy = network(width)
        found, advantages = check(policy)
        size = sum(values.numel() for values in policy.parameters())
        print(f"width {width}: {size / 1e6:.1f} M parameters; states, log-probabilities, loss and gradient are equal")
        if width == 192:
            small(policy, found, advantages)
        together(policy, found, advantages)


if __name__ == "__main__":
    main()
