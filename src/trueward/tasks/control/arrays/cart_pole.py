"""Gymnasium's CartPole-v1 as arrays."""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces
from jaxtyping import Bool, Float, Int

from trueward.tasks.control.arrays.environment import ArrayEnv

_GRAVITY, _POLE_MASS, _TOTAL_MASS, _HALF_LENGTH, _FORCE, _SECONDS = 9.8, 0.1, 1.1, 0.5, 10.0, 0.02
_POLE_MOMENT = _POLE_MASS * _HALF_LENGTH
_FAR, _TILTED = 2.4, 12 * 2 * math.pi / 360


class CartPole(ArrayEnv):
    """Balance a pole on a cart: 1 per step, over when the pole falls or the cart leaves.

    States are position, velocity, angle and angular velocity, observed in single precision; actions push left (0) or
    right (1).

    Args:
        count: environments.
        horizon: steps after which an episode is truncated.

    Reference: Barto, Sutton and Anderson 1983; Gymnasium's CartPole-v1.
    """

    def __init__(self, count: int = 1, horizon: int | None = 500) -> None:
        high = np.array([2 * _FAR, np.inf, 2 * _TILTED, np.inf], dtype=np.float32)
        super().__init__(count, spaces.Box(-high, high, dtype=np.float32), spaces.Discrete(2), horizon)

    def begin(self, generator: np.random.Generator, count: int) -> Float[np.ndarray, "n 4"]:
        """Near the middle, nearly upright and at rest."""
        return generator.uniform(-0.05, 0.05, size=(count, 4))

    def advance(
        self, state: Float[np.ndarray, "n 4"], action: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n 4"], Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """One Euler step."""
        x, speed, angle, turn = state.T
        force = np.where(action == 1, _FORCE, -_FORCE)
        cosine, sine = np.cos(angle), np.sin(angle)
        push = (force + _POLE_MOMENT * np.square(turn) * sine) / _TOTAL_MASS
        turning = (_GRAVITY * sine - cosine * push) / (
            _HALF_LENGTH * (4.0 / 3.0 - _POLE_MASS * np.square(cosine) / _TOTAL_MASS)
        )
        moving = push - _POLE_MOMENT * turning * cosine / _TOTAL_MASS
        after = np.empty_like(state)
        after[:, 0] = x + _SECONDS * speed
        after[:, 1] = speed + _SECONDS * moving
        after[:, 2] = angle + _SECONDS * turn
        after[:, 3] = turn + _SECONDS * turning
        fallen = (np.abs(after[:, 0]) > _FAR) | (np.abs(after[:, 2]) > _TILTED)
        return after, np.ones(len(state)), fallen

    def observe(self, state: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """The state in single precision."""
        return state.astype(np.float32)
