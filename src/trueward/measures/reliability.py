"""How well stated probabilities and scores agree with what is true: reliability, calibration error, AUC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Reliability:
    """Stated probabilities against what happened, in bins of equal width.

    Attributes:
        edges: of the B bins, from 0 to 1.
        count: number of entries in each bin.
        stated: mean stated probability of each bin; NaN where it is empty.
        observed: mean label of each bin; NaN where it is empty.
        error: expected calibration error, Σ_b (n_b / n) |observed_b − stated_b|.
        largest_error: max_b |observed_b − stated_b|.
        brier: mean squared difference of stated probability and label.
    """

    edges: Float[np.ndarray, " edges"]
    count: Int[np.ndarray, " b"]
    stated: Float[np.ndarray, " b"]
    observed: Float[np.ndarray, " b"]
    error: float
    largest_error: float
    brier: float


def reliability(probability: Float[np.ndarray, " n"], label: Float[np.ndarray, " n"], bins: int = 10) -> Reliability:
    """Reliability diagram and expected calibration error.

    Args:
        probability: stated probabilities, in [0, 1].
        label: what is true, in [0, 1]; soft labels count as shares.
        bins: B; the last one includes 1.

    Raises:
        ValueError: no entries, an entry outside [0, 1], or fewer than one bin.

    Reference: Naeini, Cooper, Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning", eq. 2.
    """
    for what, given in (("probability", probability), ("label", label)):
        if not len(given) or not ((given >= 0) & (given <= 1)).all():
            raise ValueError(f"reliability needs at least one {what}, all in [0, 1]; leave failed rows out")
    if len(probability) != len(label) or bins < 1:
        raise ValueError(f"got {len(probability)} probabilities, {len(label)} labels and {bins} bins")
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        stated = np.bincount(place, weights=probability, minlength=bins) / count
        observed = np.bincount(place, weights=label, minlength=bins) / count
    gap = np.abs(observed - stated)[count > 0]
    return Reliability(
        edges=np.linspace(0.0, 1.0, bins + 1),
        count=count,
        stated=stated,
        observed=observed,
        error=float((gap * count[count > 0]).sum() / len(label)),
        largest_error=float(gap.max()),
        brier=float(np.mean((probability - label) ** 2)),
    )


def area_under_curve(score: Float[np.ndarray, " n"], label: Float[np.ndarray, " n"]) -> float:
    """Probability that a random right one scores above a random wrong one, ties counting half: the AUC.

    AUC = (Σ ranks of the right − n₁(n₁ + 1)/2) / (n₁ n₀), with mean ranks for ties.

    Args:
        score: finite scores.
        label: above ½ for right.

    Returns:
        A share in [0, 1]; NaN where one of the two classes is empty, because there is nothing to compare.

    Raises:
        ValueError: lengths differ, or a score is not finite.

    Reference: Hanley and McNeil 1982, "The meaning and use of the area under a ROC curve".
    """
    if len(score) != len(label) or not np.isfinite(score).all():
        raise ValueError(f"got {len(score)} scores for {len(label)} labels: one finite score each is needed")
    right = label > 0.5
    positives, negatives = int(right.sum()), int((~right).sum())
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks = (last - (count - 1) / 2)[place]
    return float((ranks[right].sum() - positives * (positives + 1) / 2) / (positives * negatives))
