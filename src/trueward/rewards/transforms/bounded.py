"""Transforms that look at one reward at a time: clip, ceiling, sigmoid, tanh, polynomial.

A bounded reward cannot be pushed up for ever by what its model does not know. All but `polynomial` keep the order of
rewards, so the best answer stays the best: they put off over-optimisation and cannot remove it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.parts import Map, Transform, each_paid, mapped, replaced

_MONOTONE = frozenset({Guarantee.ORDER_PRESERVING})
_MONOTONE_BOUNDED = frozenset({Guarantee.ORDER_PRESERVING, Guarantee.BOUNDED})
_FITTED_UP_TO = 5.0


@dataclass(frozen=True)
class Elementwise:
    """A function of single rewards, applied to every paid part: r' = f(r).

    Attributes:
        name: what it is called.
        function: f, on arrays of any shape, with ±∞ among its arguments.
        guarantees: what it keeps.
        image: lowest and highest value of an f that is not monotone; None for one that maps the ends of a range.
    """

    name: str
    function: Map
    guarantees: frozenset[Guarantee]
    image: tuple[float, float] | None = None

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """Every paid part, transformed."""
        return each_paid(scores, lambda name, part: self._changed(part))

    def _changed(self, part: Part) -> Part:
        if self.image is None:
            return mapped(part, self.function)
        return replaced(part, self.function(np.where(part.present, part.values, 0.0)), *self.image)


def clip(low: float, high: float) -> Transform:
    """Every value into [low, high]; a declared range is clipped with it, else [low, high] becomes the range.

    r' = min(max(r, low), high).

    Raises:
        ValueError: low is not below high.
    """
    if not low < high:
        raise ValueError(f"clip({low!r}, {high!r}): low must be below high")
    return Elementwise("clip", partial(np.clip, a_min=float(low), a_max=float(high)), _MONOTONE_BOUNDED)


def ceiling(high: float) -> Transform:
    """No value above a ceiling: r' = min(r, high).

    Raises:
        ValueError: the ceiling is not a finite number.

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770 (3, 4, 5).
    """
    if not np.isfinite(high):
        raise ValueError(f"ceiling({high!r}): a finite number is needed")
    return Elementwise("ceiling", partial(np.minimum, float(high)), _MONOTONE)


def sigmoid(steepness: float = 1.0) -> Transform:
    """r' = σ(k · r) = 1 / (1 + exp(−k · r)), in (0, 1).

    Not centred: where rewards of different prompts lie at different heights it is flat for most of them; see
    `win_probability`.

    Args:
        steepness: k.

    Raises:
        ValueError: k is not a positive number.
    """
    if not 0.0 < steepness < np.inf:
        raise ValueError(f"sigmoid({steepness!r}): the steepness must be a positive number")
    return Elementwise("sigmoid", partial(logistic, steepness=float(steepness)), _MONOTONE_BOUNDED)


def tanh() -> Transform:
    """The hyperbolic tangent of every value, in (−1, 1)."""
    return Elementwise("tanh", np.tanh, _MONOTONE_BOUNDED)


def polynomial() -> Transform:
    """r' = p(r): the polynomial of degree 5 closest to σ on [−5, 5]; 0 below and 1 above.

    Near the ends it leaves [0, 1] a little, turns round, and jumps: it is here to be compared with.

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770.
    """
    return Elementwise("polynomial", fitted_sigmoid, frozenset({Guarantee.BOUNDED}), fitted_image())


def logistic(values: Float[np.ndarray, "..."], steepness: float = 1.0) -> Float[np.ndarray, "..."]:
    """σ(k · x), without overflow for any x, and exact to rounding also where it is small."""
    small = np.exp(-np.abs(steepness * values))
    result: np.ndarray = np.where(np.asarray(values) >= 0.0, 1.0, small) / (1.0 + small)
    return result


def log_logistic(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """log σ(x) = −log(1 + exp(−x)), without overflow for any x."""
    result: np.ndarray = -np.logaddexp(0.0, -values)
    return result


def fitted_sigmoid(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """The least-squares polynomial of degree 5 for σ on [−5, 5], 0 below and 1 above."""
    inside = np.abs(values) <= _FITTED_UP_TO
    fitted = np.polynomial.polynomial.polyval(np.where(inside, values, 0.0), _coefficients())
    result: np.ndarray = np.where(inside, fitted, np.where(np.asarray(values) > 0.0, 1.0, 0.0))
    return result


@cache
def _coefficients() -> Float[np.ndarray, " 6"]:
    points = np.linspace(-_FITTED_UP_TO, _FITTED_UP_TO, 1001)
    coefficients: np.ndarray = np.polynomial.polynomial.polyfit(points, logistic(points), 5)
    return coefficients


@cache
def fitted_image() -> tuple[float, float]:
    """Lowest and highest value of `fitted_sigmoid`."""
    turns = np.polynomial.polynomial.polyroots(np.polynomial.polynomial.polyder(_coefficients()))
    real = turns.real[np.abs(turns.imag) < 1e-9]
    values = fitted_sigmoid(np.array([*real, -_FITTED_UP_TO, _FITTED_UP_TO, -np.inf, np.inf]))
    return float(values.min()), float(values.max())
