"""Rewards leave the range in which the run began."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import BUDGET, Detector
from trueward.audit.monitor.detectors.series import WINDOW, Series
from trueward.audit.monitor.step import Step

QUARTER = 0.25


class BeyondReference(Detector):
    """A quarter of the rollouts and more earn more than the best rollout of the reference window.

    A learned reward was fitted on completions like those of the start; what earns more than any of them lies where it
    has never been checked. Rules with few values are not touched by it once their highest value has been earned. The
    number is the upper quartile of the rewards, the threshold the highest reward of the first ten steps.
    """

    short = "beyond_reference"
    sides = ("up",)

    def __init__(self, budget: float = BUDGET) -> None:
        super().__init__(budget)
        self._best = float("-inf")
        self._steps = 0

    def measure(self, step: Step) -> Mapping[str, float]:
        """The value that a quarter of the rollouts with a reward reach or exceed."""
        rewards = np.sort(step.reward)
        scored = step.scored
        if not scored:
            return {}
        if self._steps < WINDOW:
            self._steps += 1
            self._best = max(self._best, float(rewards[scored - 1]))
        return {"": float(rewards[scored - 1 - int(QUARTER * (scored - 1))])}

    def judge(self, key: str, series: Series) -> str | None:
        """The quarter is above all that there was."""
        if not series.recent > self._best:
            return None
        return (
            f"a quarter of the rollouts earn {series.recent:.4g} and more; "
            f"the best of the first {WINDOW} steps earned {self._best:.4g}"
        )

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """The highest rewards."""
        return np.argsort(-step.reward, kind="stable")

    def state_dict(self) -> dict[str, Any]:
        """All that it keeps, as JSON values."""
        return super().state_dict() | {"steps": self._steps, "best": self._best if self._steps else None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take that back."""
        super().load_state_dict(state)
        self._steps = int(state["steps"])
        self._best = float("-inf") if state["best"] is None else float(state["best"])
