"""Distributions over the actions of control: what is drawn, how probable it was, how spread out it is.

Draws are made with a NumPy generator from numbers in a fixed order, row by row, so that a run goes on bit for bit
without keeping the state of torch's generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class ActionDistribution(Protocol):
    """Distribution over actions, one per row."""

    def log_prob(self, action: Shaped[Tensor, "n *action"]) -> Float[Tensor, " n"]:
        """Log-probability (density) of one action per row."""

    def entropy(self) -> Float[Tensor, " n"]:
        """Entropy of each row in nats."""

    def sample(self, generator: np.random.Generator) -> Shaped[Tensor, "n *action"]:
        """One action per row."""

    def mode(self) -> Shaped[Tensor, "n *action"]:
        """The most probable action of each row."""


@dataclass(frozen=True)
class Categorical:
    """One choice out of K.

    Attributes:
        log_probabilities: normalised; −inf rules a choice out.
    """

    log_probabilities: Float[Tensor, "n k"]

    @classmethod
    def from_logits(cls, logits: Float[Tensor, "n k"]) -> Categorical:
        """softmax(logits)."""
        return cls(torch.log_softmax(logits, dim=-1))

    def log_prob(self, action: Shaped[Tensor, " n"]) -> Float[Tensor, " n"]:
        """log π(a)."""
        return self.log_probabilities.gather(1, action.long().unsqueeze(1)).squeeze(1)

    def entropy(self) -> Float[Tensor, " n"]:
        """−Σ_k p_k log p_k; choices that are ruled out add nothing, to value and gradient."""
        p = self.log_probabilities.exp()
        return -(p * self.log_probabilities.masked_fill(p == 0, 0.0)).sum(dim=-1)

    def sample(self, generator: np.random.Generator) -> Shaped[Tensor, " n"]:
        """By inversion: one uniform number per row."""
        bounds = self.log_probabilities.detach().cpu().numpy().astype(np.float64)
        np.exp(bounds, out=bounds)
        np.cumsum(bounds, axis=1, out=bounds)
        # Scaled by the sum, which is 1 but for rounding: the last choice with probability ends the interval.
        drawn = generator.random(len(bounds)) * bounds[:, -1]
        return torch.from_numpy((bounds <= drawn[:, None]).sum(axis=1))

    def mode(self) -> Shaped[Tensor, " n"]:
        """The first of the most probable choices."""
        return self.log_probabilities.argmax(dim=-1)


@dataclass(frozen=True)
class MultiCategorical:
    """Several choices at once, independent of each other given the observation.

    Attributes:
        choices: one distribution per column of the action.
    """

    choices: tuple[Categorical, ...]

    def log_prob(self, action: Shaped[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Σ_d log π_d(a_d)."""
        return torch.stack([one.log_prob(action[:, place]) for place, one in enumerate(self.choices)]).sum(dim=0)

    def entropy(self) -> Float[Tensor, " n"]:
        """Sum of the entropies."""
        return torch.stack([one.entropy() for one in self.choices]).sum(dim=0)

    def sample(self, generator: np.random.Generator) -> Shaped[Tensor, "n d"]:
        """One action per row."""
        return torch.stack([one.sample(generator) for one in self.choices], dim=1)

    def mode(self) -> Shaped[Tensor, "n d"]:
        """The most probable choice of each column."""
        return torch.stack([one.mode() for one in self.choices], dim=1)


@dataclass(frozen=True)
class DiagonalGaussian:
    """Independent normal numbers.

    Attributes:
        mean: of each.
        log_deviation: log of the standard deviation of each.
    """

    mean: Float[Tensor, "n d"]
    log_deviation: Float[Tensor, "n d"]

    def log_prob(self, action: Shaped[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Σ_d −½ ((a_d − m_d)/σ_d)² − log σ_d − ½ log 2π."""
        standard = (action - self.mean) * torch.exp(-self.log_deviation)
        return (-0.5 * standard.square() - self.log_deviation - _HALF_LOG_TWO_PI).sum(dim=-1)

    def entropy(self) -> Float[Tensor, " n"]:
        """Σ_d ½ + ½ log 2π + log σ_d."""
        return (0.5 + _HALF_LOG_TWO_PI + self.log_deviation).sum(dim=-1)

    def sample(self, generator: np.random.Generator) -> Shaped[Tensor, "n d"]:
        """m + σ · standard normal numbers."""
        noise = torch.from_numpy(generator.standard_normal(tuple(self.mean.shape), dtype=np.float32))
        mean = self.mean.detach()
        return mean + self.log_deviation.detach().exp() * noise.to(mean)

    def mode(self) -> Shaped[Tensor, "n d"]:
        """The mean."""
        return self.mean
