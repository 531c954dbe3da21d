"""Policies and samplers against the pipelines and schedulers of diffusers themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel

from trueward.adapters.diffusers import DiffusersDenoiser, DiffusersFlow, TextToImage, tiny_pipeline
from trueward.adapters.diffusers.architectures.base import packed, unpacked
from trueward.adapters.diffusers.architectures.unet import path_times
from trueward.policies.flow.base import clean_estimate, noised
from trueward.policies.flow.sampling import sample

torch.set_num_threads(1)
PROMPTS = ["a red seven", "two"]


def noise(parts: TextToImage, count: int = 2) -> torch.Tensor:
    return torch.randn(count, *parts.shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("scale", [1.0, 4.5])
def test_sd3_samples_what_its_pipeline_samples(scale: float) -> None:
    parts = TextToImage(tiny_pipeline("sd3"))
    policy: Any = parts.policy() if scale == 1.0 else parts.guided(parts.policy(), scale)
    start = noise(parts)
    ours = sample(policy, parts.encode(PROMPTS), shape=parts.shape, times=parts.times(5), noise=start).final
    theirs = parts.pipeline(
        PROMPTS, height=16, width=16, num_inference_steps=5, guidance_scale=scale, latents=start, output_type="latent"
    ).images
    assert torch.allclose(ours, theirs, atol=1e-5) and not torch.allclose(ours, start, atol=0.1)


def test_the_shift_of_the_schedule_is_the_pipelines() -> None:
    parts = TextToImage(tiny_pipeline("sd3"))
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    scheduler.set_timesteps(4)
    assert torch.equal(parts.times(4), scheduler.sigmas)
    # Even times from 1 to σ_min = 3 · .001 / (1 + 2 · .001), which are shifted as a whole.
    low = 0.003 / 1.002
    even = torch.linspace(1.0, low, 4)
    assert torch.allclose(parts.times(4)[:-1], 3 * even / (1 + 2 * even), atol=1e-6)
    assert parts.times(4)[-1] == 0.0


@pytest.mark.parametrize("guidance", [3.5, 1.0])
def test_flux_samples_what_its_pipeline_samples(guidance: float) -> None:
    parts = TextToImage(tiny_pipeline("flux"), height=16, width=16, length=16)
    start = noise(parts)
    ours = sample(
        parts.policy(guidance=guidance), parts.encode(PROMPTS), shape=parts.shape, times=parts.times(4), noise=start
    ).final
    theirs = parts.pipeline(
        PROMPTS,
        height=16,
        width=16,
        num_inference_steps=4,
        guidance_scale=guidance,
        latents=packed(start),
        output_type="latent",
        max_sequence_length=16,
    ).images
    assert torch.allclose(packed(ours), theirs, atol=1e-5)


def test_flux_with_a_negative_prompt_too() -> None:
    parts = TextToImage(tiny_pipeline("flux"), height=16, width=16, length=16)
    start = noise(parts)
    policy = parts.guided(parts.policy(guidance=2.0), 1.8, prompt="grey")
    ours = sample(policy, parts.encode(PROMPTS), shape=parts.shape, times=parts.times(3), noise=start).final
    theirs = parts.pipeline(
        PROMPTS,
        negative_prompt=["grey", "grey"],
        true_cfg_scale=1.8,
        height=16,
        width=16,
        num_inference_steps=3,
        guidance_scale=2.0,
        latents=packed(start),
        output_type="latent",
        max_sequence_length=16,
    ).images
    assert torch.allclose(packed(ours), theirs, atol=1e-5)


def test_flux_hears_its_guidance() -> None:
    parts = TextToImage(tiny_pipeline("flux"), height=16, width=16, length=16)
    told, x, t = parts.encode(PROMPTS), noise(parts), torch.full((2,), 0.5)
    assert not torch.allclose(parts.policy(guidance=1.0)(x, t, told), parts.policy(guidance=3.5)(x, t, told))


def test_packing_is_that_of_diffusers() -> None:
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(packed(x), tiny_pipeline("flux")._pack_latents(x, 2, 4, 8, 8))
    assert torch.equal(unpacked(packed(x), 8, 8), x)


def test_qwen_is_called_as_its_pipeline_calls_it() -> None:
    torch.manual_seed(0)
    model = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 6, 6),
    ).eval()
    x, t, text = torch.randn(2, 4, 4, 8), torch.tensor([0.9, 0.2]), torch.randn(2, 5, 32)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    told = {"encoder_hidden_states": text, "encoder_hidden_states_mask": mask}
    ours = DiffusersFlow(model)(x, t, told)
    with torch.no_grad():
        theirs = model(
            packed(x), text, mask, timestep=t, img_shapes=[[(1, 2, 4)]] * 2, guidance=None, return_dict=False
        )[0]
    assert torch.allclose(packed(ours), theirs, atol=1e-6)
    # What the mask leaves out changes nothing.
    other = {**told, "encoder_hidden_states": text.clone().index_fill_(1, torch.tensor([3, 4]), 7.0)}
    assert torch.allclose(DiffusersFlow(model)(x, t, other)[1], ours[1], atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 4.5])
def test_a_denoiser_on_the_straight_path_samples_as_ddim(scale: float) -> None:
    pipeline = tiny_pipeline("sd15")
    pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, set_alpha_to_one=True)
    parts = TextToImage(pipeline)
    policy: Any = parts.policy() if scale == 1.0 else parts.guided(parts.policy(), scale)
    start = noise(parts)
    theirs = pipeline(
        PROMPTS, height=16, width=16, num_inference_steps=5, guidance_scale=scale, latents=start, output_type="latent"
    ).images
    times = torch.cat([path_times(pipeline.scheduler)[pipeline.scheduler.timesteps], torch.zeros(1)])
    norm = ((1 - times[0]) ** 2 + times[0] ** 2).sqrt()
    ours = sample(policy, parts.encode(PROMPTS), shape=parts.shape, times=times, noise=start * norm).final
    assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))
    # From pure noise, the pipeline's schedule begins at t = 1 and then takes the same levels.
    assert torch.allclose(parts.times(5)[1:], times[1:]) and parts.times(5)[0] == 1.0


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction"])
def test_errors_of_velocity_are_errors_of_noise_over_one_minus_t(predicts: str) -> None:
    pipeline = tiny_pipeline("sd15")
    scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, prediction_type=predicts)
    policy = DiffusersDenoiser(pipeline.unet.eval(), scheduler)
    text = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(0)
    clean, eps = torch.randn(2, 3, 4, 8, 8, generator=generator)
    steps = torch.tensor([10, 400, 900])
    t = path_times(scheduler)[steps]
    with torch.no_grad():
        v = policy(noised(clean, eps, t), t, {"encoder_hidden_states": text})
        state = scheduler.add_noise(clean, eps, steps)
        said = pipeline.unet(state, steps, text, return_dict=False)[0]
    if predicts == "v_prediction":
        signal = scheduler.alphas_cumprod[steps].sqrt().reshape(-1, 1, 1, 1)
        said = signal * said + (1 - signal**2).sqrt() * state
    error, theirs = (v - (eps - clean)).square().mean((1, 2, 3)), (said - eps).square().mean((1, 2, 3))
    assert torch.allclose(error * (1 - t) ** 2, theirs, rtol=1e-3)


def test_the_training_step_of_a_noise_level_lies_between_whole_numbers() -> None:
    pipeline = tiny_pipeline("sd15")
    policy = DiffusersDenoiser(pipeline.unet, pipeline.scheduler)
    grid = path_times(pipeline.scheduler)
    assert policy.longest == pytest.approx(0.93596, abs=1e-5)
    assert torch.allclose(policy.training_step(grid[[0, 7, 999]]), torch.tensor([0.0, 7.0, 999.0]), atol=1e-2)
    assert policy.training_step((grid[7:8] + grid[8:9]) / 2).item() == pytest.approx(7.5, abs=1e-2)
    assert policy.training_step(torch.tensor([0.0, 1.0])).tolist() == [0.0, 999.0]


def test_a_denoiser_estimates_the_same_clean_sample_beyond_its_last_step() -> None:
    """At t = 1 the state is pure noise of deviation 1, as pipelines give it to the model at its last training step."""
    parts = TextToImage(tiny_pipeline("sd15"))
    policy, told, x = parts.policy(), parts.encode(PROMPTS), noise(parts)
    with torch.no_grad():
        said = parts.model(x, torch.tensor([999.0, 999.0]), told["encoder_hidden_states"], return_dict=False)[0]
    product = parts.pipeline.scheduler.alphas_cumprod[-1]
    theirs = (x - (1 - product).sqrt() * said) / product.sqrt()
    one = torch.ones(2)
    with torch.no_grad():
        ours = clean_estimate(x, policy(x, one, told), one)
    assert torch.allclose(ours, theirs, atol=1e-3)
