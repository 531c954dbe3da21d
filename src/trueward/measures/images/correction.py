"""A reward corrected by judges that nothing was trained on, and the step from which the two part ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Shaped

Numbers: TypeAlias = Sequence[int] | Sequence[float] | Shaped[np.ndarray, " s"]


def corrected_score(
    reward: Float[np.ndarray, "..."] | float,
    judges: Sequence[Float[np.ndarray, "..."] | float],
    centre: float = 3.0,
    scale: float = 1.0,
    offset: float = 0.2,
) -> Float[np.ndarray, "..."]:
    r"""$r_{corr} = s \cdot r\,(\bar u - c) + o$, with $\bar u$ the mean of the judges.

    A reward that is earned by what the judges find poor counts less, and below their centre it counts against: there
    the corrected score falls while the reward rises. It says which way training goes, and is no measure of quality. A
    judge that training or the choice of a model reads becomes the next proxy.

    Args:
        reward: the score that training raises; numbers or arrays of one shape.
        judges: at least one, each of that shape, on one scale (1 to 5 where the centre is 3).
        centre: what the judges give to something neither good nor bad.
        scale, offset: of the result.

    Raises:
        ValueError: there is no judge.

    Reference: Wang et al., GDRO, 2026 (arXiv 2601.02036).
    """
    if not len(judges):
        raise ValueError("a corrected score needs at least one judge")
    mean = np.mean([np.asarray(judge, dtype=np.float64) for judge in judges], axis=0)
    return np.asarray(scale * np.asarray(reward, dtype=np.float64) * (mean - centre) + offset)


def five_point(share: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """A judgement in [0, 1] on the scale from 1 to 5."""
    return np.asarray(1.0 + 4.0 * np.clip(np.asarray(share, dtype=np.float64), 0.0, 1.0))


def hacking_boundary(
    steps: Numbers,
    reward: Numbers,
    corrected: Numbers,
    tolerance: float = 0.0,
) -> float | None:
    """The step after which the reward rises while the corrected score falls; None where that does not happen.

    It is the step at which the corrected score was highest, if at the end it lies more than `tolerance` below that,
    and the reward above what it was there. Of equal peaks the last counts.

    Args:
        steps: at which both were measured, in order.
        reward, corrected: one number per step.
        tolerance: by how much a corrected score may fall by chance.

    Raises:
        ValueError: the lengths differ, or there is no step.

    Reference: Wang et al., GDRO, 2026 (arXiv 2601.02036).
    """
    if not len(steps) or len(steps) != len(reward) or len(steps) != len(corrected):
        raise ValueError(
            f"a boundary needs as many rewards and corrected scores as steps, at least one; got {len(steps)} steps, "
            f"{len(reward)} and {len(corrected)}"
        )
    peak = len(steps) - 1 - int(np.argmax(np.asarray(corrected)[::-1]))
    fell = corrected[-1] < corrected[peak] - tolerance
    return float(steps[peak]) if fell and reward[-1] > reward[peak] else None
