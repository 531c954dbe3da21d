"""Images to latents and back, in the scale in which a model was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def encode_images(
    vae: Any, images: Float[Tensor, "n 3 h w"], *, generator: torch.Generator | None = None, rows: int = 8
) -> Float[Tensor, "n c h2 w2"]:
    """Latents of images, in single precision: (what the encoder says − shift) · scale.

    Args:
        vae: autoencoder of a pipeline.
        images: in [−1, 1].
        generator: draws from the encoder's distribution; None takes its mode.
        rows: images at once.
    """
    shift, scale = _normalisation(vae)
    batches = []
    for batch in torch.split(images, rows):
        distribution = vae.encode(_as_video(vae, batch.to(vae.device, vae.dtype))).latent_dist
        raw = distribution.mode() if generator is None else distribution.sample(generator)
        batches.append((_as_image(vae, raw).float() - shift) * scale)
    return torch.cat(batches)


@torch.no_grad()
def decode_latents(vae: Any, latents: Float[Tensor, "n c h2 w2"], *, rows: int = 8) -> Float[Tensor, "n 3 h w"]:
    """Images of latents, about in [−1, 1]: nothing is clamped. See `encode_images`."""
    shift, scale = _normalisation(vae)
    batches: Sequence[Tensor] = [
        _as_image(vae, vae.decode(_as_video(vae, (batch / scale + shift).to(vae.dtype)), return_dict=False)[0]).float()
        for batch in torch.split(latents.to(vae.device), rows)
    ]
    return torch.cat(list(batches))


def _normalisation(vae: Any) -> tuple[Tensor, Tensor]:
    """Shift and scale, one for all channels or one for each."""
    config = vae.config
    if config.get("latents_mean") is not None:
        shift = torch.tensor(config["latents_mean"], device=vae.device)
        scale = 1 / torch.tensor(config["latents_std"], device=vae.device)
        return shift.reshape(1, -1, 1, 1), scale.reshape(1, -1, 1, 1)
    shift = torch.tensor(float(config.get("shift_factor") or 0.0), device=vae.device)
    return shift, torch.tensor(float(config["scaling_factor"]), device=vae.device)


def _is_of_videos(vae: Any) -> bool:
    return "z_dim" in vae.config


def _as_video(vae: Any, images: Tensor) -> Tensor:
    return images.unsqueeze(2) if _is_of_videos(vae) else images


def _as_image(vae: Any, frames: Tensor) -> Tensor:
    return frames[:, :, 0] if _is_of_videos(vae) else frames
