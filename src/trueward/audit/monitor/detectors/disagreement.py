"""The members of an ensemble come apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step

FACTOR = 2.0


class EnsembleDisagreement(Detector):
    """Mean disagreement of an ensemble, up to the double and more.

    Looks at what is seen but not paid and has "disagreement" in its name, as `rewards.models.ensemble` gives it. It
    grows where the members are asked about completions that they were not fitted on; where all members err alike it
    stays small.
    """

    short = "disagreement"
    sides = ("up",)

    def measure(self, step: Step) -> Mapping[str, float]:
        """Mean of each such column."""
        means = {}
        for name, values in step.seen.items():
            if "disagreement" in name:
                mean = float(np.add.reduce(values)) / len(values)
                if mean != mean and np.isfinite(values).any():
                    mean = float(np.nanmean(values))
                means[name] = mean
        return {name: mean for name, mean in means.items() if mean == mean}

    def judge(self, key: str, series: Series) -> str | None:
        """Doubled."""
        if series.reference <= 0 or series.recent < FACTOR * series.reference:
            return None
        return f"{key} of the ensemble is {series.recent:.3g} on average, {series.reference:.3g} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """Where it is largest."""
        names = [name for name in step.seen if "disagreement" in name]
        return np.argsort(-step.seen[names[0]], kind="stable")
