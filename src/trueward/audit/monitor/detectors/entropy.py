"""The policy has come down to few completions, or scatters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step

COLLAPSE = 20.0
SCATTER = 2.0


class Entropy(Detector):
    """Entropy per decision, down to a twentieth or up to the double.

    The estimate is minus the mean log-probability of what was sampled, so it needs `Step.logprobs`. Learning lowers
    entropy as well, by a factor of ten where a task is solved: hence the twentieth.
    """

    short = "entropy"
    sides = ("down", "up")

    def measure(self, step: Step) -> Mapping[str, float]:
        """Minus the mean log-probability."""
        return {} if step.logprobs is None else {"": -float(np.add.reduce(step.logprobs)) / len(step)}

    def judge(self, key: str, series: Series) -> str | None:
        """Collapsed or scattered."""
        recent, reference = series.recent, series.reference
        collapsed = series.changed("down") and recent * COLLAPSE <= reference
        scattered = series.changed("up") and recent >= SCATTER * reference
        if reference <= 0 or not (collapsed or scattered):
            return None
        return (
            f"entropy per decision {'collapsed' if collapsed else 'grew'} to {recent:.3g}, was {reference:.3g} at first"
        )

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """The likeliest where it collapsed, else the unlikeliest."""
        assert step.logprobs is not None
        series = self._series[""]
        return np.argsort(-step.logprobs if series.recent < series.reference else step.logprobs, kind="stable")
