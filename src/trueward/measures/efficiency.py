"""What shorter answers cost: stability of a run, and the exchange of accuracy for length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def moving_average(values: Sequence[float], window: int) -> Float[np.ndarray, " n"]:
    """Mean of each value and up to window − 1 before it.

    Raises:
        ValueError: a window below 1.
    """
    if window < 1:
        raise ValueError(f"a moving average needs a window of at least 1; got {window}")
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, dtype=np.float64))])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    means: np.ndarray = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def viable_updates(steps: Sequence[int], accuracy: Sequence[float], *, fall: float = 0.05, window: int = 3) -> int:
    """Updates until accuracy has fallen by more than `fall` below its best; all of them where it never does.

    The first s with m_s < max{m_u : u ≤ s} − fall, where m is the moving average of the evaluations.

    Args:
        steps: updates done at each evaluation, ascending.
        accuracy: at each evaluation.
        fall: how much is lost when a run no longer counts as viable.
        window: evaluations that are averaged; 1 for none.

    Raises:
        ValueError: no evaluations, or not one accuracy for each.

    Reference: Dai et al. 2025, arXiv 2505.18086 (how long training remains viable, here with a number for it).
    """
    if not len(steps) or len(steps) != len(accuracy):
        raise ValueError(f"{len(steps)} steps and {len(accuracy)} accuracies: need at least one, and as many of both")
    smooth = moving_average(accuracy, window)
    fallen = np.flatnonzero(smooth < np.maximum.accumulate(smooth) - fall)
    return int(steps[fallen[0]] if len(fallen) else steps[-1])


def best_within(length: Sequence[float], accuracy: Sequence[float], limit: float) -> float:
    """The best accuracy of those points that are no longer than a limit; 0 where there is none.

    Raises:
        ValueError: not one accuracy per length.
    """
    found = [right for tokens, right in zip(length, accuracy, strict=True) if tokens <= limit]
    return max(found, default=0.0)


def frontier_area(length: Sequence[float], accuracy: Sequence[float], longest: float) -> float:
    """Area under the frontier of accuracy against length, in [0, 1].

    1/L ∫_0^L best(ℓ) dℓ, where best(ℓ) is the highest accuracy of any point with length ≤ ℓ, and 0 below the shortest.

    Args:
        length: tokens of each point, such as the mean at each evaluation of a run.
        accuracy: of each point.
        longest: L, up to which is integrated: the length before training, so that runs are compared on one scale.

    Raises:
        ValueError: L is not positive, or there is not one accuracy per length.
    """
    if not longest > 0 or len(length) != len(accuracy):
        raise ValueError(
            f"frontier_area of {len(length)} lengths and {len(accuracy)} accuracies up to {longest}: need as many of "
            "both, and a positive end"
        )
    order = np.argsort(np.asarray(length, dtype=np.float64), kind="stable")
    at = np.minimum(np.append(np.asarray(length, dtype=np.float64)[order], longest), longest)
    best = np.maximum.accumulate(np.asarray(accuracy, dtype=np.float64)[order])
    return float((np.diff(at) * best).sum() / longest)


def accuracy_efficiency(
    accuracy: float,
    length: float,
    accuracy_before: float,
    length_before: float,
    *,
    gain: float = 3.0,
    loss: float = 5.0,
) -> float:
    """One number for shorter answers that stay right: saved length, plus accuracy won or minus accuracy lost.

    (L_0 − L) / L_0 + 3 (a − a_0) / a_0 where accuracy rose; 5 in the place of 3 where it fell.

    Args:
        accuracy, length: after.
        accuracy_before, length_before: before.
        gain, loss: what a relative change of accuracy counts for beside one of length.

    Raises:
        ValueError: accuracy or length before is not positive.

    Reference: Luo et al. 2025, "O1-Pruner", arXiv 2501.12570 (accuracy-efficiency score).
    """
    if not (accuracy_before > 0 and length_before > 0):
        raise ValueError(f"relative changes need something to start from; got {accuracy_before} and {length_before}")
    change = (accuracy - accuracy_before) / accuracy_before
    return (length_before - length) / length_before + (gain if change >= 0 else loss) * change
