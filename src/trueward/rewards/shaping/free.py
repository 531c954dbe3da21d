"""Shaping that is no difference of potentials: refused unless it is named what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueward.batch import Transitions
from trueward.errors import RewardError
from trueward.rewards.control.base import ControlReward, StepScores
from trueward.rewards.control.functions import as_control_reward


@dataclass
class FreeShaping(ControlReward):
    """Any reward as an addition for the sake of learning, which may change what is optimal.

    Pay for progress and forget to charge for going back, and a cycle pays for ever: a bicycle that is paid for riding
    towards the goal learns to ride in circles. Differences of a potential without its discount, Φ(s') − Φ(s), belong
    here too, and so does a potential that does not end at 0.

    Attributes:
        reward: what is added; a function, an address, or a reward.
        may_change_optimum: True to say that this is known.

    Raises:
        RewardError: `may_change_optimum` was not set.

    Reference: Randløv and Alstrøm 1998, "Learning to drive a bicycle using reinforcement learning and shaping".

    Example:
        >>> progress = FreeShaping(lambda observation, next_observation: next_observation - observation,
        ...                        may_change_optimum=True)
    """

    reward: Any
    may_change_optimum: bool = False

    def __post_init__(self) -> None:
        """Refuses, unless told that this is known."""
        self.reward = as_control_reward(self.reward)
        if not self.may_change_optimum:
            raise RewardError(
                f"adding {self.reward.name} may change which policies are optimal, because it is no difference of a "
                "potential. Write it as one, PotentialShaping(potential, discount); or, if that is meant, "
                "FreeShaping(reward, may_change_optimum=True). What belongs to the task is no shaping: add it to the "
                "reward itself"
            )

    @property
    def name(self) -> str:
        """Name of the reward that is added."""
        return str(self.reward.name)

    def pieces(self) -> Sequence[ControlReward]:
        """The reward that is added."""
        return [self.reward]

    def twin(self) -> FreeShaping:
        """The same addition, for other environments."""
        return FreeShaping(self.reward.twin(), may_change_optimum=True)

    def score(self, transitions: Transitions, *, training: bool = True) -> StepScores:
        """What is added; the raw value is 0, because shaping is no part of what is wanted."""
        scores = self.reward.score(transitions, training=training)
        return StepScores(scores.value, np.zeros(len(transitions)), scores.parts)
