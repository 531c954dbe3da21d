"""A text-to-image pipeline of diffusers, taken apart into what losses, samplers and rewards take."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trueward.adapters.diffusers.architectures import architecture_of
from trueward.adapters.diffusers.architectures.base import flow_shift, flow_times, joined
from trueward.adapters.diffusers.architectures.unet import denoising_times
from trueward.adapters.diffusers.denoiser import DiffusersDenoiser
from trueward.adapters.diffusers.flow import DiffusersFlow
from trueward.adapters.diffusers.latents import decode_latents, encode_images
from trueward.adapters.diffusers.policy import DiffusersPolicy
from trueward.errors import TrainingError
from trueward.policies.flow.base import Condition, condition_length
from trueward.policies.flow.guidance import ClassifierFree
from trueward.training.flow.pool import Pool
from trueward.training.flow.pool_file import read_pool

_AT_HAND = 256


class TextToImage:
    """Policy, prompts, latents, images and noise levels of a pipeline.

    Args:
        pipeline: of a model that is among `architectures`.
        height, width: of the images, in pixels; by default what the model was made for.
        length: most tokens of a prompt, where the pipeline has a choice.
        rows: prompts and images that go through encoders and decoder at once.

    Attributes:
        shape: of the latents of one image.

    Raises:
        TrainingError: the model is of no known architecture, or the size is no multiple of what it needs.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        height: int | None = None,
        width: int | None = None,
        length: int | None = None,
        rows: int = 8,
    ) -> None:
        self.pipeline, self.length, self.rows = pipeline, length, rows
        self.model = getattr(pipeline, "transformer", None) or pipeline.unet
        self.architecture = architecture_of(self.model)
        factor = int(pipeline.vae_scale_factor)
        side = int(getattr(pipeline, "default_sample_size", None) or self.model.config.sample_size) * factor
        self.height, self.width = height or side, width or side
        multiple = factor * self.architecture.multiple
        if self.height % multiple or self.width % multiple:
            raise TrainingError(f"images of {self.height} × {self.width} pixels: both must be multiples of {multiple}")
        channels = int(self.pipeline.vae.config.get("latent_channels") or self.pipeline.vae.config["z_dim"])
        self.shape = (channels, self.height // factor, self.width // factor)
        for part in [*self._encoders(), pipeline.vae]:
            part.requires_grad_(False)

    @classmethod
    def load(
        cls,
        name: str,
        *,
        device: str | torch.device | None = None,
        height: int | None = None,
        width: int | None = None,
        length: int | None = None,
        rows: int = 8,
        **settings: Any,
    ) -> TextToImage:
        """A public pipeline.

        Args:
            name: of a repository, or a folder.
            device: by default a GPU where there is one.
            height, width, length, rows: see the class.
            settings: of `DiffusionPipeline.from_pretrained`, such as `torch_dtype`.
        """
        from diffusers import DiffusionPipeline

        loader: Any = DiffusionPipeline
        pipeline = loader.from_pretrained(name, **settings)
        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return cls(pipeline.to(chosen), height=height, width=width, length=length, rows=rows)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.model.device
        return device

    def policy(
        self,
        *,
        guidance: float = 3.5,
        autocast: torch.dtype | None = None,
        checkpointing: bool = False,
        rows: int | None = None,
    ) -> DiffusersPolicy:
        """The model as a flow policy, in evaluation mode: there is no dropout to train with.

        Args:
            guidance: told to guidance-distilled models only.
            autocast, checkpointing, rows: see `DiffusersPolicy`.
        """
        self.model.eval()
        if self.architecture.denoiser:
            return DiffusersDenoiser(
                self.model, self.pipeline.scheduler, autocast=autocast, checkpointing=checkpointing, rows=rows
            )
        return DiffusersFlow(self.model, guidance=guidance, autocast=autocast, checkpointing=checkpointing, rows=rows)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str], *, device: str | torch.device | None = None) -> dict[str, Tensor]:
        """The condition of prompts.

        Args:
            prompts: texts.
            device: where they are kept; by default that of the model, and the CPU where there are more than 256: a
                prompt of three encoders takes megabytes, and the policy fetches what it needs.

        Raises:
            TrainingError: no prompts, or the encoders are gone.
        """
        if not prompts:
            raise TrainingError("no prompts to encode: at least one is needed")
        if not self._encoders():
            raise TrainingError("the text encoders were released: encode all prompts, and the empty one, before that")
        kept = device or (self.device if len(prompts) <= _AT_HAND else "cpu")
        batches = [
            self.architecture.encode(self.pipeline, prompts[start : start + self.rows], self.length)
            for start in range(0, len(prompts), self.rows)
        ]
        return joined([{name: value.to(kept) for name, value in batch.items()} for batch in batches])

    def empty(self, prompt: str = "") -> Callable[[Condition], Condition]:
        """From a condition to one of as many rows that says nothing, for `ClassifierFree`.

        Args:
            prompt: what nothing is said with; or a negative prompt.
        """
        one = self.encode([prompt])

        def null(condition: Condition) -> Condition:
            if isinstance(condition, Tensor):
                raise TypeError("the condition is a tensor; a mapping is expected, as TextToImage.encode gives")
            rows = condition_length(condition)
            return {
                name: _as_long(one[name], value).to(value.device).expand(rows, *value.shape[1:])
                for name, value in condition.items()
            }

        return null

    def guided(self, policy: DiffusersPolicy, scale: float, prompt: str = "") -> ClassifierFree:
        """A policy with classifier-free guidance, as the pipeline samples with `guidance_scale`."""
        return ClassifierFree(policy, scale, self.empty(prompt))

    def release_encoders(self) -> None:
        """Forget the text encoders: once all prompts are encoded their memory is wanted elsewhere."""
        for name in list(self.pipeline.components):
            if name.startswith("text_encoder"):
                setattr(self.pipeline, name, None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def latents(self, images: Any, *, generator: torch.Generator | None = None) -> Float[Tensor, "n c h w"]:
        """Latents of images.

        Args:
            images: of any size, as Pillow images, or as a tensor or array [N, 3, H, W] in [0, 1].
            generator: see `encode_images`.
        """
        pixels = self.pipeline.image_processor.preprocess(images, self.height, self.width)
        return encode_images(self.pipeline.vae, pixels, generator=generator, rows=self.rows)

    def decode(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 3 h w"]:
        """Images of latents, about in [−1, 1]."""
        return decode_latents(self.pipeline.vae, latents, rows=self.rows)

    def read_pool(self, path: str | Path, *, low: float | None = None, high: float | None = None) -> Pool:
        """Scored images in a file, as latents; see `trueward.training.flow.pool_file.read_pool`.

        Args:
            path: of the file, one image per line with `prompt`, `image` and `score`.
            low, high: range of the score; None for that of the file.
        """
        return read_pool(
            path,
            condition=self.encode,
            encode=lambda pixels: encode_images(self.pipeline.vae, pixels, rows=self.rows),
            size=(self.height, self.width),
            batch=self.rows,
            low=low,
            high=high,
        )

    def times(self, steps: int) -> Float[Tensor, " T1"]:
        """Noise levels of sampling, from 1 to 0, as the pipeline's scheduler has them."""
        scheduler = self.pipeline.scheduler
        if self.architecture.denoiser:
            return denoising_times(scheduler, steps)
        return flow_times(scheduler, steps, self._tokens, even=self.architecture.even)

    @property
    def shift(self) -> float:
        """Shift of the pipeline's noise levels, as settings of updates take it; 1 for models of noise."""
        return 1.0 if self.architecture.denoiser else flow_shift(self.pipeline.scheduler, self._tokens)

    @property
    def _tokens(self) -> int:
        side = self.architecture.multiple
        return (self.shape[1] // side) * (self.shape[2] // side)

    def _encoders(self) -> list[Any]:
        found = self.pipeline.components.items()
        return [part for name, part in found if name.startswith("text_encoder") and part is not None]


def _as_long(value: Tensor, like: Tensor) -> Tensor:
    """A sequence of another length: cut, or filled up with zeros, which a mask leaves out."""
    if value.ndim < 2 or value.shape[1] >= like.shape[1]:
        return value[:, : like.shape[1]] if value.ndim > 1 else value
    return torch.cat([value, value.new_zeros(len(value), like.shape[1] - value.shape[1], *value.shape[2:])], dim=1)
