"""Proxy up, gold flat: the reward has risen and what it stands for has not."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

RECENT = 10
"""Steps that are compared with the window."""

PROXY_UP = 0.65
"""Chance that a recent rollout earns more than one of the window, from which on the reward counts as risen."""

DEVIATIONS = 1.645
"""Standard errors between what gold gained and a gain of the margin."""


class ProxyUp:
    """Compares recent steps with the reference window; no guarantee against false notices.

    The reward is compared by ranks, P(recent > window) + ½ P(equal), so that nothing changes where it is scaled or
    shifted. Gold is flat where its gain is below the margin by 1.645 standard errors.

    Args:
        margin: the gain of gold that counts as one.
    """

    def __init__(self, margin: float) -> None:
        self._margin = margin
        self._rewards: list[float] = []
        self._gold: list[float] = []
        self._ranks: list[float] = []
        self._recent: list[list[float]] = []

    def window(self, rewards: Sequence[float], gold: Float[np.ndarray, " m"]) -> None:
        """A step of the window: what the checked rollouts earned, and gold of their prompts."""
        self._rewards = sorted([*self._rewards, *(reward for reward in rewards if math.isfinite(reward))])
        self._gold += gold.tolist()

    def seen(self, rewards: Sequence[float], gold: Float[np.ndarray, " m"]) -> None:
        """A step after the window."""
        known, before = [reward for reward in rewards if math.isfinite(reward)], self._rewards
        if known and before:
            below = sum(bisect_left(before, reward) + bisect_right(before, reward) for reward in known)
            self._ranks = [*self._ranks[1 - RECENT :], below / (2 * len(known) * len(before))]
        self._recent = [*self._recent[1 - RECENT :], gold.tolist()]

    @property
    def rank(self) -> float:
        """Chance that a recent rollout earns more than one of the window; ½ where nothing is known."""
        return sum(self._ranks) / len(self._ranks) if self._ranks else 0.5

    def found(self) -> tuple[float, float] | None:
        """Gain of gold and its standard error where the reward is up and gold is not; else None."""
        if len(self._recent) < RECENT or self.rank < PROXY_UP:
            return None
        recent, before = np.concatenate([np.array(one) for one in self._recent]), np.array(self._gold)
        if len(recent) < 2 or len(before) < 2 or before.mean() > 1 - self._margin:
            return None
        gain = float(recent.mean() - before.mean())
        error = math.sqrt(float(recent.var() / len(recent) + before.var() / len(before)))
        return (gain, error) if gain + DEVIATIONS * error < self._margin else None

    def state_dict(self) -> dict[str, Any]:
        """Everything that it keeps, as JSON values."""
        return {
            "rewards": list(self._rewards),
            "gold": list(self._gold),
            "ranks": list(self._ranks),
            "recent": [list(one) for one in self._recent],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        self._rewards, self._gold, self._ranks = (list(state[name]) for name in ("rewards", "gold", "ranks"))
        self._recent = [list(one) for one in state["recent"]]
