"""Running statistics of observations and of bonuses, whose scales nobody knows beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from trueward.errors import RewardError
from trueward.rewards.transforms.running import Seen

_LEAST_DEVIATION = 1e-4  # of an entry that hardly varied


class ObservationNormaliser:
    """(x − mean) / deviation for every entry, clipped; fixed once enough was seen.

    A normaliser that goes on moving makes another state of the same observation, and with it another target: what was
    learnt about it is forgotten.

    Attributes:
        warm_up: observations after which it stands still; 0 for one that leaves observations as they are.
        clip: largest absolute value that it returns.
    """

    def __init__(self, warm_up: int, clip: float = 5.0) -> None:
        self.warm_up, self.clip = warm_up, clip
        self.count = 0
        self.mean: np.ndarray | None = None
        self.squares: np.ndarray | None = None

    def update(self, observation: Float[np.ndarray, "n d"]) -> None:
        """Take observations in, unless it stands still."""
        if self.count >= self.warm_up:
            return
        n = len(observation)
        mean = observation.mean(axis=0, dtype=np.float64)
        squares = ((observation - mean) ** 2).sum(axis=0)
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = n, mean, squares
            return
        total, difference = self.count + n, mean - self.mean
        self.squares = self.squares + squares + difference**2 * (self.count * n / total)
        self.mean = self.mean + difference * (n / total)
        self.count = total

    def __call__(self, observation: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Normalised observations; only clipped before the first update."""
        if self.warm_up == 0:
            return observation
        standard: np.ndarray = observation
        if self.mean is not None and self.squares is not None:
            standard = (observation - self.mean) / np.maximum(np.sqrt(self.squares / self.count), _LEAST_DEVIATION)
        return standard.clip(-self.clip, self.clip).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Statistics, as lists."""
        if self.mean is None or self.squares is None:
            return {"count": 0}
        return {"count": self.count, "mean": self.mean.tolist(), "squares": self.squares.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            self.count = int(state["count"])
            self.mean = np.array(state["mean"]) if self.count else None
            self.squares = np.array(state["squares"]) if self.count else None
        except (KeyError, TypeError, ValueError) as error:
            raise RewardError(
                f"the saved state is not that of an observation normaliser: {state!r:.100} ({error})"
            ) from error


class BonusNormaliser:
    """Bonuses divided by the running deviation of their discounted sum, R_t = discount · R_{t−1} + b_t.

    The sum is not cut where an episode ends: what is new does not begin anew. What is normalised no longer shows that
    the bonus falls, so log the raw one too.

    Reference: Burda et al. 2018, "Exploration by random network distillation", arXiv 1810.12894, section 2.4.
    """

    def __init__(self, discount: float = 0.99) -> None:
        """Statistics of nothing.

        Raises:
            RewardError: the discount lies outside of [0, 1).
        """
        if not 0.0 <= discount < 1.0:
            raise RewardError(f"BonusNormaliser(discount={discount!r}): a discount in [0, 1) is needed")
        self.discount = discount
        self.returns: np.ndarray | None = None
        self.seen = Seen()

    @property
    def scale(self) -> float:
        """What bonuses are divided by; 1 while nothing varies."""
        return self.seen.deviation

    def update(
        self, bonus: Float[np.ndarray, "t n"], exists: Bool[np.ndarray, "t n"] | None = None
    ) -> Float[np.ndarray, "t n"]:
        """Take in t steps of n environments.

        Args:
            bonus: raw ones.
            exists: False where an environment was reset in place of a step.

        Returns:
            The bonuses, divided by the scale that holds after them.

        Raises:
            RewardError: there are other environments than before.
        """
        returns = np.zeros(bonus.shape[1]) if self.returns is None else self.returns
        if len(returns) != bonus.shape[1]:
            raise RewardError(
                f"bonuses of {bonus.shape[1]} environments for a normaliser that has seen {len(returns)}: use one "
                "normaliser for each set of environments"
            )
        sums = np.empty(bonus.shape, dtype=np.float64)
        there = np.ones(bonus.shape, dtype=bool) if exists is None else exists
        for step, (paid, steps) in enumerate(zip(bonus, there, strict=True)):
            returns = np.where(steps, self.discount * returns + paid, returns)
            sums[step] = returns
        self.returns = returns
        self.seen = self.seen.merged(sums[there])
        return self.normalised(bonus)

    def normalised(self, bonus: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Bonuses, divided by the scale; nothing is taken in."""
        return bonus / self.scale

    def state_dict(self) -> dict[str, Any]:
        """Statistics, as plain numbers."""
        return {"seen": asdict(self.seen), "returns": None if self.returns is None else self.returns.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            self.seen = Seen(**state["seen"])
            self.returns = None if state["returns"] is None else np.array(state["returns"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise RewardError(f"the saved state is not that of a bonus normaliser: {state!r:.100} ({error})") from error


def flat(observation: Shaped[np.ndarray, "n *observation"]) -> Float[np.ndarray, "n d"]:
    """Observations as rows of numbers."""
    return np.asarray(observation, dtype=np.float32).reshape(len(observation), -1)
