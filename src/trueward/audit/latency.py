"""How long a reward takes, as every report says it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from trueward.report.document import Latency


def latency_of(seconds: Sequence[float], worst_completion: str = "") -> Latency | None:
    """Median, 99th percentile and longest of the times that calls took; None where there was none.

    Args:
        seconds: of each.
        worst_completion: what the longest was about.
    """
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Latency(
        median=median(ordered),
        p99=ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        worst=ordered[-1],
        worst_completion=worst_completion,
    )
