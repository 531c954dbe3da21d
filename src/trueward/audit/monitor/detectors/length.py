"""Completions become much longer or shorter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.rank_test import Side
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step

FACTOR = 1.5
DEVIATIONS = 3.0
LEAST = 1.1
"""A drift of three deviations must be at least this factor too: where all lengths are one, the deviation is 0."""


class LengthDrift(Detector):
    """Mean length, up by half or down by a third, or away by three standard deviations.

    The deviation is the one between the rollouts of a step, its median over the reference window. Judges and reward
    models like long answers, and checks that cannot read an answer are passed by short ones.
    """

    short = "length"
    sides = ("up", "down")

    def tests(self, key: str) -> tuple[Side, ...]:
        """The mean is tested; the deviation is kept to compare."""
        return () if key else self.sides

    def measure(self, step: Step) -> Mapping[str, float]:
        """Mean length of the completions, and their standard deviation."""
        mean = float(np.add.reduce(step.length)) / len(step)
        rest = step.length - mean
        return {"": mean, "deviation": (float(rest @ rest) / len(step)) ** 0.5}

    def judge(self, key: str, series: Series) -> str | None:
        """Longer or shorter by the factor or by the deviations."""
        recent, reference = series.recent, series.reference
        deviation = self.kept("deviation")
        if reference <= 0 or deviation is None:
            return None
        longer = recent > reference
        factor = recent / reference if longer else reference / max(recent, 1e-300)
        away = abs(recent - reference) >= DEVIATIONS * deviation.reference and factor >= LEAST
        if not series.changed("up" if longer else "down") or not (factor >= FACTOR or away):
            return None
        how = "longer" if longer else "shorter"
        return f"completions have become {how}: {recent:.4g} on average, {reference:.4g} at first"

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """The longest where they grew, else the shortest."""
        series = self._series[""]
        return np.argsort(-step.length if series.recent > series.reference else step.length, kind="stable")
