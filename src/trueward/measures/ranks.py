"""Correlation of ranks."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def rank_correlation(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " n"]) -> float:
    """Spearman's ρ: the correlation of the ranks; equal values share theirs.

    Raises:
        ValueError: fewer than two values, different numbers of them, or one side stands still.
    """
    if a.shape != b.shape or len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        raise ValueError(
            f"a rank correlation needs two or more pairs, neither side all equal; got shapes {a.shape} and {b.shape}"
        )
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[index]
    return shared
