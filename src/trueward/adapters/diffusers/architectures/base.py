"""What differs between the models of diffusers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Call = Callable[[Any, Tensor, Tensor, Mapping[str, Tensor], float], Tensor]
"""(model, x [N, C, H, W], t [N] in [0, 1], condition, guidance) → what the model predicts, [N, C, H, W]."""

Encode = Callable[[Any, Sequence[str], int | None], dict[str, Tensor]]
"""(pipeline, prompts, most tokens or None for the pipeline's own) → condition; keys are arguments of the model."""


@dataclass(frozen=True)
class Architecture:
    """How one kind of model is asked.

    Attributes:
        call: one pass.
        encode: prompts to a condition.
        multiple: height and width of a token in latents; theirs are multiples of it.
        even: True where the pipeline gives equally spaced times to its scheduler, False where it leaves them to it.
        denoiser: True for models of noise, False for those of velocity.
    """

    call: Call
    encode: Encode
    multiple: int = 1
    even: bool = False
    denoiser: bool = False


def packed(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n l d"]:
    """Squares of 2 × 2 as one token each."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(n, (h // 2) * (w // 2), 4 * c)


def unpacked(tokens: Float[Tensor, "n l d"], height: int, width: int) -> Float[Tensor, "n c h w"]:
    """The reverse of `packed`."""
    n, _, d = tokens.shape
    x = tokens.reshape(n, height // 2, width // 2, d // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(n, d // 4, height, width)


def flow_times(scheduler: Any, steps: int, tokens: int, *, even: bool) -> Tensor:
    """T + 1 times of a flow-matching scheduler, those that its pipeline samples with.

    Args:
        scheduler: left as it is.
        steps: T.
        tokens: of an image, which some schedulers shift by.
        even: see `Architecture`.
    """
    scheduler = copy.deepcopy(scheduler)
    settings: dict[str, Any] = (
        {"sigmas": np.linspace(1.0, 1 / steps, steps)} if even else {"num_inference_steps": steps}
    )
    if scheduler.config.get("use_dynamic_shifting"):
        settings["mu"] = _shift_by_size(scheduler.config, tokens)
    scheduler.set_timesteps(**settings)
    times: Tensor = scheduler.sigmas.float()
    return times


def flow_shift(scheduler: Any, tokens: int) -> float:
    """The shift of a flow-matching scheduler, as `time_grid` takes it."""
    if scheduler.config.get("use_dynamic_shifting"):
        size = _shift_by_size(scheduler.config, tokens)
        return math.exp(size) if scheduler.config.get("time_shift_type", "exponential") == "exponential" else size
    return float(scheduler.config.get("shift", 1.0))


def _shift_by_size(config: Mapping[str, Any], tokens: int) -> float:
    """Straight line through (base_image_seq_len, base_shift) and (max_image_seq_len, max_shift)."""
    small, large = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return float(low + (high - low) * (tokens - small) / (large - small))


def joined(batches: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Conditions one after the other; sequences that are shorter than the longest are filled up with zeros."""
    return {name: torch.cat(_level([batch[name] for batch in batches])) for name in batches[0]}


def _level(values: Sequence[Tensor]) -> list[Tensor]:
    longest = max(value.shape[1] for value in values)
    return [
        torch.cat([value, value.new_zeros(len(value), longest - value.shape[1], *value.shape[2:])], dim=1)
        if value.shape[1] < longest
        else value
        for value in values
    ]
