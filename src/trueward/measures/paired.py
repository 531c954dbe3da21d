"""Student's t intervals of means over seeds, and of differences that are paired by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trueward.errors import MissingExtra


@dataclass(frozen=True)
class Interval:
    """A mean with its interval.

    Attributes:
        mean: of n values; NaN for none.
        low, high: ends of the interval; infinite below two values.
        n: number of values.
    """

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean of independent values with its two-sided Student's t interval.

    mean ± t · s / √n, with s² = Σ(x − mean)² / (n − 1) and t the (1 + level)/2 quantile at n − 1 degrees of freedom.
    Fewer than two values say nothing about their spread: the interval is the whole line. Values that are all equal
    give an interval of length zero.

    Args:
        values: n finite numbers, one per seed.
        level: two-sided confidence, in (0, 1).

    Raises:
        ValueError: a value is not finite, or level is outside (0, 1).
        MissingExtra: scipy is not installed.

    Reference: Student 1908, "The probable error of a mean".
    """
    if not 0 < level < 1 or not all(math.isfinite(value) for value in values):
        raise ValueError(f"mean_interval({list(values)!r}, {level!r}): need finite values and 0 < level < 1")
    n = len(values)
    if n < 2:
        return Interval(values[0] if n else math.nan, -math.inf, math.inf, n)
    # Equal values have no spread; their computed mean may differ from them in the last digit.
    if all(value == values[0] for value in values):
        return Interval(float(values[0]), float(values[0]), float(values[0]), n)
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    half = _quantile(n - 1, 0.5 + level / 2) * spread / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def paired_interval(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Mean of a − b with its Student's t interval, where a[i] and b[i] were measured under the same seed.

    What the seed decides for both (task draw, warm start, evaluation prompts) drops out of the difference.

    Raises:
        ValueError: a and b have different lengths, or as `mean_interval`.
    """
    if len(a) != len(b):
        raise ValueError(f"paired values need one partner each; got {len(a)} and {len(b)}")
    return mean_interval([first - second for first, second in zip(a, b, strict=True)], level)


def _quantile(degrees: int, probability: float) -> float:
    try:
        from scipy.special import stdtrit
    except ImportError as error:
        raise MissingExtra("intervals over seeds need scipy: pip install 'trueward[train]'") from error
    return float(stdtrit(degrees, probability))
