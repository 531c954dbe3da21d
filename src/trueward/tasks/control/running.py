"""Running as the reward functions of MuJoCo's robots see it, and as it was meant.

The proxy pays for speed alone. What is wanted is speed without throwing oneself about: effort and leaving the usual
height cost something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.errors import TrainingError


@dataclass(frozen=True)
class Running:
    """A robot of Gymnasium's MuJoCo environments that reports `x_velocity`, and whose first observation is its height.

    Attributes:
        environment: HalfCheetah-v5, Walker2d-v5 or Hopper-v5.
        control_cost: of the squared action, summed over the joints.
        height_cost: of the distance from the height at which it begins.
    """

    environment: str = "HalfCheetah-v5"
    control_cost: float = 1.0
    height_cost: float = 2.0

    @property
    def features(self) -> tuple[str, ...]:
        """Entries of `info` that the rewards read."""
        return ("x_velocity",)

    @staticmethod
    def proxy(x_velocity: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Speed."""
        return x_velocity

    def true(
        self,
        x_velocity: Float[np.ndarray, " n"],
        action: Float[np.ndarray, "n d"],
        next_observation: Float[np.ndarray, "n o"],
    ) -> Float[np.ndarray, " n"]:
        """Speed − cost of effort − cost of leaving the height."""
        effort = np.square(np.clip(action, -1.0, 1.0)).sum(axis=-1)
        away = np.abs(next_observation[..., 0] - _HEIGHT[self.environment])
        wanted: np.ndarray = x_velocity - self.control_cost * effort - self.height_cost * away
        return wanted

    def make(self, count: int) -> Any:
        """N environments.

        Raises:
            TrainingError: it is none of these robots.
        """
        import gymnasium

        if self.environment not in _HEIGHT:
            raise TrainingError(f"environment={self.environment!r}; expected one of {', '.join(_HEIGHT)}")
        return gymnasium.make_vec(self.environment, num_envs=count)


_HEIGHT = {"HalfCheetah-v5": 0.0, "Walker2d-v5": 1.25, "Hopper-v5": 1.25}
