"""Exact counts, for states that can be told apart: the reference of every bonus that only estimates them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from trueward.errors import RewardError
from trueward.rewards.intrinsic.novelty import Novelty

Key = Callable[[np.ndarray], np.ndarray]


class CountNovelty(Novelty):
    """b(s) = (n(s) + 1)^(−power), where n(s) is how often s was visited before.

    With power ½ it is the bonus of optimism under uncertainty; with power 1 it is what random distribution
    distillation estimates.

    Reference: Strehl and Littman 2008, "An analysis of model-based interval estimation for Markov decision processes".
    """

    def __init__(self, key: Key | None = None, power: float = 0.5) -> None:
        """Counts of nothing yet.

        Args:
            key: from observations [n, …] to what tells states apart [n, …]; None for the whole observation.
            power: how fast the bonus falls, above 0.

        Raises:
            RewardError: the power is not above 0.
        """
        if not power > 0.0:
            raise RewardError(f"CountNovelty(power={power!r}): a bonus falls with visits only for a power above 0")
        self.key, self.power = key, power
        self.visits: dict[bytes, int] = {}
        self.total = 0
        self._paid = 0.0
        self._since = 0

    @property
    def name(self) -> str:
        """For logs."""
        return "count"

    def bonus(self, observation: Shaped[np.ndarray, "n *observation"]) -> Float[np.ndarray, " n"]:
        """(n + 1)^(−power) for each observation."""
        return (self.counts(observation) + 1.0) ** -self.power

    def counts(self, observation: Shaped[np.ndarray, "n *observation"]) -> Float[np.ndarray, " n"]:
        """How often each was visited."""
        return np.array([self.visits.get(key, 0) for key in self._keys(observation)], dtype=np.float64)

    def observe(self, observation: Shaped[np.ndarray, "n *observation"]) -> None:
        """Count each."""
        self._paid += float(self.bonus(observation).sum())
        for key in self._keys(observation):
            self.visits[key] = self.visits.get(key, 0) + 1
        self._since += len(observation)
        self.total += len(observation)

    def learn(self) -> dict[str, float]:
        """There is nothing to train; tells how many states were seen."""
        mean, self._paid, self._since = self._paid / max(self._since, 1), 0.0, 0
        return {"raw_bonus": mean, "states": float(len(self.visits))}

    def state_dict(self) -> dict[str, Any]:
        """The counts, by the bytes of each key in hexadecimal digits."""
        return {"total": self.total, "visits": {key.hex(): count for key, count in self.visits.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            self.visits = {bytes.fromhex(key): int(count) for key, count in state["visits"].items()}
            self.total = int(state["total"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RewardError(f"the saved state is not that of counts: {state!r:.100} ({error})") from error

    def _keys(self, observation: np.ndarray) -> list[bytes]:
        keys = np.asarray(observation if self.key is None else self.key(observation))
        if len(keys) != len(observation):
            raise RewardError(f"the key of a count gave {len(keys)} keys for {len(observation)} observations")
        return [row.tobytes() for row in np.ascontiguousarray(keys)]
