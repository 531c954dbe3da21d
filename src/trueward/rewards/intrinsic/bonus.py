"""A novelty as a reward of control, for learners with one discount."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.control.base import ControlReward, StepScores, checked
from trueward.rewards.intrinsic.normalisers import BonusNormaliser
from trueward.rewards.intrinsic.novelty import Novelty


class Bonus(ControlReward):
    """weight · b(s') as a part of a sum: `reward + Bonus(novelty, 0.1)`.

    Reward and bonus then share one discount, and one value function, and the bonus ends with the episode. A loop with
    two value heads takes the novelty itself instead. While evaluating, nothing is counted and nothing trained.

    What a novelty pays for is no part of the task: its raw value is 0, and it changes which policy is best until it
    has vanished. With a weight below 0, and fixed, it is a penalty for what a reward model was not trained on.
    """

    def __init__(
        self,
        novelty: Novelty,
        weight: float = 1.0,
        *,
        normaliser: BonusNormaliser | None = None,
        every: int = 128,
        fixed: bool = False,
    ) -> None:
        """A bonus that trains its novelty by itself.

        Args:
            novelty: what is asked.
            weight: of the bonus.
            normaliser: divides by the deviation of the discounted sum of bonuses; None for raw ones.
            every: steps after which the novelty learns; 0 where somebody else calls `novelty.learn`.
            fixed: what is visited does not count: the unknown stays unknown.

        Raises:
            RewardError: a negative number of steps.
        """
        if every < 0:
            raise RewardError(f"Bonus(every={every}): a number of steps is needed, or 0 for never")
        self.novelty, self.weight, self.normaliser, self.every = novelty, float(weight), normaliser, every
        self.fixed = fixed
        self.metrics: dict[str, float] = {}
        self._steps = 0

    @property
    def name(self) -> str:
        """Name of the novelty."""
        return f"{self.novelty.name} bonus"

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """The weighted bonus of what was observed after each step; in training it counts as a visit."""
        observation, exists = np.asarray(transitions.next_observation), transitions.exists
        bonus = checked(self.novelty.bonus(observation), transitions, self.name)
        if training and not self.fixed:
            if exists is None or exists.any():
                self.novelty.observe(observation if exists is None else observation[exists])
            if self.normaliser is not None:
                self.normaliser.update(bonus[None], None if exists is None else exists[None])
            self._steps += 1
            if self.every and self._steps % self.every == 0:
                self.metrics = dict(self.novelty.learn())
        if self.normaliser is not None:
            bonus = self.normaliser.normalised(bonus)
        value = self.weight * bonus
        return StepScores(value, np.zeros(len(transitions)), {self.name: value})

    def state_dict(self) -> dict[str, Any]:
        """State of novelty and normaliser. The networks of a novelty are in its `modules` and `optimizers`."""
        normaliser = None if self.normaliser is None else self.normaliser.state_dict()
        return {"novelty": self.novelty.state_dict(), "normaliser": normaliser, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            novelty, normaliser, steps = state["novelty"], state["normaliser"], int(state["steps"])
        except (KeyError, TypeError, ValueError) as error:
            raise RewardError(f"{self.name}: the saved state is not that of a bonus: {state!r:.100}") from error
        if (normaliser is None) != (self.normaliser is None):
            raise RewardError(f"{self.name}: saved with a normaliser and loaded without one, or the other way round")
        self.novelty.load_state_dict(novelty)
        if self.normaliser is not None:
            self.normaliser.load_state_dict(normaliser)
        self._steps = steps
