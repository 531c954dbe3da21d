"""The loss of distilled guidance by hand, and what holds for every objective."""

from __future__ import annotations

import math

import pytest
import torch
from jaxtyping import TypeCheckError

from trueward.objectives.flow.distillation import guidance_distillation
from trueward.policies.flow.kernels import dance_grpo, kernel_weight, shifted_velocity, time_grid
from trueward.policies.flow.likelihood import trajectory_logprobs
from trueward.policies.flow.sampling import Guidance, sample


def weight_of(t, dt, sigma):
    """w_t = (Δ/(2σ²)) (1 + σ²(1 − t)/(2t))², written out."""
    return dt / (2 * sigma**2) * (1 + sigma**2 * (1 - t) / (2 * t)) ** 2


def test_two_steps_by_hand():
    """σ = 1: at t = 1 and Δ = ½ w = ¼; at t = ½ and Δ = ½ w = ¼ · (1 + ½)² = 9/16."""
    weights = torch.tensor([weight_of(1.0, 0.5, 1.0), weight_of(0.5, 0.5, 1.0)])
    assert weights.tolist() == [0.25, 0.5625]
    velocities = torch.tensor([[[1.0, 2.0], [0.0, 0.0]]], requires_grad=True)
    targets = torch.tensor([[[0.0, 0.0], [4.0, 0.0]]])
    mask = torch.ones(1, 2, dtype=torch.bool)
    loss, metrics = guidance_distillation(velocities, targets, weights, mask)
    # Squares per entry: (1 + 4)/2 and 16/2; the mean over both steps.
    assert loss.item() == pytest.approx((0.25 * 2.5 + 0.5625 * 8.0) / 2)
    summed, _ = guidance_distillation(velocities, targets, weights, mask, reduction="sum")
    assert summed.item() == pytest.approx(2 * loss.item())
    (gradient,) = torch.autograd.grad(loss, velocities)
    # w (v − v*) · 2 / (2 entries · 2 steps).
    wanted = torch.tensor([[[0.25 * 1.0, 0.25 * 2.0], [0.5625 * -4.0, 0.0]]]) / 2
    assert torch.allclose(gradient, wanted)
    assert metrics["distillation_error"].item() == pytest.approx(math.sqrt((2.5 + 8.0) / 2))
    assert metrics["distillation_target"].item() == pytest.approx(math.sqrt((0.0 + 8.0) / 2))
    assert metrics["distilled_steps"] == 2


def test_it_is_the_divergence_of_the_two_kernels():
    """KL(N(m, σ²Δ) ‖ N(m', σ²Δ)) = (m − m')²/(2σ²Δ), with means written out for one number."""
    x, t, dt, sigma, v_old, shift = 0.7, 0.4, 0.1, 0.3, -1.2, 0.05

    def mean(v):
        return x * (1 - sigma**2 * dt / (2 * t)) - v * (1 + sigma**2 * (1 - t) / (2 * t)) * dt

    target = v_old - shift / dt / (1 + sigma**2 * (1 - t) / (2 * t))
    assert mean(target) == pytest.approx(mean(v_old) + shift)
    for v in (v_old, target, 0.3):
        loss, _ = guidance_distillation(
            torch.tensor([[[v]]], dtype=torch.float64),
            torch.tensor([[[target]]], dtype=torch.float64),
            torch.tensor([weight_of(t, dt, sigma)], dtype=torch.float64),
            torch.ones(1, 1, dtype=torch.bool),
        )
        wanted = (mean(v) - mean(v_old) - shift) ** 2 / (2 * sigma**2 * dt)
        assert loss.item() == pytest.approx(wanted, abs=1e-15)


def drawn(seed=0, n=4, k=3, sample=(1, 2, 2)):
    generator = torch.Generator().manual_seed(seed)
    velocities, targets = (torch.randn(n, k, *sample, generator=generator) for _ in range(2))
    return velocities.requires_grad_(), targets, torch.rand(n, k, generator=generator), torch.rand(n, k) < 2


def test_what_is_masked_counts_nothing_even_where_it_is_nan():
    velocities, targets, weights, mask = drawn()
    mask[:, 1] = False
    loss, metrics = guidance_distillation(velocities, targets, weights, mask)
    targets[:, 1], weights[:, 1] = math.nan, math.inf
    again, _ = guidance_distillation(velocities, targets, weights, mask)
    (gradient,) = torch.autograd.grad(again, velocities)
    assert (
        again == loss and gradient.isfinite().all() and (gradient[:, 1] == 0).all() and gradient[:, 0].abs().sum() > 0
    )
    kept = [0, 2]
    fewer, fewer_metrics = guidance_distillation(velocities[:, kept], targets[:, kept], weights[:, kept], mask[:, kept])
    assert fewer.item() == pytest.approx(loss.item())
    assert fewer_metrics["distillation_error"].item() == pytest.approx(metrics["distillation_error"].item())


def test_where_nothing_counts_loss_and_gradient_are_zero():
    velocities, targets, weights, mask = drawn()
    loss, metrics = guidance_distillation(velocities, targets, weights, torch.zeros_like(mask))
    (gradient,) = torch.autograd.grad(loss, velocities)
    assert loss == 0 and (gradient == 0).all() and all(value == 0 for value in metrics.values())


def test_no_gradient_reaches_the_target_and_half_precision_is_computed_in_single():
    velocities, targets, weights, mask = drawn()
    targets.requires_grad_()
    loss, _ = guidance_distillation(velocities, targets, weights, mask)
    loss.backward()
    assert targets.grad is None
    half, _ = guidance_distillation(velocities.bfloat16(), targets.bfloat16(), weights, mask)
    assert half.dtype == torch.float32
    assert guidance_distillation(targets.detach(), targets, weights, mask)[0] == 0


def test_rows_may_weigh_differently():
    velocities, targets, weights, mask = drawn(n=2)
    each = [guidance_distillation(velocities[[i]], targets[[i]], weights[[i]], mask[[i]])[0].item() for i in range(2)]
    loss, _ = guidance_distillation(velocities, targets, weights, mask, torch.tensor([0.5, 0.1]))
    assert loss.item() == pytest.approx(3 * (0.5 * each[0] + 0.1 * each[1]))


def test_unknown_reductions_are_refused():
    with pytest.raises((ValueError, TypeCheckError), match="'max'"):  # the second where annotations are checked
        guidance_distillation(*drawn(), reduction="max")


class Offset(torch.nn.Module):
    """The exact velocity of x₀ ~ N(m, s²), and a number added at each step: all that a linear reward needs."""

    def __init__(self, times, mean=0.5, deviation=0.4):
        super().__init__()
        self.times, self.mean, self.deviation = times, mean, deviation
        self.added = torch.nn.Parameter(torch.zeros(len(times) - 1))

    def forward(self, x, t, condition):
        step = (self.times[:-1] - t[:, None]).abs().argmin(dim=1)
        at = t[:, None]
        variance = (1 - at) ** 2 * self.deviation**2 + at**2
        clean = self.mean + (1 - at) * self.deviation**2 / variance * (x - (1 - at) * self.mean)
        return (x - clean) / at + self.added[step][:, None]


def test_distillation_turns_an_unguided_kernel_into_the_guided_one():
    """r = 2x on a Gaussian: after distillation, sampling without guidance has the mean that it had with it."""
    times, condition = time_grid(10), torch.zeros(2000)
    policy = Offset(times)
    guidance = Guidance(lambda x, t, c: (2 * x[:, 0], torch.full_like(x, 2.0)), beta=0.2)

    def drawn_by(guidance, seed):
        generator = torch.Generator().manual_seed(seed)
        return sample(policy, condition, shape=(1,), times=times, kernel=dance_grpo(0.6), guidance=guidance,
                      generator=generator)  # fmt: skip

    guided, plain = drawn_by(guidance, 0), drawn_by(None, 0)
    steps = torch.arange(9)  # the last one has no noise
    t, dt, sigma = times[:9], guided.dt[:9], guided.sigma[:9]
    targets = torch.stack(
        [shifted_velocity(guided.velocities[:, i], guided.shifts[:, i], t[i], dt[i], sigma[i]) for i in steps], dim=1
    )
    weights, mask = kernel_weight(t, dt, sigma), torch.ones(2000, 9, dtype=torch.bool)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.05)
    errors = []
    for _ in range(200):
        velocities = trajectory_logprobs(policy, guided, torch.arange(2000), steps).velocities
        loss, metrics = guidance_distillation(velocities, targets, weights, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(metrics["distillation_error"].item())
    assert errors[0] > 0.5 and errors[-1] < 1e-3
    distilled = drawn_by(None, 0)
    # The same noise: guided and distilled paths agree sample by sample, and both differ from the plain ones.
    assert torch.allclose(distilled.final, guided.final, atol=2e-3)
    assert (guided.final - plain.final).mean() > 0.3
