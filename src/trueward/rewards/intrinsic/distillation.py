"""Bonuses out of distilling something random: a network, several networks, or a distribution.

A predictor f learns what a frozen network says, and is paid where it does not know it yet. What it must learn decides
what the bonus means: one network is known as soon as f has fitted it (RND), a mean of noisy draws is known only after
many visits, as the error of an average of n draws falls like 1/n (RDD).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.errors import RewardError
from trueward.rewards.intrinsic.predictor import Network, PredictorSettings, frozen, noise, of_unit_size
from trueward.rewards.intrinsic.regression import RegressionNovelty

Mean = Literal["net", "unit", "const"]
_LEAST_VARIANCE = 1e-6  # of targets that all say the same


class RandomNetworkDistillation(RegressionNovelty):
    """RND: b(s) = ‖f(s) − μ(s)‖² / d for a frozen random network μ that f is trained to predict.

    Reference: Burda et al. 2018, "Exploration by random network distillation", arXiv 1810.12894.
    """

    def __init__(
        self,
        shape: int | tuple[int, ...],
        settings: PredictorSettings | None = None,
        *,
        seed: int = 0,
        network: Network | None = None,
    ) -> None:
        super().__init__(shape, settings or PredictorSettings(), seed=seed, network=network)
        self.target = frozen(self._built(1))

    @property
    def name(self) -> str:
        """For logs."""
        return "RND"

    def _targets(self, inputs: Float[Tensor, "n ..."], generator: np.random.Generator) -> Float[Tensor, "n d"]:
        output: Tensor = self.target(inputs)
        return output

    def _bonus(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        distance: Tensor = (self.predictor(inputs) - self.target(inputs)).square().mean(dim=-1)
        return distance

    def modules(self) -> Mapping[str, nn.Module]:
        """Predictor and target."""
        return {**super().modules(), "target": self.target}


class DistributionalRND(RegressionNovelty):
    """DRND: every visit learns one of N frozen networks, and the bonus joins a distance and an estimate of 1/n.

        b(s) = α ‖f − μ‖² / d + (1 − α) / d · Σ √clip(|f² − μ²| / (B − μ²), 1e-6, 1)

    with μ and B the mean of the N outputs and of their squares, entry by entry. Where all networks say the same the
    variance B − μ² counts as 1e-6.

    Reference: Yang et al. 2024, "Exploration and anti-exploration with distributional random network distillation",
    arXiv 2401.09750, section 4.
    """

    def __init__(
        self,
        shape: int | tuple[int, ...],
        settings: PredictorSettings | None = None,
        *,
        targets: int = 10,
        alpha: float = 0.9,
        seed: int = 0,
        network: Network | None = None,
    ) -> None:
        """N networks to learn from.

        Args:
            shape, settings, seed, network: see `RegressionNovelty`.
            targets: N, at least 2.
            alpha: α in [0, 1].

        Raises:
            RewardError: fewer networks, or another α.
        """
        if targets < 2 or not 0.0 <= alpha <= 1.0:
            raise RewardError(f"DistributionalRND(targets={targets}, alpha={alpha}): 2 or more, and one in [0, 1]")
        super().__init__(shape, settings or PredictorSettings(), seed=seed, network=network)
        self.alpha = alpha
        self.targets = nn.ModuleList([frozen(self._built(1 + place)) for place in range(targets)])

    @property
    def name(self) -> str:
        """For logs."""
        return "DRND"

    def _targets(self, inputs: Float[Tensor, "n ..."], generator: np.random.Generator) -> Float[Tensor, "n d"]:
        chosen = torch.from_numpy(generator.integers(0, len(self.targets), len(inputs)))
        outputs = torch.stack([target(inputs) for target in self.targets])
        return outputs[chosen, torch.arange(len(inputs))]

    def _bonus(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        predicted = self.predictor(inputs)
        outputs = torch.stack([target(inputs) for target in self.targets])
        mean, squares = outputs.mean(dim=0), outputs.square().mean(dim=0)
        variance = (squares - mean.square()).clamp_min(_LEAST_VARIANCE)
        distance = (predicted - mean).square().mean(dim=-1)
        share = ((predicted.square() - mean.square()).abs() / variance).clamp(1e-6, 1.0).sqrt().mean(dim=-1)
        return self.alpha * distance + (1.0 - self.alpha) * share

    def modules(self) -> Mapping[str, nn.Module]:
        """Predictor and targets."""
        return {**super().modules(), "targets": self.targets}


class RandomDistributionDistillation(RegressionNovelty):
    """RDD: every visit draws c ~ N(μ(s), σ²I) once, f learns the draws, and b(s) = ‖f(s) − μ(s)‖² / d.

    A predictor that fits all draws is their mean, and E b(s) = σ²/n after n visits. The bonus is measured from μ and
    never from a draw, which would leave σ² for ever. With σ = 0 this is RND.

    Three kinds of mean: "net" is the frozen network of RND, whose size differs from state to state; "unit" is the same
    scaled to length √d, so that every state begins at 1 with a predictor that says 0; "const" is 1 everywhere, which f
    learns for all states at once.

    Reference: Fang et al. 2025, "Exploration by random distribution distillation", arXiv 2505.11044, section 4.
    """

    def __init__(
        self,
        shape: int | tuple[int, ...],
        settings: PredictorSettings | None = None,
        *,
        sigma: float = 1.0,
        mean: Mean = "unit",
        redraw: bool = False,
        seed: int = 0,
        network: Network | None = None,
    ) -> None:
        """A distribution to learn.

        Args:
            shape, seed, network: see `RegressionNovelty`.
            settings: None for `AVERAGED`.
            sigma: σ, at least 0.
            mean: which μ.
            redraw: draw anew at each gradient step instead of once for each visit; to see what that does.

        Raises:
            RewardError: a negative σ or an unknown mean.
        """
        if not sigma >= 0.0 or mean not in ("net", "unit", "const"):
            raise RewardError(
                f"RandomDistributionDistillation(sigma={sigma!r}, mean={mean!r}): σ ≥ 0 and 'net', 'unit' or 'const'"
            )
        super().__init__(shape, settings or AVERAGED, seed=seed, network=network, redraw=redraw)
        self.sigma, self.mean = sigma, mean
        self.target = frozen(self._built(1))

    @property
    def name(self) -> str:
        """For logs."""
        return "RDD"

    def _centre(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n d"]:
        """μ(s)."""
        if self.mean == "const":
            return torch.ones(len(inputs), self.settings.outputs)
        output: Tensor = self.target(inputs)
        if self.mean == "net":
            return output
        return of_unit_size(output)

    def _targets(self, inputs: Float[Tensor, "n ..."], generator: np.random.Generator) -> Float[Tensor, "n d"]:
        centre = self._centre(inputs)
        return centre + self.sigma * noise(generator, len(inputs), centre.shape[-1])

    def _bonus(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, " n"]:
        return (self.predictor(inputs) - self._centre(inputs)).square().mean(dim=-1)

    def modules(self) -> Mapping[str, nn.Module]:
        """Predictor and target."""
        return {**super().modules(), "target": self.target}


AVERAGED = replace(PredictorSettings(), averaging=3.0, start="zero")
"""What random distribution distillation needs to count: the average of its iterates, and a start at 0."""
