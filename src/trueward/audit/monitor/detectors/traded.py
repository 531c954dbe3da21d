"""The total rises while one of its parts is given up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from trueward.audit.monitor.detectors.detector import Detector
from trueward.audit.monitor.detectors.rank_test import Side
from trueward.audit.monitor.detectors.series import Series
from trueward.audit.monitor.step import Step

FALL = 1.0


class TradedPart(Detector):
    """The mean of a part falls by one standard deviation and more while the mean total rises.

    The deviation is the one between the rollouts of a step, its median over the reference window. Needs two parts.
    """

    short = "traded_part"
    sides = ("down",)

    def tests(self, key: str) -> tuple[Side, ...]:
        """Means of parts are tested; the total and the deviations are kept to compare."""
        return self.sides if key.startswith("mean/") else ()

    def measure(self, step: Step) -> Mapping[str, float]:
        """Mean total, and mean and standard deviation of each part, of rows that have one."""
        if len(step.parts) < 2:
            return {}
        numbers = {"total": _moments(step.reward)[0]}
        for name, values in step.parts.items():
            numbers[f"mean/{name}"], numbers[f"deviation/{name}"] = _moments(values)
        return {key: value for key, value in numbers.items() if value == value}

    def judge(self, key: str, series: Series) -> str | None:
        """Fallen, and the total risen."""
        name = key.removeprefix("mean/")
        total, deviation = self.kept("total"), self.kept(f"deviation/{name}")
        if total is None or deviation is None or deviation.reference <= 0 or not total.recent > total.reference:
            return None
        if series.recent > series.reference - FALL * deviation.reference:
            return None
        return (
            f"the part {name!r} fell to {series.recent:.4g} from {series.reference:.4g}, "
            f"while the total rose to {total.recent:.4g} from {total.reference:.4g}"
        )

    def telling(self, step: Step) -> Int[np.ndarray, " n"]:
        """The highest rewards."""
        return np.argsort(-step.reward, kind="stable")


def _moments(values: np.ndarray) -> tuple[float, float]:
    mean = float(np.add.reduce(values)) / len(values)
    if mean != mean:
        values = values[values == values]
        if not len(values):
            return float("nan"), float("nan")
        mean = float(values.sum()) / len(values)
    rest = values - mean
    return mean, (float(rest @ rest) / len(values)) ** 0.5
