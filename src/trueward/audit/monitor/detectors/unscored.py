"""Rewards fail more often."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step
from trueward.status import Status

RISE = 0.1


class Unscored(Detector):
    """Share of rollouts without a usable score, up by 0.1 and more; that of answers which made the reward fail, apart.

    Answers that crash or stall a check may be paid for it, and what is left unscored is not learned from.
    """

    short = "unscored"
    sides = ("up",)

    def measure(self, step: Step) -> Mapping[str, float]:
        """Both shares."""
        bad = len(step) - step.status.count(Status.OK)
        blamed = sum(status.blames_answer for status in step.status) if bad else 0
        return {"all": bad / len(step), "answers_fault": blamed / len(step)}

    def judge(self, key: str, series: Series) -> str | None:
        """Many more."""
        if series.recent < series.reference + RISE:
            return None
        what = "have no usable score" if key == "all" else "made the reward fail"
        return f"{series.recent:.0%} of the rollouts {what}, {series.reference:.0%} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """Those whose answer is to blame, then the others without a score."""
        worth = [2 * status.blames_answer + (status is not Status.OK) for status in step.status]
        order = np.argsort(-np.array(worth), kind="stable")
        return order[: int(np.count_nonzero(worth))]
