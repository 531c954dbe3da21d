"""MountainCar with states that can be counted: position and velocity in 20 × 20 cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from trueward.tasks.control.arrays import MountainCar

_CELLS = 20


class CountedCar(MountainCar):
    """MountainCar, observed on the scale of [0, 1], whose `info` says in which cell it is."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        space: Any = self.single_observation_space
        self._low, self._high = space.low, space.high
        self.single_observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
        self.observation_space = spaces.Box(0.0, 1.0, (count, 2), np.float32)

    def observe(self, state: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Position and velocity as shares of their range."""
        shares: np.ndarray = (state - self._low) / (self._high - self._low)
        return shares.astype(np.float32)

    def features(self, state: Float[np.ndarray, "n 2"]) -> Mapping[str, np.ndarray]:
        """The cell; there is no television to watch."""
        return {"state": self.key(self.observe(state)), "watching": np.zeros(len(state))}

    @staticmethod
    def key(observation: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """The cell of each observation."""
        cells: np.ndarray = np.floor(observation * _CELLS)
        return cells
