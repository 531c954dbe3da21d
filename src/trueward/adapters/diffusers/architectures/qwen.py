"""Qwen-Image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trueward.adapters.diffusers.architectures.base import Architecture, packed, unpacked


def _call(model: Any, x: Tensor, t: Tensor, condition: Mapping[str, Tensor], guidance: float) -> Tensor:
    n, _, height, width = x.shape
    # The model multiplies noise levels by 1000 itself.
    tokens: Tensor = model(
        hidden_states=packed(x),
        timestep=t.to(x.dtype),
        guidance=torch.full((n,), guidance, device=x.device) if model.config.guidance_embeds else None,
        img_shapes=[[(1, height // 2, width // 2)]] * n,
        **condition,
        return_dict=False,
    )[0]
    return unpacked(tokens, height, width)


def _encode(pipeline: Any, prompts: Sequence[str], length: int | None) -> dict[str, Tensor]:
    more = {} if length is None else {"max_sequence_length": length}
    text, mask = pipeline.encode_prompt(list(prompts), **more)
    # The pipeline leaves the mask out where all prompts of a batch have the same length; other batches may not.
    every = torch.ones(text.shape[:2], dtype=torch.long, device=text.device) if mask is None else mask
    return {"encoder_hidden_states": text, "encoder_hidden_states_mask": every}


QWEN = Architecture(_call, _encode, multiple=2, even=True)
