"""FLUX.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trueward.adapters.diffusers.architectures.base import Architecture, packed, unpacked


def _call(model: Any, x: Tensor, t: Tensor, condition: Mapping[str, Tensor], guidance: float) -> Tensor:
    n, _, height, width = x.shape
    text = condition["encoder_hidden_states"]
    # The model multiplies noise levels by 1000 itself.
    tokens: Tensor = model(
        hidden_states=packed(x),
        timestep=t.to(x.dtype),
        guidance=torch.full((n,), guidance, device=x.device) if model.config.guidance_embeds else None,
        img_ids=_places(height // 2, width // 2, x),
        txt_ids=text.new_zeros(text.shape[1], 3),
        **condition,
        return_dict=False,
    )[0]
    return unpacked(tokens, height, width)


def _places(rows: int, columns: int, like: Tensor) -> Tensor:
    """Row and column of each token."""
    places = torch.zeros(rows, columns, 3)
    places[..., 1] += torch.arange(rows)[:, None]
    places[..., 2] += torch.arange(columns)[None, :]
    return places.reshape(-1, 3).to(like.device)


def _encode(pipeline: Any, prompts: Sequence[str], length: int | None) -> dict[str, Tensor]:
    more = {} if length is None else {"max_sequence_length": length}
    text, pooled, _ = pipeline.encode_prompt(list(prompts), **more)
    return {"encoder_hidden_states": text, "pooled_projections": pooled}


FLUX = Architecture(_call, _encode, multiple=2, even=True)
