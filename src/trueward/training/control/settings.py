"""How a policy of control is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from trueward.errors import TrainingError

Scale = Literal["batch", "minibatch", "none"]


@dataclass(frozen=True)
class ControlSettings:
    """How a policy of control is trained. One update learns from `horizon` steps of every environment.

    Attributes:
        steps: updates.
        horizon: steps of each environment per update.
        epochs: passes over what was collected.
        minibatches: optimiser steps per pass.
        learning_rate: of Adam; with `anneal` it falls linearly to 0 over the updates.
        clip: how far a probability ratio may leave 1.
        value_clip: how far a value may leave the one of the collection; None for no bound.
        entropy: coefficient of the entropy bonus.
        discount, trace: γ and λ of the reward.
        bonus_discount: γ of the bonus, whose return does not end with an episode.
        reward_weight, bonus_weight: factors of the two advantages in their sum.
        value_weight: factor of the values' loss (half the squared error).
        advantage_scale: advantages get mean 0 and deviation 1 over all that was collected, over each minibatch, or not
            at all.
        normalise_bonus: divide bonuses by the running deviation of their discounted return.
        gradient_clip: largest norm of the gradient.
        target_kl: no more passes once the policy moved further than 1.5 times that; None for all of them.
        anneal: see `learning_rate`.
        observation_updates: updates whose observations move the scale of a policy with `scale_observations`; None for
            all, after which it stands still.
        seed: of every draw.
        evaluate_every: updates between evaluations; the first is before any update, the last after all.
        evaluation_episodes: episodes per evaluation.
        evaluate_greedily: the most probable action instead of a drawn one.
        checkpoint_every: updates between checkpoints. Environments cannot be saved, so every one of them begins a new
            episode there, in a run that was never killed too: let it be many episodes long.
        tensorboard: write for TensorBoard.
    """

    steps: int = 100
    horizon: int = 128
    epochs: int = 4
    minibatches: int = 4
    learning_rate: float = 3e-4
    clip: float = 0.2
    value_clip: float | None = None
    entropy: float = 0.0
    discount: float = 0.99
    trace: float = 0.95
    bonus_discount: float = 0.99
    reward_weight: float = 1.0
    bonus_weight: float = 1.0
    value_weight: float = 1.0
    advantage_scale: Scale = "batch"
    normalise_bonus: bool = True
    gradient_clip: float = 0.5
    target_kl: float | None = None
    anneal: bool = False
    observation_updates: int | None = None
    seed: int = 0
    evaluate_every: int = 25
    evaluation_episodes: int = 16
    evaluate_greedily: bool = False
    checkpoint_every: int = 50
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Raises `TrainingError` for counts below 1 and factors outside of their range."""
        counts = ("steps", "horizon", "epochs", "minibatches", "evaluate_every", "checkpoint_every")
        wrong = [f"{name}={getattr(self, name)!r} (at least 1)" for name in counts if getattr(self, name) < 1]
        shares = ("discount", "trace", "bonus_discount")
        wrong += [f"{name}={getattr(self, name)!r} (0 to 1)" for name in shares if not 0 <= getattr(self, name) <= 1]
        sizes = ("learning_rate", "clip", "gradient_clip")
        wrong += [f"{name}={getattr(self, name)!r} (above 0)" for name in sizes if not getattr(self, name) > 0]
        if self.advantage_scale not in ("batch", "minibatch", "none"):
            wrong.append(f"advantage_scale={self.advantage_scale!r} (batch, minibatch or none)")
        if wrong:
            raise TrainingError("; ".join(wrong))

    @property
    def value_bound(self) -> float:
        """How far a value may leave the one of the collection; infinite for no bound."""
        return math.inf if self.value_clip is None else self.value_clip
