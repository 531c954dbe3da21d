"""Stable Diffusion 3 and 3.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from trueward.adapters.diffusers.architectures.base import Architecture


def _call(model: Any, x: Tensor, t: Tensor, condition: Mapping[str, Tensor], guidance: float) -> Tensor:
    velocity: Tensor = model(hidden_states=x, timestep=t * 1000, **condition, return_dict=False)[0]
    return velocity


def _encode(pipeline: Any, prompts: Sequence[str], length: int | None) -> dict[str, Tensor]:
    told = list(prompts)
    more = {} if length is None else {"max_sequence_length": length}
    text, _, pooled, _ = pipeline.encode_prompt(told, None, None, do_classifier_free_guidance=False, **more)
    return {"encoder_hidden_states": text, "pooled_projections": pooled}


SD3 = Architecture(_call, _encode, multiple=2)
