"""From rollouts and segments to decisions.

A rollout's advantage is the same for all its decisions, so it needs no matrix: `spread` gives a view of N numbers in
which each row repeats. Only what differs from decision to decision is written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import DTypeLike


def spread(advantages: Float[np.ndarray, " n"], decisions: int) -> Float[np.ndarray, "n t"]:
    """Every decision gets the advantage of its rollout: a read-only view that takes no memory.

    What lies outside the mask holds the row's advantage too. Losses average under the mask and never see it;
    `spread_written` has zeros there.

    Args:
        advantages: one per rollout.
        decisions: T, columns of the mask.
    """
    return np.broadcast_to(advantages[:, None], (len(advantages), decisions))


def spread_written(
    advantages: Float[np.ndarray, " n"], mask: Bool[Any, "n t"], dtype: DTypeLike = np.float32
) -> Float[np.ndarray, "n t"]:
    """The same as a matrix of its own, 0 outside the mask: for engines that want one.

    Args:
        advantages: one per rollout.
        mask: the decisions of the policy.
        dtype: of the matrix. Rows are rounded to it before they are repeated.
    """
    chosen = np.asarray(mask, dtype=bool)
    written: np.ndarray = np.multiply(advantages.astype(dtype)[:, None], chosen, dtype=dtype)
    return written


def spread_segments(
    advantages: Float[np.ndarray, "n s"], segments: Int[Any, "n t"], mask: Bool[Any, "n t"] | None = None
) -> Float[np.ndarray, "n t"]:
    """Every decision gets the advantage of its segment; 0 outside segments and outside the mask.

    Args:
        advantages: one per segment.
        segments: the segment that each decision belongs to; −1 outside (`Rollouts.segments`).
        mask: the decisions of the policy; None when `segments` is −1 on everything else.

    Raises:
        ValueError: a decision belongs to a segment that has no column.
    """
    belongs, inside = _belonging(advantages.shape, segments, mask)
    if not advantages.shape[1]:
        return np.zeros(belongs.shape)
    found = np.take_along_axis(advantages, np.where(inside, belongs, 0), axis=1)
    return np.where(inside, found, 0.0)


def at_segment_ends(
    rewards: Float[np.ndarray, "n s"], segments: Int[Any, "n t"], mask: Bool[Any, "n t"] | None = None
) -> Float[np.ndarray, "n t"]:
    """Every segment's reward at its last decision, 0 elsewhere: the token rewards that a critic learns from.

    A rollout's reward stands at its last decision when the rollout is one segment: `at_segment_ends(rewards[:, None],
    np.where(mask, 0, -1))`.

    Args:
        rewards: one per segment; 0 where there is none.
        segments: the segment that each decision belongs to; −1 outside.
        mask: the decisions of the policy; None when `segments` is −1 on everything else.

    Raises:
        ValueError: a segment with a reward has no decision that could get it, or a decision belongs to a segment that
            has no column.
    """
    belongs, inside = _belonging(rewards.shape, segments, mask)
    row, column = np.nonzero(inside)
    ends = np.full(rewards.shape, -1)
    # Written from left to right: the last decision of a segment is what remains.
    np.maximum.at(ends, (row, belongs[row, column]), column)
    homeless = int(((rewards != 0.0) & (ends < 0)).sum())
    if homeless:
        raise ValueError(
            f"{homeless} segments have a reward but no decision of the policy: give them 0, or let `segments` say "
            "where they are"
        )
    placed = np.zeros(belongs.shape)
    row, segment = np.nonzero(ends >= 0)
    placed[row, ends[row, segment]] = rewards[row, segment]
    return placed


def _belonging(shape: tuple[int, ...], segments: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
    """Segment of each decision, and which decisions have one."""
    belongs = np.asarray(segments)
    inside: np.ndarray = belongs >= 0
    if mask is not None:
        inside = inside & np.asarray(mask, dtype=bool)
    if len(belongs) != shape[0] or (belongs[inside] >= shape[1]).any():
        highest = int(belongs.max(initial=-1))
        raise ValueError(
            f"values of shape {shape} cannot be spread over segments of {len(belongs)} rows numbered up to {highest}: "
            "one row each, and one column per segment, are needed"
        )
    return belongs, inside
