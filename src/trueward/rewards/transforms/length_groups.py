"""Transforms that pay right answers by their length beside the others to the same prompt.

Length is counted as in `lengths`. A completion is right where its value is above `wrong` and it ended by itself: one
that was cut off counts as wrong and says nothing about how long an answer has to be. Wrong completions are never paid
for being short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.length import lengths
from trueward.rewards.transforms.parts import Transform, group_index, only_part, replaced

Over = Literal["right", "all"]

_NONE: frozenset[Guarantee] = frozenset()
_SMALLEST_DEVIATION = 1e-4  # of lengths: one right answer, or several equally long ones, are neither long nor short


@dataclass(frozen=True)
class SigmoidLength:
    """A share of the reward, by a sigmoid of the length; see `sigmoid_length`."""

    alpha: float
    over: Over = "right"
    wrong: float = 0.0
    part: str | None = None
    name: str = "sigmoid_length"
    guarantees: frozenset[Guarantee] = _NONE

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, one rollout part paid by length."""
        name = only_part(scores, self.part, "rollout", self.name)
        part, (index, groups) = scores.parts[name], group_index(rollouts)
        right, length = right_answers(part, rollouts, self.wrong), lengths(rollouts)
        among = right if self.over == "right" else part.ok & finished(rollouts)
        mean, deviation = _moments(length, among, index, groups)
        z = (length - mean[index]) / np.maximum(deviation, _SMALLEST_DEVIATION)[index]
        # σ(z) = (1 + tanh(z / 2)) / 2 overflows nowhere.
        kept = 1.0 - self.alpha * 0.5 * (1.0 + np.tanh(0.5 * z))
        values = np.where(right, self.wrong + (part.values - self.wrong) * kept, part.values)
        return _with(scores, name, judged(part, values, right, self.wrong))


@dataclass(frozen=True)
class LengthBudget:
    """Nothing for answers beyond a length; see `length_budget`."""

    budget: int
    wrong: float = 0.0
    part: str | None = None
    name: str = "length_budget"
    guarantees: frozenset[Guarantee] = _NONE

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, one rollout part with what is too long made wrong."""
        name = only_part(scores, self.part, "rollout", self.name)
        part = scores.parts[name]
        right = right_answers(part, rollouts, self.wrong) & (lengths(rollouts) <= self.budget)
        return _with(scores, name, judged(part, part.values, right, self.wrong))


@dataclass(frozen=True)
class LinearLength:
    """A bonus that falls linearly from the shortest to the longest of the group; see `linear_length`."""

    weight: float
    wrong: float = 0.0
    part: str | None = None
    name: str = "linear_length"
    guarantees: frozenset[Guarantee] = _NONE

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, one rollout part with the bonus."""
        name = only_part(scores, self.part, "rollout", self.name)
        part, (index, groups) = scores.parts[name], group_index(rollouts)
        right, length = right_answers(part, rollouts, self.wrong), lengths(rollouts)
        shortest, longest = np.full(groups, np.inf), np.full(groups, -np.inf)
        np.minimum.at(shortest, index[part.ok], length[part.ok])
        np.maximum.at(longest, index[part.ok], length[part.ok])
        span = np.where(longest > shortest, longest - shortest, np.inf)
        place = np.where(np.isfinite(shortest), shortest, 0.0)[index]
        bonus = np.where(np.isfinite(span)[index], 0.5 - (length - place) / span[index], 0.0)
        plain = judged(part, part.values, right, self.wrong)
        values = plain.values + self.weight * np.where(right, bonus, np.minimum(bonus, 0.0))
        low = None if plain.low is None else plain.low - 0.5 * self.weight
        high = None if plain.high is None else plain.high + 0.5 * self.weight
        return _with(scores, name, replaced(plain, values, low, high))


def sigmoid_length(
    alpha: float = 0.6, over: Over = "right", *, wrong: float = 0.0, part: str | None = None
) -> Transform:
    """Right answers keep the less of their reward the longer they are beside the others of their group.

    r' = r · (1 − α σ((L − mean L) / std L)) where right, 0 where not. Mean and standard deviation (population) are
    those of the right answers of the group ("right": LP, and what GRPO-λ pays in the groups that it selects), or of
    all that ended by themselves ("all": TLMRE as it is used in later work). A single right answer, and right ones that
    are all equally long, have z = 0 and earn r · (1 − α / 2).

    Args:
        alpha: α in [0, 1): largest share that length takes. Below 1 a right answer always earns more than a wrong one.
            1 is allowed, and pays a very long right answer next to nothing.
        over: whose lengths are compared with.
        wrong: what a wrong answer earns at most, and what shares are taken of: r' = wrong + (r − wrong) · (…).
        part: name of the part; needed where several rollout parts are paid.

    Raises:
        ValueError: α outside [0, 1], or no such comparison.

    Reference: Dai et al. 2025, arXiv 2505.18086; Arora and Zanette 2025, "Training language models to reason
    efficiently", arXiv 2502.04463 (TLMRE).
    """
    if not 0 <= alpha <= 1 or over not in ("right", "all"):
        raise ValueError(f"sigmoid_length({alpha!r}, {over!r}): need 0 <= alpha <= 1 and over 'right' or 'all'")
    return SigmoidLength(float(alpha), over, float(wrong), part)


def length_budget(budget: int, *, wrong: float = 0.0, part: str | None = None) -> Transform:
    """Right answers longer than a budget count as wrong.

    r' = r where right and L ≤ budget, else at most `wrong`. See `sigmoid_length` for `wrong` and `part`.

    Raises:
        ValueError: a budget below 1.

    Reference: Hou et al. 2025, "ThinkPrune", arXiv 2504.01296, which cuts generation off at the budget.
    """
    if budget < 1:
        raise ValueError(f"length_budget({budget!r}): an answer needs at least one token")
    return LengthBudget(int(budget), float(wrong), part)


def linear_length(weight: float = 0.5, *, wrong: float = 0.0, part: str | None = None) -> Transform:
    """A bonus for short right answers, and a price for long answers of both kinds.

    r' = r + w b where right and r + w min(b, 0) where not, b = 1/2 − (L − shortest) / (longest − shortest) over all
    answers of the group; b = 0 where they are equally long. See `sigmoid_length` for `wrong` and `part`.

    Args:
        weight: w.
        wrong, part: see `sigmoid_length`.

    Raises:
        ValueError: a negative weight.

    Reference: Kimi Team 2025, "Kimi k1.5", arXiv 2501.12599, section 2.3.3.
    """
    if weight < 0:
        raise ValueError(f"linear_length({weight!r}): the weight may not be negative")
    return LinearLength(float(weight), float(wrong), part)


def finished(rollouts: Rollouts) -> Bool[np.ndarray, " n"]:
    """True on rollouts that ended by themselves; on all where nobody says."""
    ended = rollouts.features.get("finished")
    return np.ones(len(rollouts), dtype=bool) if ended is None else np.asarray(ended, dtype=bool)


def right_answers(part: Part, rollouts: Rollouts, wrong: float = 0.0) -> Bool[np.ndarray, " n"]:
    """True where a rollout part is usable and above what a wrong answer earns, and the rollout was not cut off."""
    usable = np.where(part.ok, part.values, wrong)
    right: np.ndarray = part.ok & finished(rollouts) & (usable > wrong)
    return right


def judged(part: Part, values: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], wrong: float) -> Part:
    """The part with other values, and with what is not right earning at most what a wrong answer earns."""
    low = None if part.low is None else min(part.low, wrong)
    return replaced(part, np.where(right, values, np.minimum(values, wrong)), low, part.high)


def _moments(
    length: Float[np.ndarray, " n"], among: Bool[np.ndarray, " n"], index: Int[np.ndarray, " n"], groups: int
) -> tuple[Float[np.ndarray, " g"], Float[np.ndarray, " g"]]:
    """Mean and population deviation of some rows' lengths in each group; 0 where there are none."""
    of, counts = index[among], np.maximum(np.bincount(index[among], minlength=groups), 1)
    mean = np.bincount(of, weights=length[among], minlength=groups) / counts
    squares = np.bincount(of, weights=(length[among] - mean[of]) ** 2, minlength=groups)
    return mean, np.sqrt(squares / counts)


def _with(scores: Scores, name: str, part: Part) -> Scores:
    return Scores({**scores.parts, name: part})
