"""The distance of two rewards of answers: episodes of one step, where the prompt is the state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from trueward.measures.resampling import RESAMPLES, resampled_means, sums_by


@dataclass(frozen=True)
class BanditDistance:
    """Distance of two rewards by their scores of the same answers.

    Attributes:
        distance: in [0, 2]; 0 where both order and space the answers of every prompt alike, √2 where they have nothing
            to do with each other, 2 where they are opposite.
        low, high: 95 % interval from resampling prompts.
        correlation: of the scores within prompts; NaN where a reward does not vary within any prompt.
        prompts: that have two or more answers scored by both.
        answers: of those prompts.
        left_out: answers without a score of both, or without another one to the same prompt.
        constant: for each of the two, whether it gives all answers of a prompt the same score.
    """

    distance: float
    low: float
    high: float
    correlation: float
    prompts: int
    answers: int
    left_out: int
    constant: tuple[bool, bool]


def bandit_distance(
    scores_a: Float[np.ndarray, " n"],
    scores_b: Float[np.ndarray, " n"],
    group: Shaped[np.ndarray, " n"],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> BanditDistance:
    """STARC distance of two rewards of answers, from several answers per prompt and without any training.

    In one step the value-adjusted reward is r(x, y) − E_{y~π} r(x, y), so that d = √(2 − 2ρ), with
    ρ = Σ_x cov_x(a, b) / √(Σ_x var_x(a) · Σ_x var_x(b)) over the answers that π gave to each prompt. It sees neither
    the scale of a reward nor what a reward adds to all answers of a prompt.

    Args:
        scores_a, scores_b: scores of the same N answers; NaN where one is missing.
        group: the prompt of each answer.
        resamples: of the prompts, for the interval.
        seed: of the resampling.

    Raises:
        ValueError: lengths differ, a score is infinite, or no prompt has two answers that both rewards scored.

    Reference: Skalse et al. 2024, "STARC", value-adjusted levelling; the case of one step is ours.
    """
    if not len(scores_a) == len(scores_b) == len(group):
        raise ValueError(
            f"got {len(scores_a)} and {len(scores_b)} scores and {len(group)} groups; expected one of each for every "
            "answer"
        )
    if np.isinf(scores_a).any() or np.isinf(scores_b).any():
        raise ValueError("a score is infinite; give NaN where a score is missing, and clip the others")
    rows = np.flatnonzero(~(np.isnan(scores_a) | np.isnan(scores_b)))
    _, place, count = np.unique(group[rows], return_inverse=True, return_counts=True)
    rows = rows[count[place] > 1]
    if not len(rows):
        raise ValueError("no prompt has two answers with a score of both rewards; score at least two answers of each")
    _, place, count = np.unique(group[rows], return_inverse=True, return_counts=True)
    x, y = (_centred(scores[rows], place, count) for scores in (scores_a, scores_b))
    constant = (not x.any(), not y.any())
    share = 1 / (count - 1)[place]
    lengths = [np.sqrt((share * side**2).sum()) or 1.0 for side in (x, y)]
    difference = x / lengths[0] - y / lengths[1]
    moments = np.stack([x * x, y * y, x * y], axis=1) * share[:, None]
    drawn = angle_distance(resampled_means(sums_by(place, moments), resamples, seed))
    correlation = float((share * x * y).sum() / (lengths[0] * lengths[1]))
    return BanditDistance(
        distance=float(np.sqrt((share * difference**2).sum())),
        low=float(np.quantile(drawn, 0.025)),
        high=float(np.quantile(drawn, 0.975)),
        correlation=float("nan") if any(constant) else correlation,
        prompts=len(count),
        answers=len(rows),
        left_out=len(scores_a) - len(rows),
        constant=constant,
    )


def _centred(
    scores: Float[np.ndarray, " n"], place: Int[np.ndarray, " n"], count: Int[np.ndarray, " p"]
) -> Float[np.ndarray, " n"]:
    """Scores less the mean of their prompt; all 0 where only rounding is left."""
    values = scores.astype(np.float64)
    centred: np.ndarray = values - (np.bincount(place, weights=values) / count)[place]
    limit = np.sqrt(np.finfo(scores.dtype).eps) / 100 * np.abs(values).max()
    return centred if np.abs(centred).max() > limit else np.zeros_like(centred)


def angle_distance(moments: Float[np.ndarray, "b 3"]) -> Float[np.ndarray, " b"]:
    """‖x/‖x‖ − y/‖y‖‖ from ‖x‖², ‖y‖² and x·y; a side of length 0 (or below, for unbiased estimates) stays 0."""
    lengths = np.maximum(moments[:, :2], 0.0)
    there = lengths > 0
    product = np.sqrt(np.where(there, lengths, 1.0)).prod(axis=1)
    cosine = np.where(there.all(axis=1), moments[:, 2] / product, 0.0)
    distances: np.ndarray = np.sqrt(np.maximum(there.sum(axis=1) - 2 * np.clip(cosine, -1.0, 1.0), 0.0))
    return distances
