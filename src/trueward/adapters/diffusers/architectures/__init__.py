"""How models of diffusers are told prompts, noise levels and latents.

One file per architecture, one record in each: `sd3`, `flux`, `qwen`, `unet`. A model that is none of them needs a
record of its own, or only `call=` of `DiffusersFlow`.
"""

from __future__ import annotations

from trueward.adapters.diffusers.architectures.base import Architecture, Call
from trueward.adapters.diffusers.architectures.flux import FLUX
from trueward.adapters.diffusers.architectures.qwen import QWEN
from trueward.adapters.diffusers.architectures.sd3 import SD3
from trueward.adapters.diffusers.architectures.unet import UNET
from trueward.errors import TrainingError

ARCHITECTURES = {
    "SD3Transformer2DModel": SD3,
    "FluxTransformer2DModel": FLUX,
    "QwenImageTransformer2DModel": QWEN,
    "UNet2DConditionModel": UNET,
}

__all__ = ["ARCHITECTURES", "Architecture", "Call", "architecture_of"]


def architecture_of(model: object) -> Architecture:
    """The record for a model.

    Raises:
        TrainingError: there is none.
    """
    for kind in type(model).__mro__:
        if kind.__name__ in ARCHITECTURES:
            return ARCHITECTURES[kind.__name__]
    raise TrainingError(
        f"{type(model).__name__} is not among the models that are known ({', '.join(ARCHITECTURES)}): give "
        "DiffusersFlow a call=(model, x, t, condition, guidance) → v"
    )
