"""Counts out of coin flips: the mean of n flips has a square of 1/n on average."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.rewards.intrinsic.distillation import AVERAGED
from trueward.rewards.intrinsic.predictor import Network, PredictorSettings, frozen, of_unit_size
from trueward.rewards.intrinsic.regression import RegressionNovelty


class CoinFlip(RegressionNovelty):
    """b(s) = ‖f(s)‖² / d for a predictor of d fresh coin flips c ∈ {−1, 1}^d at every visit.

    The best predictor of n flips is their mean, so E b(s) = 1/n. A frozen random network of length √d is added to the
    predictor, so that a state that was never visited is worth about 1 rather than 0. The source keeps all visits in a
    buffer and pays √b.

    Reference: Lobel, Bagaria, Konidaris 2023, "Flipping coins to estimate pseudocounts for exploration in
    reinforcement learning", ICML.
    """

    def __init__(
        self,
        shape: int | tuple[int, ...],
        settings: PredictorSettings | None = None,
        *,
        seed: int = 0,
        network: Network | None = None,
    ) -> None:
        super().__init__(shape, settings or AVERAGED, seed=seed, network=network)
        self.prior = frozen(self._built(1))

    @property
    def name(self) -> str:
        """For logs."""
        return "coin flip"

    def _prior(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n d"]:
        return of_unit_size(self.prior(inputs))

    def _targets(self, inputs: Float[Tensor, "n ..."], generator: np.random.Generator) -> Float[Tensor, "n d"]:
        """What is left of the flips for the predictor beside the frozen network."""
        flips = generator.integers(0, 2, (len(inputs), self.settings.outputs), dtype=np.int8)
        return torch.from_numpy(flips * 2.0 - 1.0).float() - self._prior(inputs)

    def _bonus(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        return (self.predictor(inputs) + self._prior(inputs)).square().mean(dim=-1)

    def modules(self) -> Mapping[str, nn.Module]:
        """Predictor and the frozen network."""
        return {**super().modules(), "prior": self.prior}
