"""How well a score tells right answers from wrong ones: to the same prompts, or over a whole set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float


def paired_auc(pairs: Sequence[tuple[float, float]]) -> float:
    """Share of pairs whose first value is the larger, ties counting half: the AUC within prompts.

    Args:
        pairs: (score of the right answer, score of a wrong answer) of one prompt each.

    Returns:
        A share in [0, 1]; .5 for no pairs, which is what a score that sees nothing would get.
    """
    if not pairs:
        return 0.5
    wins = sum(1.0 if right > wrong else 0.5 if right == wrong else 0.0 for right, wrong in pairs)
    return wins / len(pairs)


def area_under_curve(score: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Chance that a positive row has a larger score than a negative one, ties counting half: the AUC over all pairs.

    AUROC = (1 / n₊n₋) Σ_{i positive} Σ_{j negative} (1[s_i > s_j] + ½ 1[s_i = s_j]).

    Returns:
        A share in [0, 1]; .5 where all rows are of one kind, which is what a score that sees nothing would get.

    Raises:
        ValueError: a score is NaN, which has no place in an order.
    """
    if np.isnan(score).any():
        raise ValueError("a score is NaN, so it has no place in the order; leave its row out")
    right, wrong = score[positive], np.sort(score[~positive])
    if not len(right) or not len(wrong):
        return 0.5
    wins = (np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")) / 2
    return float(wins.mean() / len(wrong))
