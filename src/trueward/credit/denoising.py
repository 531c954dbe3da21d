"""Advantages of the single steps of denoising.

With a process reward r_it of the state of sample i at step t, compared within the group g of the sample (one prompt),
step by step:

    A_it = (r_it − mean_g r_t) / (std_g r_t + ε),   held within ±c

Comparing per step and not over the path matters because the level of a process reward rises as noise goes: pooled,
late steps would look better than early ones, whoever took them.

Beside the advantage of the finished sample (`score_advantages`) it belongs into a clipped loss of its own,
c_O L(ρ, A^O) + c_P L(ρ, A^P): clipping a sum is another thing wherever the two disagree.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.credit.group import Advantages, Deviation, Statistic, group_advantages


def process_advantages(
    rewards: Float[Any, "n t"],
    group: Int[Any, " n"],
    *,
    recorded: Bool[Any, "n t"] | None = None,
    statistic: Statistic = "z_score",
    bound: float | None = 5.0,
    deviation: Deviation = "sample",
    epsilon: float = 1e-8,
) -> Advantages:
    """What each state is worth, compared with the states of the group at the same step, held within ±bound.

    Columns stay in the order of sampling: training, which takes a random share of the steps, looks them up by their
    place there.

    Args:
        rewards: of the state at each step; NaN is no reward (the model failed on it).
        group: samples with the same number are compared.
        recorded: False where the process reward was not asked, such as outside a window of steps; by default all.
        bound: c; None for none.
        statistic, deviation, epsilon: as in `group_advantages`.

    Returns:
        Advantages [N, T]; 0 where nothing was recorded or the states of a step tell nobody apart.

    Raises:
        ValueError: as `group_advantages`, or the bound is not positive.

    Reference: Zhong et al. 2026, arXiv 2602.04928 (dual reward), whose code records 0 for a failure and for a step that
    was not asked; here both are no reward.
    """
    if bound is not None and not bound > 0:
        raise ValueError(f"advantages are held within ±bound, which must be positive; got {bound}")
    values = np.asarray(rewards, dtype=np.float64)
    steps = values.shape[1]
    per_step = np.asarray(group)[:, None] * steps + np.arange(steps)
    compared = group_advantages(
        values, per_step, valid=recorded, statistic=statistic, deviation=deviation, epsilon=epsilon
    )
    held = compared.values if bound is None else np.clip(compared.values, -bound, bound)
    return dataclasses.replace(compared, values=held)
