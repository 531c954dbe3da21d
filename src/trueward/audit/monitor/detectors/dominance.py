"""One part of the reward decides alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step

REST = 0.05
LESS = 0.5
NOTHING = 1e-24
"""A variance below this share of the squared mean is rounding."""


class ComponentDominance(Detector):
    """One part makes nearly all of the variance of the total: the others make at most 0.05, and at most half as much
    as at first.

    share_k = Cov(part_k, total) / Var(total) over the rollouts of a step; the shares sum to 1, and neither scale nor
    shift of the reward enters. What makes all of the variance makes all of the advantages.
    """

    short = "dominance"
    sides = ("up",)

    def measure(self, step: Step) -> Mapping[str, float]:
        """Share of each part; nothing where there are fewer than two parts or all totals are one."""
        if len(step.parts) < 2:
            return {}
        total = step.reward
        mean = float(np.add.reduce(total)) / len(step)
        if mean != mean:
            return self.measure(_scored(step)) if np.isfinite(total).any() else {}
        centred = total - mean
        variance = float(centred @ centred)
        if variance <= NOTHING * len(step) * mean * mean:
            return {}
        return {name: float(centred @ values) / variance for name, values in step.parts.items()}

    def judge(self, key: str, series: Series) -> str | None:
        """It makes nearly all of the variance."""
        if 1.0 - series.recent > min(REST, LESS * (1.0 - series.reference)):
            return None
        return f"the part {key!r} makes {series.recent:.0%} of the reward's variance, {series.reference:.0%} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """The highest rewards."""
        return np.argsort(-step.reward, kind="stable")


def _scored(step: Step) -> Step:
    """The rows that have a total."""
    kept = np.isfinite(step.reward)
    parts = {name: values[kept] for name, values in step.parts.items()}
    status = [one for one, keep in zip(step.status, kept, strict=True) if keep]
    return Step(step.number, (), (), step.reward[kept], parts, status, step.length[kept])
