"""A tabular world with what is paid in it, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.errors import RewardError
from trueward.measures.tabular import TabularMDP


@dataclass(frozen=True)
class TabularTask:
    """One world and its rewards: what is wanted, and what stands in for it.

    Attributes:
        mdp: the world.
        rewards: arrays by name, [S], [S, A], [S, A, S] or sparse [S·A, S].
        observations: what a policy sees of each state.
        name: for reports.
        horizon: steps after which an episode is cut off; None for never.
    """

    mdp: TabularMDP
    rewards: Mapping[str, Any]
    observations: Float[np.ndarray, "s d"]
    name: str
    horizon: int | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` when the observations are not one row per state."""
        if self.observations.ndim != 2 or len(self.observations) != self.mdp.states:
            raise ValueError(
                f"observations have shape {self.observations.shape}; expected one row for each of the "
                f"{self.mdp.states} states"
            )

    def reward(self, name: str) -> Any:
        """One of the rewards.

        Raises:
            RewardError: the task has none of this name.
        """
        if name not in self.rewards:
            raise RewardError(f"{self.name} has no reward {name!r}; it has: {', '.join(self.rewards)}")
        return self.rewards[name]


def one_hot(states: int) -> Float[np.ndarray, "s s"]:
    """Observations that say which state it is and nothing else."""
    return np.eye(states, dtype=np.float32)
