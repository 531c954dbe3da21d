"""The scheduler against that of diffusers, against Flow-GRPO's formulas, and inside a pipeline."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from trueward.adapters.diffusers import StochasticFlowMatchScheduler, TextToImage, tiny_pipeline
from trueward.policies.flow.kernels import dance_grpo, flow_grpo, ode, step_logprob
from trueward.policies.flow.sampling import sample

torch.set_num_threads(1)
X = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0))
V = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(1))


def scheduled(steps: int = 4, **settings: Any) -> StochasticFlowMatchScheduler:
    scheduler = StochasticFlowMatchScheduler(shift=3.0, **settings)
    scheduler.set_timesteps(steps)
    return scheduler


def test_without_noise_it_is_the_scheduler_of_diffusers() -> None:
    ours, theirs = scheduled(kernel="ode"), FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs.set_timesteps(4)
    assert torch.equal(ours.timesteps, theirs.timesteps) and torch.equal(ours.sigmas, theirs.sigmas)
    x, y = X, X
    for t in theirs.timesteps:
        step = ours.step(V, t, x)
        x, y = step.prev_sample, theirs.step(V, t, y).prev_sample
        assert step.logprob is None and float(step.std) == 0.0
    assert torch.allclose(x, y, atol=1e-6)


def test_a_step_of_flow_grpo_by_its_formulas() -> None:
    """Mean, deviation and log-density as flow_grpo writes them, with dt negative and the next time's σ at t = 1."""
    scheduler = scheduled(noise_level=0.7)
    for place, t in enumerate(scheduler.timesteps[:-1]):
        sigma, after = scheduler.sigmas[place].item(), scheduler.sigmas[place + 1].item()
        dt = after - sigma
        noise = 0.7 * math.sqrt(sigma / (1 - (after if sigma == 1 else sigma)))
        mean = X * (1 + noise**2 / (2 * sigma) * dt) + V * (1 + noise**2 * (1 - sigma) / (2 * sigma)) * dt
        step = scheduler.step(V, t, X, generator=torch.Generator().manual_seed(2))
        drawn = torch.randn(X.shape, generator=torch.Generator().manual_seed(2))
        deviation = noise * math.sqrt(-dt)
        assert torch.allclose(step.mean, mean, atol=1e-5) and float(step.std) == pytest.approx(deviation, rel=1e-5)
        assert torch.allclose(step.prev_sample, mean + deviation * drawn, atol=1e-5)
        density = -(drawn**2) / 2 - math.log(deviation) - 0.5 * math.log(2 * math.pi)
        assert torch.allclose(step.logprob, density.mean(dim=(1, 2, 3)), atol=1e-4)
        assert float(scheduler.sigma_at(t)) == pytest.approx(noise, rel=1e-5)


def test_a_drift_bonus_moves_the_state_and_not_the_mean_of_its_density() -> None:
    plain, moved = scheduled(), scheduled()
    t, bonus = plain.timesteps[0], torch.full_like(X, 0.3)
    one = plain.step(V, t, X, generator=torch.Generator().manual_seed(0))
    two = moved.step(V, t, X, drift_bonus=bonus, generator=torch.Generator().manual_seed(0))
    dt = plain.sigmas[0] - plain.sigmas[1]
    assert torch.allclose(two.prev_sample - one.prev_sample, 0.3 * dt.expand(X.shape), atol=1e-6)
    assert torch.equal(one.mean, two.mean)
    assert torch.allclose(two.logprob, step_logprob(two.prev_sample, one.mean, one.std))


def test_the_density_of_a_state_that_was_sampled_before() -> None:
    scheduler, again = scheduled(), scheduled()
    t = scheduler.timesteps[0]
    first = scheduler.step(V, t, X, generator=torch.Generator().manual_seed(0))
    second = again.step(V, t, X, next_sample=first.prev_sample, return_dict=False)
    assert torch.equal(second[0], first.prev_sample) and torch.allclose(second[1], first.logprob)
    other = scheduled().step(V + 0.1, t, X, next_sample=first.prev_sample)
    assert (other.logprob != first.logprob).all()
    total = scheduled().step(V, t, X, next_sample=first.prev_sample, reduction="sum")
    assert torch.allclose(total.logprob, first.logprob * 16, rtol=1e-5)


@pytest.mark.parametrize("kernel", [ode(), flow_grpo(), dance_grpo(0.25)])
def test_a_pipeline_with_it_samples_what_sample_samples(kernel: Any) -> None:
    parts = TextToImage(tiny_pipeline("sd3"))
    settings = {"kernel": kernel.kind, "noise_level": kernel.level, "clean_end": kernel.clean_end}
    parts.pipeline.scheduler = StochasticFlowMatchScheduler.from_config(parts.pipeline.scheduler.config, **settings)
    start = torch.randn(2, *parts.shape, generator=torch.Generator().manual_seed(1))
    drawn: list[torch.Tensor] = []

    def noise(shape: Any, generator: Any = None, device: Any = None, dtype: Any = None) -> torch.Tensor:
        drawn.append(torch.randn(shape, generator=generator))
        return drawn[-1]

    import trueward.adapters.diffusers.scheduler as module

    ours = sample(
        parts.policy(), parts.encode(["a", "b"]), shape=parts.shape, times=parts.times(3), kernel=kernel, noise=start,
        generator=torch.Generator().manual_seed(5),
    ).final  # fmt: skip
    shared = torch.Generator().manual_seed(5)
    original = module.randn_tensor
    module.randn_tensor = lambda shape, **rest: noise(shape, generator=shared)
    try:
        theirs = parts.pipeline(
            ["a", "b"], height=16, width=16, num_inference_steps=3, guidance_scale=1.0, latents=start,
            output_type="latent",
        ).images  # fmt: skip
    finally:
        module.randn_tensor = original
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert len(drawn) == int((kernel.sigma(parts.times(3)) > 0).sum())


def test_it_is_saved_with_its_kernel(tmp_path: Any) -> None:
    scheduled(kernel="dance_grpo", noise_level=0.25).save_pretrained(tmp_path)
    again = StochasticFlowMatchScheduler.from_pretrained(tmp_path)
    assert again.config.kernel == "dance_grpo" and again.config.noise_level == 0.25 and again.config.shift == 3.0
