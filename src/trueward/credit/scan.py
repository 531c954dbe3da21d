"""The recurrence y_t = x_t + decay · y_{t+1}, along rows: what every discounted return is made of."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

_BLOCK = 16  # long enough to leave few blocks, short enough that the products stay cheap


def discounted_sums(values: Float[np.ndarray, "n t"], decay: float) -> Float[np.ndarray, "n t"]:
    """y_t = Σ_{k ≥ t} decay^{k − t} x_k, from right to left.

    Rows are cut into blocks. The first sum of each block needs only the block and the first sum of the next one, which
    is the same recurrence with decay^block over fewer entries; then the last entry of each block takes in what follows
    it, and all blocks are one matrix product. No step runs over the T entries in Python, no row is read with a stride,
    and a sum is made of sums of at most 16 terms, so that rounding grows with log T and not with T.

    Args:
        values: x, in the precision in which it is to be summed.
        decay: in [0, 1].

    Raises:
        ValueError: a decay outside [0, 1].
    """
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"a decay must lie in [0, 1]; got {decay}")
    rows, width = values.shape
    blocks = -(-width // _BLOCK)
    cut = np.empty((rows, blocks * _BLOCK), dtype=values.dtype)
    cut[:, :width], cut[:, width:] = values, 0.0
    return _sums_of_blocks(cut.reshape(rows, blocks, _BLOCK), decay).reshape(rows, -1)[:, :width]


def _sums_of_blocks(cut: Float[np.ndarray, "n k b"], decay: float) -> Float[np.ndarray, "n k b"]:
    """The sums of rows that are cut into blocks; `cut` is overwritten."""
    powers = _powers(decay, cut.dtype)
    rows, blocks, block = cut.shape
    flat = cut.reshape(-1, block)
    if blocks > 1 and decay > 0.0:
        firsts = discounted_sums((flat @ powers[:, 0]).reshape(rows, blocks), decay**block)
        cut[:, :-1, -1] += cut.dtype.type(decay) * firsts[:, 1:]
    summed: np.ndarray = (flat @ powers).reshape(cut.shape)
    return summed


def varying_sums(values: Float[np.ndarray, "n t"], decays: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n t"]:
    """y_t = x_t + decay_t · y_{t+1}, from right to left, where the decay differs from entry to entry.

    One step per entry, over all rows at once: transposed, so that each step reads what lies together.
    """
    steps, factors = np.ascontiguousarray(values.T), np.ascontiguousarray(decays.T)
    for t in range(len(steps) - 2, -1, -1):
        steps[t] += factors[t] * steps[t + 1]
    return np.ascontiguousarray(steps.T)


@lru_cache(maxsize=64)
def _powers(decay: float, precision: np.dtype[Any]) -> np.ndarray:
    """M[k, t] = decay^{k − t} for k ≥ t, else 0: x M has the discounted sums of one block."""
    later = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)[None, :]
    powers: np.ndarray = np.where(later >= 0, decay ** np.maximum(later, 0.0), 0.0).astype(precision)
    powers.flags.writeable = False
    return powers
