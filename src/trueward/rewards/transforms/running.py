"""Transforms with running statistics of all rewards so far: mean and deviation, clip, smallest and largest.

Only training moves the statistics: a reward that is evaluated must not change what the next update earns. The batch
itself is counted before it is transformed. Rows that are not ok do not enter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import RewardError
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.parts import each_paid, mapped

_AFFINE = frozenset({Guarantee.POLICY_INVARIANT, Guarantee.ORDER_PRESERVING})


@dataclass(frozen=True)
class Seen:
    """Statistics of the rewards seen so far.

    Attributes:
        count: how many.
        mean: their mean.
        squares: sum of their squared deviations from it.
        lowest, highest: the smallest and largest; 0 before there are any.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    lowest: float = 0.0
    highest: float = 0.0

    def merged(self, values: Float[np.ndarray, " m"]) -> Seen:
        """These statistics with m more rewards.

        With n and m rewards of means a and b: mean a + (b − a) · m / (n + m), and the squares of both plus
        (b − a)² · n · m / (n + m). Means are taken over differences to one reward, so that rewards that are all equal
        have squares of exactly 0.

        Reference: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance".
        """
        if not values.size:
            return self
        first = float(values[0]) if self.count == 0 else self.mean
        differences = values - first
        mean = float(differences.mean())
        squares = float(((differences - mean) ** 2).sum())
        total = self.count + values.size
        return Seen(
            count=total,
            mean=first + mean * values.size / total,
            squares=self.squares + squares + mean * mean * self.count * values.size / total,
            lowest=min(float(values.min()), self.lowest if self.count else math.inf),
            highest=max(float(values.max()), self.highest if self.count else -math.inf),
        )

    @property
    def deviation(self) -> float:
        """Population standard deviation; 1 while nothing varies."""
        deviation = math.sqrt(self.squares / self.count) if self.count else 0.0
        return deviation or 1.0

    @property
    def span(self) -> float:
        """Largest minus smallest; 1 while nothing varies."""
        return (self.highest - self.lowest) or 1.0


@dataclass
class Running:
    """A function of rewards and of what has been seen of their part so far, applied to every paid part.

    Attributes:
        name: what it is called.
        function: from statistics and values to values; not decreasing in the values.
        guarantees: what it keeps.
        seen: statistics of each part, by name.
    """

    name: str
    function: Callable[[Seen, np.ndarray], np.ndarray]
    guarantees: frozenset[Guarantee]
    seen: dict[str, Seen] = field(default_factory=dict)

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """Every paid part, transformed; in training its statistics take the batch in first."""

        def changed(name: str, part: Part) -> Part:
            seen = self.seen.get(name, Seen())
            if context.training:
                seen = self.seen[name] = seen.merged(part.values[part.present])
            return mapped(part, lambda values: self.function(seen, values)) if seen.count else part

        return each_paid(scores, changed)

    def state_dict(self) -> dict[str, Any]:
        """Statistics of each part, as plain numbers."""
        return {"seen": {name: asdict(seen) for name, seen in self.seen.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: it is the state of something else.
        """
        try:
            self.seen = {str(name): Seen(**seen) for name, seen in state["seen"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise RewardError(
                f"{self.name}: the saved state is not that of running statistics: {state!r:.100} ({error})"
            ) from error


def standardise() -> Running:
    """Meanstd: r' = (r − μ) / s with running mean and population standard deviation; s = 0 counts as 1.

    Inside a group it is affine, so group-normalised advantages do not notice it. Without group normalisation it sets
    the scale against a KL penalty.

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770.
    """
    return Running("standardise", lambda seen, values: (values - seen.mean) / seen.deviation, _AFFINE)


def running_clip(deviations: float = 1.0) -> Running:
    """r' = min(max(r, μ − d · s), μ + d · s) with running mean and population standard deviation; s = 0 counts as 1.

    Args:
        deviations: d.

    Raises:
        ValueError: d is not a positive number.

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770 (d = 1).
    """
    if not 0.0 < deviations < math.inf:
        raise ValueError(f"running_clip({deviations!r}): a positive number of deviations is needed")

    def clipped(seen: Seen, values: np.ndarray) -> np.ndarray:
        width = deviations * seen.deviation
        return values.clip(seen.mean - width, seen.mean + width)

    return Running("running_clip", clipped, frozenset({Guarantee.ORDER_PRESERVING, Guarantee.BOUNDED}))


def running_range() -> Running:
    """Minmax: r' = (r − min) / (max − min) over all rewards so far; a difference of 0 counts as 1.

    One outlier is never forgotten. In evaluation rewards may lie outside of [0, 1].

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770.
    """
    return Running("running_range", lambda seen, values: (values - seen.lowest) / seen.span, _AFFINE)
