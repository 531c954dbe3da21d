"""Groups teach nothing any more: all of their rollouts earn the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step

SHARE = 0.98
RISE = 0.25
EQUAL = 1e-9
"""Rewards are the same where they differ by less than this share of the step's range."""


class GroupCollapse(Detector):
    """Share of groups whose rollouts all earn the same, at 0.98 and more and up by 0.25 and more.

    Either the task is solved or the policy says one thing only; with advantages of 0 it learns nothing further. Needs
    `Step.group`; rollouts without a reward are left out, and so are groups with fewer than two others.
    """

    short = "group_collapse"
    sides = ("up",)

    def measure(self, step: Step) -> Mapping[str, float]:
        """Share of groups without variance."""
        if step.group is None:
            return {}
        reward, starts = step.reward, step.starts
        if starts is None:
            order = np.argsort(step.group, kind="stable")
            group, reward = step.group[order], reward[order]
            starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
        high, low = np.fmax.reduceat(reward, starts), np.fmin.reduceat(reward, starts)
        scored = np.add.reduceat(reward == reward, starts, dtype=np.int64) >= 2
        several = np.count_nonzero(scored)
        if not several:
            return {}
        same = high - low <= EQUAL * float(np.fmax.reduce(high) - np.fmin.reduce(low))
        return {"": np.count_nonzero(same & scored) / several}

    def judge(self, key: str, series: Series) -> str | None:
        """Nearly all are without variance."""
        if series.recent < max(SHARE, series.reference + RISE):
            return None
        return f"in {series.recent:.0%} of the groups all rollouts earn the same, {series.reference:.0%} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """As they come: one group after the other."""
        return np.arange(len(step))
