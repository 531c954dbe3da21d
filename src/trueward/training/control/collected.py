"""What one update learns from: a horizon of steps of N environments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from trueward.batch import Transitions
from trueward.rewards.control.base import StepScores


@dataclass(frozen=True)
class Collected:
    """T steps of N environments. Where `exists` is False an environment was reset in place of a step.

    Attributes:
        observation, next_observation: before and after each step, in the same episode.
        action: as the policy drew it, before it was brought within bounds.
        logprobs: of the action, under the policy that drew it.
        values: of the observation, one per head, by the policy in training.
        reward: what is optimised.
        raw: what the reward says before anything was added for the sake of learning.
        parts: addends of the reward by name.
        environment: what the environment itself paid.
        bonus: of novelty, raw; None without one.
        terminated, truncated: how the episode ended with the step.
        exists: False where an environment was reset in place of a step.
        source: who acts in each environment: 0 for the policy in training, k for the k-th driver.
        last_observation: what the next action of each environment is chosen from.
        features: named arrays out of the environment's `info`.
        gold: what is really wanted. Measured; None for everything that may change what is learnt.
    """

    observation: Shaped[np.ndarray, "t n *observation"]
    action: Shaped[np.ndarray, "t n *action"]
    logprobs: Float[np.ndarray, "t n"]
    values: Float[np.ndarray, "t n heads"]
    reward: Float[np.ndarray, "t n"]
    raw: Float[np.ndarray, "t n"]
    parts: Mapping[str, Float[np.ndarray, "t n"]]
    environment: Float[np.ndarray, "t n"]
    bonus: Float[np.ndarray, "t n"] | None
    next_observation: Shaped[np.ndarray, "t n *observation"]
    terminated: Bool[np.ndarray, "t n"]
    truncated: Bool[np.ndarray, "t n"]
    exists: Bool[np.ndarray, "t n"]
    source: Int[np.ndarray, " n"]
    last_observation: Shaped[np.ndarray, "n *observation"]
    features: Mapping[str, Shaped[np.ndarray, "t n ..."]] = field(default_factory=dict)
    gold: Float[np.ndarray, "t n"] | None = None

    @property
    def learns(self) -> Bool[np.ndarray, "t n"]:
        """True on steps that the policy in training took itself."""
        own: np.ndarray = self.exists & (self.source == 0)
        return own

    def without_gold(self) -> Collected:
        """The same for everything that may change what is learnt."""
        return self if self.gold is None else dataclasses.replace(self, gold=None)


def stacked(
    steps: Sequence[Transitions],
    scores: Sequence[StepScores],
    acted: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    bonuses: Sequence[np.ndarray],
    golds: Sequence[np.ndarray],
    source: Int[np.ndarray, " n"],
    last_observation: Shaped[np.ndarray, "n *observation"],
) -> Collected:
    """Steps one after another as arrays with the time first.

    Args:
        steps: what happened.
        scores: what the reward says about it.
        acted: action, log-probability and values of each step.
        bonuses: of novelty; empty without one.
        golds: of each step; empty where none is measured.
        source: see `Collected`.
        last_observation: see `Collected`.
    """
    count = len(last_observation)
    everywhere = np.ones(count, dtype=bool)
    names = dict.fromkeys(name for score in scores for name in score.parts)
    nothing = np.zeros(count)
    return Collected(
        observation=np.stack([step.observation for step in steps]),
        action=np.stack([action for action, _, _ in acted]),
        logprobs=np.stack([logprobs for _, logprobs, _ in acted]),
        values=np.stack([values for _, _, values in acted]),
        reward=np.stack([score.value for score in scores]),
        raw=np.stack([score.raw for score in scores]),
        parts={name: np.stack([score.parts.get(name, nothing) for score in scores]) for name in names},
        environment=np.stack([step.reward for step in steps]),
        bonus=np.stack(bonuses) if bonuses else None,
        next_observation=np.stack([step.next_observation for step in steps]),
        terminated=np.stack([step.terminated for step in steps]),
        truncated=np.stack([step.truncated for step in steps]),
        exists=np.stack([everywhere if step.exists is None else step.exists for step in steps]),
        source=source,
        last_observation=last_observation,
        features={name: np.stack([step.features[name] for step in steps]) for name in steps[0].features},
        gold=np.stack(golds) if golds else None,
    )
