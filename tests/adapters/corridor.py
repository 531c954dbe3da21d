"""A corridor whose numbers can be worked out by hand: one cell further with every step, and a reward of 1 for each.

With the potential Φ(x) = x and γ = 1/2 the shaping is ½ (x + 1) − x: .5, 0, −.5, … and −x where the step terminates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, SyncVectorEnv

DISCOUNT = 0.5
STEP_SHAPING = (0.5, 0.0)  # F of the first two steps


def position(observation: np.ndarray) -> np.ndarray:
    return observation[..., 0]


def twice(next_observation: np.ndarray) -> np.ndarray:
    return 2.0 * next_observation[..., 0]


class Corridor(gymnasium.Env[np.ndarray, int], RecordConstructorArgs):
    """Terminates at cell `end`, is cut off after `limit` steps, and writes into the one array that it returns."""

    def __init__(self, end: int = 3, limit: int = 100) -> None:
        RecordConstructorArgs.__init__(self, end=end, limit=limit)
        self.observation_space = gymnasium.spaces.Box(0.0, 1000.0, (1,), np.float64)
        self.action_space = gymnasium.spaces.Discrete(2)
        self.end, self.limit = end, limit
        self.cell = np.zeros(1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell[0] = 0.0
        return self.cell, {"cell": 0}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.cell[0] += 1.0
        at = int(self.cell[0])
        return self.cell, 1.0, at >= self.end, self.end > at >= self.limit, {"cell": at}


class FreshCorridor(Corridor):
    """The same with a new array at every step, as Gymnasium's checker asks."""

    def reset(self, **named: Any) -> tuple[Any, dict[str, Any]]:
        observation, info = super().reset(**named)
        return observation.copy(), info

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, *rest = super().step(action)
        return observation.copy(), *rest


def makers() -> list[Callable[[], Corridor]]:
    """One corridor that terminates at its third step, and one that is cut off after its second."""
    return [lambda: FreshCorridor(end=3), lambda: FreshCorridor(limit=2, end=50)]


def corridors(mode: AutoresetMode) -> SyncVectorEnv:
    """The two of them, side by side."""
    return SyncVectorEnv(makers(), autoreset_mode=mode)
