"""What sampling a flow gives: every state, and what moved it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trueward.batch import Denoising, Rollouts
from trueward.policies.flow.base import Condition
from trueward.policies.flow.kernels import Reduction


@dataclass(frozen=True)
class Trajectories:
    """N samples with everything on their way.

    Attributes:
        states: x at each time, from noise to the sample.
        times: from 1 to 0.
        sigma: σ of each step.
        velocities: of the policy, at the state before each step.
        logprobs: of each step, under the mean without guidance; 0 for steps without noise, which are no decisions.
        condition: of each sample.
        reduction: how log-probabilities run over the dimensions.
        shifts: what guidance added to the mean; 0 where it did not act. None without guidance.
        values: what was to rise, as the guidance saw it; NaN at steps where it did not look.
        guided_logprobs: of each step, under the mean with guidance.
    """

    states: Float[Tensor, "n T1 *s"]
    times: Float[Tensor, " T1"]
    sigma: Float[Tensor, " T"]
    velocities: Float[Tensor, "n T *s"]
    logprobs: Float[Tensor, "n T"]
    condition: Condition
    reduction: Reduction = "mean"
    shifts: Float[Tensor, "n T *s"] | None = None
    values: Float[Tensor, "n T"] | None = None
    guided_logprobs: Float[Tensor, "n T"] | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.states)

    @property
    def final(self) -> Float[Tensor, "n *s"]:
        """The samples."""
        return self.states[:, -1]

    @property
    def dt(self) -> Float[Tensor, " T"]:
        """Δ of each step, above 0."""
        return self.times[:-1] - self.times[1:]

    @property
    def decisions(self) -> Bool[Tensor, " T"]:
        """True for steps with noise: the others follow from the state."""
        return self.sigma > 0

    def rollouts(
        self,
        prompts: Sequence[Any],
        group: Int[Any, " n"] | None = None,
        decoded: Float[Any, "n c h w"] | None = None,
        reference: Sequence[Mapping[str, Any]] = (),
    ) -> Rollouts:
        """The same for rewards and credit: one decision per step with noise.

        Args:
            prompts: what each sample was made for.
            group: samples with the same number answer the same prompt.
            decoded: images, where samples are latents.
            reference: one mapping per sample with what a reward may read.
        """
        content = Denoising(prompts, self.states.cpu(), self.times.cpu(), decoded)
        return Rollouts(
            content=content,
            group=group,
            mask=self.decisions.cpu().expand(len(self), -1),
            logprobs=(self.logprobs if self.guided_logprobs is None else self.guided_logprobs).cpu(),
            reference=reference,
        )

    def without_guidance(self) -> Trajectories:
        """The same states as if nothing had moved them: what is learnt from them then holds the guidance."""
        return dataclasses.replace(self, shifts=None, values=None, guided_logprobs=None)


def stacked(states: Sequence[Tensor]) -> Tensor:
    """States of all steps with the step as second axis."""
    return torch.stack(list(states), dim=1)
