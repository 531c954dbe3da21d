"""Flow transformers of diffusers as flow policies."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trueward.adapters.diffusers.architectures import Call, architecture_of
from trueward.adapters.diffusers.policy import DiffusersPolicy


class DiffusersFlow(DiffusersPolicy):
    """A rectified-flow transformer of diffusers (SD3, FLUX, Qwen-Image) as a flow policy.

    Samples are latents as the autoencoder makes them, [N, C, H, W]; models that want them packed get them packed. The
    condition is a mapping whose keys are the model's own argument names (`encoder_hidden_states`, …), as
    `TextToImage.encode` gives it. Noise levels are in [0, 1]; where the model counts in thousandths that is done here.

    Args:
        model: the transformer.
        guidance: scale that guidance-distilled models (FLUX.1-dev) are told; others have none.
        call: how the model is called, for one that is not among `architectures`.
        autocast, checkpointing, rows: see `DiffusersPolicy`.

    Raises:
        TrainingError: the model is of no known architecture and there is no `call`.

    Reference: Esser et al. 2024 (SD3); Labs 2024 (FLUX.1); Wu et al. 2025 (Qwen-Image).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        guidance: float = 3.5,
        call: Call | None = None,
        autocast: torch.dtype | None = None,
        checkpointing: bool = False,
        rows: int | None = None,
    ) -> None:
        super().__init__(model, autocast=autocast, checkpointing=checkpointing, rows=rows)
        self.call = call or architecture_of(model).call
        self.guidance = guidance

    def velocity(self, x: Tensor, t: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """v_θ(x, t, condition)."""
        return self.call(self.model, x.to(self.precision), t, condition, self.guidance)
