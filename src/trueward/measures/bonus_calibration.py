"""How well a bonus counts: against the number of visits, and before there were any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trueward.measures.ranks import rank_correlation


@dataclass(frozen=True)
class Calibration:
    """A bonus beside the visits of the same states.

    Attributes:
        rank: Spearman's correlation of the bonus with 1/n over visited states.
        slope: of log b on log n over visited states, by least squares: −1 for a count, 0 for a bonus that does not
            tell how often.
        floor: mean of b · n over the tenth of the states that were visited most: 1 for a count, more where the bonus
            stops to fall.
    """

    rank: float
    slope: float
    floor: float


def calibration(bonus: Float[np.ndarray, " s"], visits: Float[np.ndarray, " s"]) -> Calibration:
    """A bonus against the number of visits.

    Args:
        bonus: of s states, above 0.
        visits: of the same states; those with 0 are left out.

    Raises:
        ValueError: fewer than two visited states, a bonus that is not above 0, or all states visited alike.
    """
    seen = visits > 0
    b, n = bonus[seen], visits[seen].astype(np.float64)
    if len(n) < 2 or not (b > 0).all() or (n == n[0]).all():
        raise ValueError(
            "a calibration needs two or more visited states, visited unequally, with bonuses above 0; got "
            f"{len(n)} visited states"
        )
    constant = bool((b == b[0]).all())
    x, y = np.log(n) - np.log(n).mean(), np.log(b)
    often = n >= np.quantile(n, 0.9)
    return Calibration(
        rank=0.0 if constant else rank_correlation(b, 1.0 / n),
        slope=float((x * y).sum() / (x * x).sum()),
        floor=float((b * n)[often].mean()),
    )


def unevenness(bonus: Float[np.ndarray, " s"]) -> float:
    """Divergence of the bonuses, as shares of their sum, from equal shares: Σ p log(p · s) in nats.

    0 where all states are worth the same, log s where one state has everything. Taken before any visit it tells which
    states are looked for by chance alone.

    Raises:
        ValueError: a bonus below 0, or none above.
    """
    if not len(bonus) or (bonus < 0).any() or not bonus.sum() > 0:
        raise ValueError("shares of bonuses need bonuses that are not below 0, and one above")
    shares = bonus / bonus.sum()
    some = shares[shares > 0]
    return float((some * np.log(some * len(bonus))).sum())
