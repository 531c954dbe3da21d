"""The bootstrap: how much a mean would vary if the units had been drawn again."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

RESAMPLES = 1000

_DRAWN_AT_ONCE = 1 << 22  # counts held at a time: 32 MiB


def resampled_means(
    values: Float[np.ndarray, "n k"], resamples: int = RESAMPLES, seed: int | np.random.Generator = 0
) -> Float[np.ndarray, "b k"]:
    """Column means over as many rows as there are, drawn with replacement, once for each resample.

    Statistics that are functions of means follow from the rows of the result, and their quantiles are the ends of a
    percentile interval. A row should be one independent unit: a prompt, an episode.

    Args:
        values: K numbers of each of N units.
        resamples: B.
        seed: of the drawing, or what draws.

    Reference: Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    generator = np.random.default_rng(seed)
    units = len(values)
    block = max(1, _DRAWN_AT_ONCE // units)
    means = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, block):
        counts = generator.multinomial(units, np.full(units, 1 / units), size=min(block, resamples - start))
        means[start : start + block] = counts.astype(np.float64) @ values / units
    return means


def sums_by(cluster: np.ndarray, values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "g k"]:
    """Sums of the rows that belong together, so that they can be drawn together.

    Args:
        cluster: what each row belongs to, [N].
        values: K numbers of each of N rows.
    """
    _, place = np.unique(cluster, return_inverse=True)
    return np.stack([np.bincount(place.ravel(), weights=column) for column in values.T], axis=1)
