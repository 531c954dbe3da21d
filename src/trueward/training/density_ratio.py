"""Training a density ratio on the steps of two policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Shaped

from trueward.errors import TrainingError
from trueward.objectives.density_ratio import logistic_ratio, variation_ratio, wasserstein_critic
from trueward.policies.control.actor_critic import as_tensor
from trueward.rewards.models.density_ratio import DensityRatio

RatioLoss: TypeAlias = Literal["logistic", "variation", "wasserstein"]

_SLOPE = 0.01
"""Weights of a Wasserstein critic are held within it."""


@dataclass(frozen=True)
class Steps:
    """States and actions of one policy.

    Attributes:
        observation: of n steps.
        action: of them; None where only states are known or wanted.
    """

    observation: Shaped[np.ndarray, "n *observation"]
    action: Shaped[np.ndarray, "n *action"] | None = None

    def __len__(self) -> int:
        """Number of steps."""
        return len(self.observation)


@dataclass(frozen=True)
class RatioSettings:
    """How a density ratio is trained.

    Attributes:
        loss: "logistic", "variation" or "wasserstein".
        epochs: passes over the steps of the smaller side.
        batch: steps of either side per optimiser step.
        smoothing: of the labels, see `logistic_ratio`.
        noise: standard deviation of the noise added to the inputs, against certainty where the sides share nothing.
    """

    loss: RatioLoss = "logistic"
    epochs: int = 4
    batch: int = 512
    smoothing: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Raises `TrainingError` for counts below 1, negative noise, or an unknown loss."""
        if self.loss not in ("logistic", "variation", "wasserstein") or min(self.epochs, self.batch) < 1:
            raise TrainingError(
                f"loss={self.loss!r}, epochs={self.epochs!r}, batch={self.batch!r}: expected logistic, variation or "
                "wasserstein, and counts of at least 1"
            )
        if not self.noise >= 0 or not 0 <= self.smoothing < 0.5:
            raise TrainingError(f"noise={self.noise!r} must not be negative, smoothing={self.smoothing!r} in [0, 0.5)")


def fit_density_ratio(
    ratio: DensityRatio,
    optimizer: torch.optim.Optimizer,
    policy: Steps,
    reference: Steps,
    settings: RatioSettings,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Let a density ratio learn from the steps of two policies.

    Args:
        ratio: trained in place.
        optimizer: of its parameters.
        policy, reference: steps of either side.
        settings: everything else.
        generator: of the order and the noise.

    Returns:
        Means over the optimiser steps: `loss`, and the metrics of the loss (`accuracy`…).

    Raises:
        TrainingError: a side has no steps, or actions are missing.
    """
    if not len(policy) or not len(reference):
        raise TrainingError(
            f"a density ratio needs steps of both policies; there are {len(policy)} and {len(reference)}. Let the "
            "reference policy drive some environments, or give logged steps"
        )
    rounds = max(1, min(len(policy), len(reference)) // settings.batch)
    told: list[dict[str, float]] = []
    for _ in range(settings.epochs):
        for _ in range(rounds):
            parts = [_drawn(ratio, steps, settings.batch, generator) for steps in (policy, reference)]
            joined = torch.cat(parts)
            if settings.noise:
                noise = generator.standard_normal(tuple(joined.shape), dtype=np.float32)
                joined = joined + settings.noise * torch.from_numpy(noise)
            told.append(_step(ratio, optimizer, joined, len(parts[0]), settings))
    return {name: float(np.mean([one[name] for one in told])) for name in told[0]}


def _drawn(ratio: DensityRatio, steps: Steps, count: int, generator: np.random.Generator) -> torch.Tensor:
    places = generator.integers(len(steps), size=min(count, len(steps)))
    if ratio.reads_actions and steps.action is None:
        raise TrainingError("this density ratio reads actions, and the steps have none")
    action = None if steps.action is None else as_tensor(steps.action[places])
    return ratio.joined(as_tensor(steps.observation[places]), action)


def _step(
    ratio: DensityRatio, optimizer: torch.optim.Optimizer, joined: torch.Tensor, own: int, settings: RatioSettings
) -> dict[str, float]:
    of_policy = torch.arange(len(joined)) < own
    d = ratio.of_joined(joined)
    if settings.loss == "logistic":
        loss, metrics = logistic_ratio(d, of_policy, smoothing=settings.smoothing)
    else:
        loss, metrics = {"variation": variation_ratio, "wasserstein": wasserstein_critic}[settings.loss](d, of_policy)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    if settings.loss == "wasserstein":
        with torch.no_grad():
            for parameter in ratio.parameters():
                parameter.clamp_(-_SLOPE, _SLOPE)
    return {"loss": float(loss.detach()), **{name: float(value) for name, value in metrics.items()}}
