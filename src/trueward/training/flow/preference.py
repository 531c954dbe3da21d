"""Updates by preference on pairs of images, without a reward: Diffusion-DPO, and what SePPO shares with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trueward.errors import TrainingError
from trueward.objectives.aggregation import Loss
from trueward.objectives.flow.matching import denoising_error
from trueward.objectives.flow.preference import Flip, anchor_flip, diffusion_preference
from trueward.policies.flow.base import (
    Condition,
    TimeDistribution,
    condition_join,
    condition_length,
    condition_rows,
    draw_times,
    noised,
    velocity_target,
)
from trueward.policies.flow.sampling import starting_noise
from trueward.training.flow.settings import FlowSettings
from trueward.training.flow.update import FlowUpdate, Losses, frozen_copy

Error = Literal["velocity", "noise"]


@dataclass(frozen=True)
class PreferenceSettings:
    """How winners and other images are compared.

    Attributes:
        batch: winners per update, drawn with replacement.
        beta: β T ω of `diffusion_preference`.
        flip: what the other image counts as; see `anchor_flip`.
        sign_draws: noise draws that the flipper's sign is the mean of. The first is that of the loss; more than one
            makes the sign less noisy and the method another one.
        limit: of δ of the other image; None for none.
        times: distribution of noise levels, the one of pre-training.
        error: whether E is an error of velocity or of noise, (1 − t)² times that: what diffusion models predict, and
            are compared by. The first differs by far the most at large t.
        shuffled: signs are dealt out anew within the batch: as many losers as before, but no longer by their own
            winners. A control, which tells what a sign knows from how often it flips.
    """

    batch: int = 96
    beta: float = 50.0
    flip: Flip = "none"
    sign_draws: int = 1
    limit: float | None = None
    times: TimeDistribution = "logit_normal"
    error: Error = "velocity"
    shuffled: bool = False

    def __post_init__(self) -> None:
        """Raises `TrainingError` for numbers that cannot be."""
        if self.batch < 1 or self.sign_draws < 1 or not self.beta > 0:
            raise TrainingError(
                f"batch={self.batch!r}, sign_draws={self.sign_draws!r} and beta={self.beta!r} have to be positive"
            )
        if self.error not in ("velocity", "noise"):
            raise TrainingError(f"error={self.error!r} is unknown; choose velocity or noise")


def preference_loss(
    policy: nn.Module,
    reference: nn.Module,
    winners: Float[Tensor, "n *sample"],
    others: Float[Tensor, "n *sample"],
    condition: Condition,
    settings: PreferenceSettings,
    generator: torch.Generator,
) -> Loss:
    """Loss of a batch of pairs: one noise level per pair, one noise per image, the same for policy and reference.

    Args:
        policy: v_θ; its gradient is that of both images.
        reference: v_ref, without one.
        winners, others: x^w and the image that it is compared with, clean.
        condition: of each pair.
        settings: how they are compared.
        generator: draws noise levels and noise.
    """
    count = len(winners)
    # Stored samples and conditions may lie on two devices, and an image is made where its condition is.
    clean = torch.cat([winners, others.to(winners.device)])
    times = draw_times(count, generator, settings.times).to(clean.device).repeat(2)
    noise = starting_noise(2 * count, clean.shape[1:], generator, device=clean.device)
    both = condition_join(condition, condition)
    state, target = noised(clean, noise, times), velocity_target(clean, noise)
    unit = _unit(times, settings.error)
    own = denoising_error(policy(state, times, both), target) * unit
    with torch.no_grad():
        past = denoising_error(reference(state, times, both), target) * unit
        more = settings.sign_draws - 1
        deltas = anchor_deltas(policy, reference, winners, condition, more, generator, settings.times, settings.error)
        anchor = torch.cat([(own - past)[None, :count], deltas]).mean(dim=0)
    flip = anchor_flip(anchor, torch.zeros_like(anchor), settings.flip)
    if settings.shuffled:
        flip = flip[torch.randperm(count, generator=generator, device=generator.device).to(flip.device)]
    return diffusion_preference(
        own[:count], own[count:], past[:count], past[count:], beta=settings.beta, flip=flip, limit=settings.limit
    )


@torch.no_grad()
def anchor_deltas(
    policy: nn.Module,
    reference: nn.Module,
    winners: Float[Tensor, "n *sample"],
    condition: Condition,
    draws: int,
    generator: torch.Generator,
    times: TimeDistribution = "logit_normal",
    error: Error = "velocity",
) -> Float[Tensor, "draws n"]:
    """δ_w = E_θ(x^w) − E_ref(x^w) of each winner under several draws of noise level and noise."""
    if not draws:
        return winners.new_zeros(0, len(winners))
    clean = winners.repeat(draws, *[1] * (winners.dim() - 1))
    levels = draw_times(len(clean), generator, times).to(clean.device)
    noise = starting_noise(len(clean), clean.shape[1:], generator, device=clean.device)
    every = condition_rows(condition, torch.arange(len(winners)).repeat(draws))
    state, target = noised(clean, noise, levels), velocity_target(clean, noise)
    own, past = (denoising_error(model(state, levels, every), target) for model in (policy, reference))
    return ((own - past) * _unit(levels, error)).reshape(draws, len(winners))


def _unit(times: Float[Tensor, " n"], error: Error) -> Float[Tensor, " n"]:
    """What an error of velocity is multiplied with: v − v̂ = (ε − ε̂) / (1 − t)."""
    return (1 - times).square() if error == "noise" else torch.ones_like(times)


@dataclass
class PairsUpdate(FlowUpdate):
    """Diffusion-DPO on pairs that are given: what should be made, and what should not, for one condition.

    The reference is the policy where training begins.

    Attributes:
        winners, losers: [N, …] images of each pair, clean.
        condition: of each pair.
        settings: how they are compared.

    Raises:
        TrainingError: there are no pairs, or winners, losers and conditions are not equally many.
    """

    winners: Float[Tensor, "n *sample"]
    losers: Float[Tensor, "n *sample"]
    condition: Condition
    settings: PreferenceSettings = field(default_factory=PreferenceSettings)

    def __post_init__(self) -> None:
        """Checks lengths."""
        counts = (len(self.winners), len(self.losers), condition_length(self.condition))
        if not counts[0] or len(set(counts)) > 1:
            raise TrainingError(
                f"{counts[0]} winners, {counts[1]} losers and {counts[2]} conditions: one of each a pair"
            )

    def begin(self, policy: nn.Module, settings: FlowSettings) -> None:
        """Copies the policy."""
        self.reference = frozen_copy(policy)

    def losses(self, policy: nn.Module, step: int, generator: torch.Generator) -> Losses:
        """One loss on one batch of pairs."""
        rows = torch.randint(len(self.winners), (self.settings.batch,), generator=generator).to(self.winners.device)
        condition, winners, losers = condition_rows(self.condition, rows), self.winners[rows], self.losers[rows]
        yield preference_loss(policy, self.reference, winners, losers, condition, self.settings, generator)

    def modules(self) -> Mapping[str, nn.Module]:
        """The reference."""
        return {"reference": self.reference}

    def identity(self) -> Mapping[str, Any]:
        """Settings and number of pairs."""
        return {"pairs": len(self.winners), **asdict(self.settings)}
