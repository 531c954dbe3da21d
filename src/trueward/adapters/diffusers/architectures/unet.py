"""UNets of Stable Diffusion 1 and 2, which predict noise."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trueward.adapters.diffusers.architectures.base import Architecture


def _call(model: Any, x: Tensor, t: Tensor, condition: Mapping[str, Tensor], guidance: float) -> Tensor:
    predicted: Tensor = model(x, t, **condition, return_dict=False)[0]
    return predicted


def _encode(pipeline: Any, prompts: Sequence[str], length: int | None) -> dict[str, Tensor]:
    text, _ = pipeline.encode_prompt(list(prompts), pipeline._execution_device, 1, False)
    return {"encoder_hidden_states": text}


def path_times(scheduler: Any) -> Tensor:
    """t of each training step of a diffusion: s / (α + s), where its state is α x₀ + s ε.

    Divided by α + s the state is (1 − t) x₀ + t ε, on the straight path.
    """
    signal = scheduler.alphas_cumprod.float().sqrt()
    noise = (1 - scheduler.alphas_cumprod.float()).sqrt()
    times: Tensor = noise / (signal + noise)
    return times


def denoising_times(scheduler: Any, steps: int) -> Tensor:
    """T + 1 times: where a scheduler of diffusions steps, from pure noise to clean."""
    scheduler = copy.deepcopy(scheduler)
    scheduler.set_timesteps(steps)
    inner = path_times(scheduler)[scheduler.timesteps.long().cpu()]
    return torch.cat([torch.ones(1), inner[1:], torch.zeros(1)])


UNET = Architecture(_call, _encode, denoiser=True)
