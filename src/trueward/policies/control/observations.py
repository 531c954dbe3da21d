"""What comes before a policy's network: the running scale of observations; vectors for numbers that name a state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn


class ObservationScale(nn.Module):
    """Observations with running mean 0 and variance 1, clipped.

        x' = clip((x − m) / √(v + 10⁻⁸), ±c)

    Its statistics change only when `observe` is called, never by looking: a policy that is asked twice answers the same
    twice, and evaluation moves nothing. They are part of the policy's state, so a copy or a checkpoint has them.

    Args:
        shape: of one observation.
        clip: c.

    Reference: Huang et al. 2022, "The 37 implementation details of PPO", continuous actions, 5 and 6.
    """

    def __init__(self, shape: Sequence[int], clip: float = 10.0) -> None:
        super().__init__()
        self.clip = clip
        self.mean: Tensor
        self.variance: Tensor
        self.count: Tensor
        self.register_buffer("mean", torch.zeros(tuple(shape), dtype=torch.float64))
        self.register_buffer("variance", torch.ones(tuple(shape), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, observation: Float[Tensor, "n *observation"]) -> Float[Tensor, "n *observation"]:
        """Scaled observations; as they are until something was observed."""
        if not self.count:
            return observation
        scale = torch.rsqrt(self.variance + 1e-8)
        return ((observation - self.mean.float()) * scale.float()).clamp(-self.clip, self.clip)

    @torch.no_grad()
    def observe(self, observation: Shaped[np.ndarray, "n *observation"]) -> None:
        """Take observations into mean and variance (the pairwise update of Chan et al. 1983)."""
        if not len(observation):
            return
        batch = torch.from_numpy(np.asarray(observation, dtype=np.float64))
        count, mean, variance = len(batch), batch.mean(dim=0), batch.var(dim=0, unbiased=False)
        total = self.count + count
        apart = mean - self.mean
        spread = self.variance * self.count + variance * count + apart.square() * (self.count * count / total)
        self.mean += apart * (count / total)
        self.variance.copy_(spread / total)
        self.count.copy_(total)


class OneHot(nn.Module):
    """A number from `start` on as a vector with a single one, for observations that name one of K states."""

    def __init__(self, choices: int, start: int = 0) -> None:
        super().__init__()
        self.choices, self.start = choices, start

    def forward(self, observation: Float[Tensor, " n"]) -> Float[Tensor, "n k"]:
        """One row per observation."""
        return nn.functional.one_hot(observation.long() - self.start, self.choices).to(torch.float32)
