"""Gymnasium's Pendulum-v1 as arrays."""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float

from trueward.tasks.control.arrays.environment import ArrayEnv

_GRAVITY, _SECONDS, _FASTEST, _STRONGEST = 10.0, 0.05, 8.0, 2.0


class Pendulum(ArrayEnv):
    """Swing up a pendulum and hold it: pays −(angle² + 0.1 speed² + 0.001 torque²) and never terminates.

    States are angle from upright and angular velocity; observed are cosine, sine and velocity.

    Args:
        count: environments.
        horizon: steps after which an episode is truncated.

    Reference: Gymnasium's Pendulum-v1.
    """

    def __init__(self, count: int = 1, horizon: int | None = 200) -> None:
        high = np.array([1.0, 1.0, _FASTEST], dtype=np.float32)
        torque = spaces.Box(-_STRONGEST, _STRONGEST, shape=(1,), dtype=np.float32)
        super().__init__(count, spaces.Box(-high, high, dtype=np.float32), torque, horizon)

    def begin(self, generator: np.random.Generator, count: int) -> Float[np.ndarray, "n 2"]:
        """Any angle, up to a speed of 1."""
        return generator.uniform([-math.pi, -1.0], [math.pi, 1.0], size=(count, 2))

    def advance(
        self, state: Float[np.ndarray, "n 2"], action: Float[np.ndarray, "n 1"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """One step; the torque is held within its bounds."""
        angle, speed = state.T
        torque = np.clip(action[:, 0], -_STRONGEST, _STRONGEST)
        from_upright = ((angle + math.pi) % (2 * math.pi)) - math.pi
        cost = from_upright**2 + 0.1 * speed**2 + 0.001 * torque**2
        faster = speed + (1.5 * _GRAVITY * np.sin(angle) + 3.0 * torque) * _SECONDS
        after = np.empty_like(state)
        after[:, 1] = np.clip(faster, -_FASTEST, _FASTEST)
        after[:, 0] = angle + after[:, 1] * _SECONDS
        return after, -cost, np.zeros(len(state), dtype=bool)

    def observe(self, state: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Cosine, sine, angular velocity, in single precision."""
        seen = np.empty((len(state), 3), dtype=np.float32)
        seen[:, 0], seen[:, 1], seen[:, 2] = np.cos(state[:, 0]), np.sin(state[:, 0]), state[:, 1]
        return seen
