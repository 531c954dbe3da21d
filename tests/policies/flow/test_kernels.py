"""One stochastic step of a flow, against numbers by hand, closed forms and an independent density."""

from __future__ import annotations

import math

import pytest
import torch

from trueward.policies.flow.base import clean_estimate, noised, score_of, velocity_target
from trueward.policies.flow.kernels import (
    Kernel,
    dance_grpo,
    distilled_velocity,
    flow_grpo,
    guidance_shift,
    kernel_weight,
    ode,
    shifted_velocity,
    step_deviation,
    step_logprob,
    step_mean,
    time_grid,
)


def test_the_grid_by_hand() -> None:
    torch.testing.assert_close(time_grid(4), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))
    torch.testing.assert_close(time_grid(4, shift=3.0), torch.tensor([1.0, 0.9, 0.75, 0.5, 0.0]))


def test_flow_grpo_noise_by_hand_with_the_next_grid_value_at_one() -> None:
    # √(t / (1 − t)) is √3, 1, √⅓; at t = 1 the denominator is 1 − 0.75.
    expected = 0.7 * torch.tensor([2.0, math.sqrt(3), 1.0, math.sqrt(1 / 3)])
    torch.testing.assert_close(flow_grpo(0.7).sigma(time_grid(4)), expected)


def test_a_grid_that_does_not_begin_at_one_needs_no_rule() -> None:
    times = torch.tensor([0.8, 0.5, 0.0])
    torch.testing.assert_close(flow_grpo(1.0).sigma(times), torch.tensor([2.0, 1.0]))


def test_dance_grpo_noise_is_constant_and_ends_clean() -> None:
    torch.testing.assert_close(dance_grpo(0.3).sigma(time_grid(3)), torch.tensor([0.3, 0.3, 0.0]))
    torch.testing.assert_close(dance_grpo(0.3, clean_end=False).sigma(time_grid(3)), torch.full((3,), 0.3))


def test_no_noise() -> None:
    assert ode().sigma(time_grid(5)).tolist() == [0.0] * 5


def test_step_mean_by_hand() -> None:
    # ∇ log p = −(1 + ½ · 2) / ½ = −4, so μ = 1 − ½ + (¼ / 2)(−4) ¼ = 0.375.
    mean = step_mean(torch.tensor([[1.0]]), torch.tensor([[2.0]]), 0.5, 0.25, 0.5)
    torch.testing.assert_close(mean, torch.tensor([[0.375]]))


def test_step_mean_is_euler_plus_half_the_variance_times_the_score() -> None:
    generator = torch.Generator().manual_seed(0)
    x, v = torch.randn(5, 2, 3, generator=generator), torch.randn(5, 2, 3, generator=generator)
    t, dt, sigma = (torch.rand(5, generator=generator) * 0.8 + 0.1 for _ in range(3))
    wide = [one.reshape(5, 1, 1) for one in (t, dt, sigma)]
    expected = x - wide[1] * v + 0.5 * wide[2] ** 2 * score_of(x, v, t) * wide[1]
    torch.testing.assert_close(step_mean(x, v, t, dt, sigma), expected, rtol=1e-5, atol=1e-5)


def test_without_noise_a_step_is_eulers() -> None:
    x, v = torch.randn(4, 3), torch.randn(4, 3)
    torch.testing.assert_close(step_mean(x, v, 0.7, 0.1, 0.0), x - 0.1 * v)


def test_a_last_step_without_noise_is_the_clean_estimate() -> None:
    x, v = torch.randn(4, 3), torch.randn(4, 3)
    torch.testing.assert_close(step_mean(x, v, 0.2, 0.2, 0.0), clean_estimate(x, v, 0.2))


def test_the_path_and_its_velocity() -> None:
    x0, noise = torch.tensor([[2.0]]), torch.tensor([[-1.0]])
    x, v = noised(x0, noise, 0.25), velocity_target(x0, noise)
    assert x.item() == 1.25
    assert v.item() == -3.0
    assert clean_estimate(x, v, 0.25).item() == 2.0


def test_the_score_of_a_gaussian() -> None:
    # x₀ ~ N(m, s²): x_t ~ N((1 − t) m, (1 − t)² s² + t²).
    m, s, t, x = 0.5, 0.8, 0.3, torch.tensor([[1.7]])
    variance = (1 - t) ** 2 * s**2 + t**2
    v = -m + (t - (1 - t) * s**2) / variance * (x - (1 - t) * m)
    torch.testing.assert_close(score_of(x, v, t), -(x - (1 - t) * m) / variance)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_log_probability_against_torch(reduction: str) -> None:
    generator = torch.Generator().manual_seed(1)
    x, mean = torch.randn(6, 2, 2, generator=generator), torch.randn(6, 2, 2, generator=generator)
    std = torch.rand(6, generator=generator) + 0.1
    each = torch.distributions.Normal(mean, std.reshape(6, 1, 1)).log_prob(x).flatten(1)
    expected = each.mean(dim=1) if reduction == "mean" else each.sum(dim=1)
    torch.testing.assert_close(step_logprob(x, mean, std, reduction), expected)  # type: ignore[arg-type]


def test_log_probability_by_hand() -> None:
    # One deviation away: −½ − log ½ − ½ log 2π.
    value = step_logprob(torch.tensor([[1.5]]), torch.tensor([[1.0]]), 0.5)
    assert value.item() == pytest.approx(-0.5 + math.log(2) - 0.5 * math.log(2 * math.pi))


def test_half_precision_does_not_overflow() -> None:
    x = torch.full((1, 4), 60000.0, dtype=torch.float16)
    assert torch.isfinite(step_logprob(x, -x, 1.0)).all()


def test_a_linear_reward_tilts_the_step_exactly() -> None:
    # The step is half Langevin: tilted by exp(r / 2β), N(μ, s²) has the mean μ + s² w / 2β.
    w, beta, sigma, dt, mean = 3.0, 0.7, 0.9, 0.2, 0.4
    deviation = float(step_deviation(dt, sigma))
    grid = torch.linspace(mean - 12, mean + 12, 200001, dtype=torch.float64)
    log_density = -0.5 * ((grid - mean) / deviation) ** 2 + w * grid / (2 * beta)
    density = torch.softmax(log_density, dim=0)
    shift = guidance_shift(torch.tensor([[w]]), sigma, beta, dt).item()
    assert mean + shift == pytest.approx(float((density * grid).sum()), abs=1e-6)


def test_shift_by_hand() -> None:
    assert guidance_shift(torch.tensor([[2.0]]), 0.5, 0.25, 0.1).item() == pytest.approx(0.25 / 0.5 * 2 * 0.1)


def test_distilled_velocity_makes_both_kernels_equal() -> None:
    generator = torch.Generator().manual_seed(2)
    x, v, gradient = (torch.randn(8, 3, generator=generator) for _ in range(3))
    t, dt, sigma = (torch.rand(8, generator=generator) * 0.8 + 0.1 for _ in range(3))
    shift = guidance_shift(gradient, sigma, 0.3, dt)
    guided = step_mean(x, v, t, dt, sigma) + shift
    star = distilled_velocity(v, gradient, t, sigma, 0.3)
    torch.testing.assert_close(step_mean(x, star, t, dt, sigma), guided, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(shifted_velocity(v, shift, t, dt, sigma), star, rtol=1e-4, atol=1e-5)


def test_the_weight_is_the_divergence_of_two_steps() -> None:
    generator = torch.Generator().manual_seed(3)
    x, v, other = (torch.randn(8, 3, generator=generator) for _ in range(3))
    t, dt, sigma = (torch.rand(8, generator=generator) * 0.8 + 0.1 for _ in range(3))
    deviation = step_deviation(dt, sigma).unsqueeze(1)
    normal, reference = (
        torch.distributions.Normal(step_mean(x, one, t, dt, sigma), deviation.expand(8, 3)) for one in (v, other)
    )
    divergence = torch.distributions.kl_divergence(normal, reference).sum(dim=1)
    weighted = kernel_weight(t, dt, sigma) * (v - other).square().sum(dim=1)
    torch.testing.assert_close(weighted, divergence, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"kind": "sde"}, {"kind": "ode", "level": -1.0}])
def test_refuses_kernels_that_are_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected ode, flow_grpo or dance_grpo"):
        Kernel(**wrong)  # type: ignore[arg-type]


def test_refuses_other_reductions_and_grids() -> None:
    with pytest.raises(ValueError, match="choose mean or sum"):
        step_logprob(torch.zeros(1, 1), torch.zeros(1, 1), 1.0, "max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one step"):
        time_grid(0)
