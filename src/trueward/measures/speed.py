"""How fast a run gets somewhere, and what else it is like when it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Crossing:
    """Where a curve first reaches a level.

    Attributes:
        step: straight between the two evaluations around it; the last step where it is not reached.
        reached: whether it was.
        before: place of the evaluation before the crossing.
        share: how far the crossing lies between that evaluation and the next, in [0, 1].
    """

    step: float
    reached: bool
    before: int
    share: float

    def at(self, values: Sequence[float]) -> float:
        """Another curve of the same evaluations, there."""
        after = min(self.before + 1, len(values) - 1)
        return float(values[self.before] + self.share * (values[after] - values[self.before]))


def first_reaching(steps: Sequence[float | int], values: Sequence[float], level: float) -> Crossing:
    """Where a curve first reaches a level from below.

    A run that never does is cut off: it gets its last step, less than what it would need. Whoever compares two runs
    then says too little of the difference where the slower one is cut off, and too much never.

    Args:
        steps: of the evaluations, ascending.
        values: there.
        level: what is to be reached.

    Raises:
        ValueError: no evaluations, or not one value for each.
    """
    if not len(steps) or len(steps) != len(values):
        raise ValueError(f"{len(steps)} steps and {len(values)} values: need at least one, and as many of both")
    found = np.asarray(values, dtype=np.float64)
    there = np.flatnonzero(found >= level)
    if not len(there):
        return Crossing(float(steps[-1]), False, len(steps) - 1, 0.0)
    after = int(there[0])
    if after == 0:
        return Crossing(float(steps[0]), True, 0, 0.0)
    low, high = found[after - 1], found[after]
    share = float((level - low) / (high - low))
    start = float(steps[after - 1])
    return Crossing(start + share * (float(steps[after]) - start), True, after - 1, share)
