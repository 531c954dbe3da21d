"""Gymnasium's MountainCar-v0 as arrays."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int

from trueward.tasks.control.arrays.environment import ArrayEnv

_LEFT, _RIGHT, _GOAL, _FASTEST, _FORCE, _GRAVITY = -1.2, 0.6, 0.5, 0.07, 0.001, 0.0025


class MountainCar(ArrayEnv):
    """A car too weak for the hill: −1 per step until it is up, which takes swinging back and forth.

    States are position and velocity, observed in single precision; actions accelerate to the left (0), not at all (1)
    or to the right (2).

    Args:
        count: environments.
        horizon: steps after which an episode is truncated.

    Reference: Moore 1990; Gymnasium's MountainCar-v0.
    """

    def __init__(self, count: int = 1, horizon: int | None = 200) -> None:
        low, high = np.array([_LEFT, -_FASTEST], dtype=np.float32), np.array([_RIGHT, _FASTEST], dtype=np.float32)
        super().__init__(count, spaces.Box(low, high, dtype=np.float32), spaces.Discrete(3), horizon)

    def begin(self, generator: np.random.Generator, count: int) -> Float[np.ndarray, "n 2"]:
        """At rest near the bottom."""
        return np.stack([generator.uniform(-0.6, -0.4, size=count), np.zeros(count)], axis=1)

    def advance(
        self, state: Float[np.ndarray, "n 2"], action: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """One step; the left wall stops the car."""
        position, speed = state.T
        faster = speed + (action - 1) * _FORCE - np.cos(3 * position) * _GRAVITY
        faster = np.clip(faster, -_FASTEST, _FASTEST)
        after = np.empty_like(state)
        after[:, 0] = np.clip(position + faster, _LEFT, _RIGHT)
        after[:, 1] = np.where((after[:, 0] == _LEFT) & (faster < 0), 0.0, faster)
        up = (after[:, 0] >= _GOAL) & (after[:, 1] >= 0.0)
        return after, np.full(len(state), -1.0), up

    def observe(self, state: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """The state in single precision."""
        return state.astype(np.float32)
