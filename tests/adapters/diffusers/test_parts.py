"""A pipeline taken apart: prompts, latents, images, sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trueward.adapters.diffusers import TextToImage, decode_latents, encode_images, tiny_pipeline
from trueward.adapters.diffusers.architectures.base import joined
from trueward.errors import TrainingError
from trueward.policies.flow.kernels import time_grid

torch.set_num_threads(1)


def parts_of(kind: Any = "sd3", **options: Any) -> TextToImage:
    return TextToImage(tiny_pipeline(kind), height=16, width=16, length=16, **options)


@pytest.mark.parametrize("kind", ["sd3", "flux", "sd15"])
def test_prompts_are_encoded_alike_in_any_batch(kind: Any) -> None:
    prompts = ["a cat", "two cats", "", "a sign that says NO"]
    one, many = parts_of(kind, rows=1).encode(prompts), parts_of(kind, rows=8).encode(prompts)
    assert all(torch.allclose(one[name], many[name], atol=1e-5) and len(one[name]) == 4 for name in many)
    assert not torch.allclose(one["encoder_hidden_states"][0], one["encoder_hidden_states"][1])


@pytest.mark.parametrize("kind", ["sd3", "flux", "sd15"])
def test_latents_are_decoded_as_the_pipeline_decodes_them(kind: Any) -> None:
    parts = parts_of(kind)
    latents = torch.randn(3, *parts.shape, generator=torch.Generator().manual_seed(0))
    ours = parts.decode(latents)
    vae = parts.pipeline.vae
    with torch.no_grad():
        raw = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        theirs = vae.decode(raw, return_dict=False)[0]
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.allclose(decode_latents(vae, latents, rows=2), ours, atol=1e-5)


def test_the_pipelines_images_are_ours() -> None:
    parts = parts_of()
    latents = torch.randn(2, *parts.shape, generator=torch.Generator().manual_seed(0))
    told = {"height": 16, "width": 16, "num_inference_steps": 2, "guidance_scale": 1.0, "latents": latents}
    made = parts.pipeline(["a", "b"], output_type="latent", **told).images
    images = parts.pipeline(["a", "b"], output_type="pt", **told).images
    assert torch.allclose(((parts.decode(made) + 1) / 2).clamp(0, 1), images, atol=1e-5)


def test_images_are_encoded_to_the_scale_of_the_model() -> None:
    parts = parts_of()
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours = parts.latents(images)
    vae = parts.pipeline.vae
    with torch.no_grad():
        raw = vae.encode(2 * images - 1).latent_dist.mode()
    assert torch.allclose(ours, (raw - 0.0609) * 1.5305, atol=1e-5)
    drawn = encode_images(vae, 2 * images - 1, generator=torch.Generator().manual_seed(0), rows=2)
    assert drawn.shape == ours.shape and not torch.allclose(drawn, ours, atol=1e-3)


def test_images_of_any_size_are_brought_to_that_of_the_model() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    assert parts_of().latents([picture, picture]).shape == (2, 4, 8, 8)


class Video(torch.nn.Module):
    """An autoencoder of videos with statistics per channel, as Qwen-Image has: halves, doubles, and knows frames."""

    config: Any = {"latents_mean": [1.0, 2.0], "latents_std": [2.0, 4.0], "z_dim": 2}  # noqa: RUF012
    device, dtype = torch.device("cpu"), torch.float32

    def encode(self, video: torch.Tensor) -> Any:
        assert video.ndim == 5 and video.shape[2] == 1
        raw = video[:, :2] * 2

        class Given:
            latent_dist = type("D", (), {"mode": lambda self: raw})()

        return Given

    def decode(self, latents: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
        assert latents.ndim == 5 and latents.shape[2] == 1
        return (latents / 2,)


def test_autoencoders_of_videos_have_one_frame_and_statistics_per_channel() -> None:
    images = torch.ones(1, 2, 4, 4)
    latents = encode_images(Video(), images)
    # (2 − 1) / 2 and (2 − 2) / 4.
    assert latents.shape == (1, 2, 4, 4) and latents[0, :, 0, 0].tolist() == [0.5, 0.0]
    assert torch.equal(decode_latents(Video(), latents), images)


def test_nothing_is_said_by_the_empty_prompt() -> None:
    parts = parts_of()
    null = parts.empty()
    condition = parts.encode(["a cat", "two cats"])
    nothing = null(condition)
    wanted = parts.encode(["", ""])
    assert all(torch.allclose(nothing[name], wanted[name], atol=1e-6) for name in wanted)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="a mapping is expected"):
        null(torch.zeros(2))


def test_sequences_of_different_lengths_are_filled_up() -> None:
    short, long = torch.ones(1, 2, 3), torch.ones(2, 4, 3)
    both = joined([{"text": short, "mask": torch.ones(1, 2)}, {"text": long, "mask": torch.ones(2, 4)}])
    assert both["text"].shape == (3, 4, 3) and both["text"][0, 2:].abs().sum() == 0
    assert both["mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_many_prompts_are_kept_on_the_cpu_and_few_where_they_are_wanted() -> None:
    """There is no other device here, so that of the model is asked for by name."""
    parts = parts_of(rows=512)
    assert parts.encode(["a"] * 3, device="meta")["encoder_hidden_states"].device.type == "meta"
    assert parts.encode(["a"] * 300)["encoder_hidden_states"].device.type == "cpu"


def test_the_shift_is_the_one_that_updates_take() -> None:
    flux, sd3 = parts_of("flux"), parts_of("sd3")
    assert torch.allclose(flux.times(5), time_grid(5, flux.shift), atol=1e-6) and flux.shift > 1.2
    # The scheduler spends its last step on what lies below its smallest training time.
    assert sd3.shift == 3.0 and torch.allclose(sd3.times(5)[:-1], time_grid(4, 3.0), atol=0.01)
    assert parts_of("sd15").shift == 1.0


def test_released_encoders_are_gone() -> None:
    parts = parts_of()
    assert parts.encode(["a"])
    parts.release_encoders()
    assert parts.pipeline.text_encoder is None and parts.pipeline.text_encoder_2 is None
    with pytest.raises(TrainingError, match="released"):
        parts.encode(["a"])


def test_a_pipeline_in_a_folder_is_loaded(tmp_path: Any) -> None:
    tiny_pipeline("sd3").save_pretrained(tmp_path)
    without = {"text_encoder_3": None, "tokenizer_3": None}
    loaded = TextToImage.load(str(tmp_path), device="cpu", length=16, torch_dtype=torch.bfloat16, **without)
    x, t = torch.randn(2, *loaded.shape, generator=torch.Generator().manual_seed(0)), torch.tensor([0.9, 0.2])
    assert loaded.model.dtype == torch.bfloat16 and loaded.height == 16
    parts = parts_of()
    ours, theirs = (one.policy()(x, t, one.encode(["a", "b"])).detach() for one in (loaded, parts))
    assert torch.allclose(ours, theirs, atol=0.1) and not torch.equal(ours, theirs)


def test_sizes_and_prompts_that_cannot_be_are_refused() -> None:
    with pytest.raises(TrainingError, match="multiples of 4"):
        TextToImage(tiny_pipeline("sd3"), height=18)
    with pytest.raises(TrainingError, match="no prompts"):
        parts_of().encode([])
    assert TextToImage(tiny_pipeline("sd15")).shape == (4, 8, 8)
