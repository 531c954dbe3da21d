"""Intervals for shares and for means of values in [0, 1], with the prompt as unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


def wilson(successes: float | int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share.

    centre = (p + z²/2n) / (1 + z²/n), half = z / (1 + z²/n) · sqrt(p(1 − p)/n + z²/4n²), with p = successes / n and z
    the two-sided normal quantile. For values in [0, 1] that are not only 0 and 1, `successes` may be their sum: their
    variance is at most p(1 − p), so the interval is conservative.

    Args:
        successes: number of successes, or the sum of n values in [0, 1].
        n: number of units (prompts), at least 0.
        level: two-sided confidence, in (0, 1).

    Returns:
        Lower and upper bound; (0, 1) when n is 0.

    Raises:
        ValueError: successes outside [0, n] or level outside (0, 1).

    Reference: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if n == 0:
        return 0.0, 1.0
    if not 0 <= successes <= n or not 0 < level < 1:
        raise ValueError(f"wilson({successes!r}, {n!r}, {level!r}): need 0 <= successes <= n and 0 < level < 1")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = successes / n
    shrink = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def bounded_mean(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean of values after clipping each to [0, 1], with its Wilson interval.

    Returns:
        Mean, lower and upper bound; (nan, 0, 1) for no values.
    """
    if not values:
        return math.nan, 0.0, 1.0
    clipped = [min(1.0, max(0.0, value)) for value in values]
    low, high = wilson(math.fsum(clipped), len(clipped), level)
    return math.fsum(clipped) / len(clipped), low, high
