"""Completions run into the limit of their length."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step

RISE = 0.25


class Unfinished(Detector):
    """Share of completions that were cut off instead of ending by themselves, up by 0.25 and more.

    Needs `Step.finished`.
    """

    short = "unfinished"
    sides = ("up",)

    def measure(self, step: Step) -> Mapping[str, float]:
        """Share of completions that were cut off."""
        return {} if step.finished is None else {"": 1.0 - np.count_nonzero(step.finished) / len(step)}

    def judge(self, key: str, series: Series) -> str | None:
        """Many more are cut off."""
        if series.recent < series.reference + RISE:
            return None
        return f"{series.recent:.0%} of the completions are cut off at the limit, {series.reference:.0%} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """Those that were cut off."""
        assert step.finished is not None
        return np.flatnonzero(~step.finished)
