"""Transforms that compare a reward with the rewards of reference answers to the same prompt.

A Bradley–Terry reward model knows differences of rewards for one prompt and nothing else: how high the rewards of a
prompt lie is arbitrary. So what is bounded should be the difference to references, which the policy before training
wrote. Their rewards are computed once and stored with the row, in the column "reference_rewards": a list of M numbers,
from the same reward model, template and length penalty. Another reward model needs other ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Rollouts, Scores
from trueward.errors import RewardError
from trueward.rewards.transforms.bounded import fitted_image, fitted_sigmoid, log_logistic, logistic
from trueward.rewards.transforms.guarantees import Guarantee
from trueward.rewards.transforms.parts import Map, Transform, only_part
from trueward.status import Status

COLUMN = "reference_rewards"
Shape = Literal["identity", "sigmoid", "tanh", "atan", "polynomial"]
Comparison = Callable[[np.ndarray, np.ndarray], np.ndarray]

_SHAPES: Mapping[Shape, Map] = {
    "identity": np.positive,
    "sigmoid": logistic,
    "tanh": np.tanh,
    "atan": np.arctan,
    "polynomial": fitted_sigmoid,
}
_PLAIN = frozenset({float, int, type(None)})
_ORDER, _BOUNDED = Guarantee.ORDER_PRESERVING, Guarantee.BOUNDED


@dataclass(frozen=True)
class AgainstReferences:
    """One rollout part, compared with the reference rewards of its row: r'_i = compare(r_i, references_i).

    A reference that is missing, NaN or infinite is skipped. A row that has none left gets the status
    MISSING_REFERENCE; one that failed before keeps its own.

    Attributes:
        name: what it is called.
        compare: from rewards [N], possibly ±∞, and references [N, M], NaN where there is none, to [N].
        guarantees: what it keeps among rollouts that share their references.
        column: column of the references.
        part: name of the part; None where only one rollout part is paid.
        image: lowest and highest value of a comparison that is not monotone; None for one that maps a range.
    """

    name: str
    compare: Comparison
    guarantees: frozenset[Guarantee]
    column: str = COLUMN
    part: str | None = None
    image: tuple[float, float] | None = None

    def __call__(self, scores: Scores, rollouts: Rollouts, context: Context) -> Scores:
        """The scores, with one rollout part compared.

        Raises:
            RewardError: no row has the column; it holds something else than numbers; the part is not clear.
        """
        name = only_part(scores, self.part, "rollout", self.name)
        part = scores.parts[name]
        references = reference_rewards(rollouts, self.column, self.name)
        known = ~np.isnan(references).all(axis=1)
        status = [
            Status.MISSING_REFERENCE if was.ok and not has else was
            for was, has in zip(part.status, known.tolist(), strict=True)
        ]
        usable = part.ok & known
        values = np.full(len(known), np.nan)
        values[usable] = self.compare(part.values[usable], references[usable])
        low = self._end(-np.inf if part.low is None else part.low, references[known], np.min)
        high = self._end(np.inf if part.high is None else part.high, references[known], np.max)
        low, high = self.image or (low, high)
        return Scores({**scores.parts, name: replace(part, values=values, status=status, low=low, high=high)})

    def _end(self, declared: float, references: np.ndarray, furthest: Callable[[np.ndarray], Any]) -> float | None:
        """One end of the range: where the end of the declared range lies against the references of any row."""
        if not len(references):
            return None
        end = float(furthest(self.compare(np.full(len(references), declared), references)))
        return end if np.isfinite(end) else None


def reference_rewards(rollouts: Rollouts, column: str, transform: str) -> Float[np.ndarray, "n m"]:
    """The reference rewards of each row, NaN where there is none or it is not finite.

    Args:
        rollouts: N rollouts; each entry of the column is a list of numbers or None, or one number.
        column: the column.
        transform: name of the transform, for the message.

    Raises:
        RewardError: no row has the column, or it holds something else.
    """
    if not any(column in row for row in rollouts.reference):
        raise RewardError(
            f"{transform} needs the column {column!r} with the rewards of reference answers to each prompt, and no row "
            "has it: score answers of the policy before training once and store them with the prompts"
        )
    found = [_numbers(row.get(column), column, place) for place, row in enumerate(rollouts.reference)]
    references = np.full((len(found), max(1, max(map(len, found)))), np.nan)
    for row, numbers in zip(references, found, strict=True):
        row[: len(numbers)] = numbers
    references[~np.isfinite(references)] = np.nan
    return references


def _numbers(entry: Any, column: str, place: int) -> Float[np.ndarray, " m"]:
    if entry is None:
        return np.empty(0)
    if type(entry) is list and _PLAIN.issuperset(map(type, entry)):
        return np.array(entry, dtype=np.float64)  # None becomes NaN
    try:
        numbers = np.asarray(entry, dtype=object).reshape(-1)
        if any(isinstance(number, str | bytes | bool) for number in numbers):
            raise TypeError("text or truth values are no rewards")
        return np.array([np.nan if number is None else float(number) for number in numbers], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RewardError(
            f"column {column!r} of row {place} is {entry!r:.100}; a list of numbers is expected ({error})"
        ) from error


def win_probability(
    steepness: float = 1.0, *, shift: float = 0.0, column: str = COLUMN, part: str | None = None
) -> Transform:
    """PAR: how probable the reward model finds it that the answer beats a reference.

        r' = 1/M · Σ_m σ(k · (r − shift − r_ref,m))

    In (0, 1), with slope at most k / 4: bounded, steep where the answer is as good as a reference, flat once it clearly
    beats all. One reference is nearly as good as ten.

    Args:
        steepness: k.
        shift: by how much a reference must be beaten to earn 1/2; see `slow_start`.
        column: column of the reference rewards.
        part: name of the part; needed where several rollout parts are paid.

    Raises:
        ValueError: k is not a positive number, or the shift is not finite.

    Reference: Fu et al. 2025, "Reward shaping to mitigate reward hacking in RLHF", arXiv 2502.18770 (k = 1).
    """
    if not 0.0 < steepness < np.inf or not np.isfinite(shift):
        raise ValueError(f"win_probability({steepness!r}, shift={shift!r}): k must be positive, the shift finite")
    beats = partial(_mean_over_references, partial(logistic, steepness=float(steepness)), float(shift))
    return AgainstReferences("win_probability", beats, frozenset({_ORDER, _BOUNDED}), column, part)


def slow_start(shift: float = 3.0, *, column: str = COLUMN, part: str | None = None) -> Transform:
    """SgFc: a win probability that grows slowly first and quickly late; it breaks the rule that PAR follows.

    r' = 1/M · Σ_m σ(r − shift − r_ref,m). Here to be compared with.

    Reference: as `win_probability`.
    """
    return win_probability(shift=shift, column=column, part=part)


def centred(shape: Shape = "identity", *, column: str = COLUMN, part: str | None = None) -> Transform:
    """A function of the differences to the references: r' = 1/M · Σ_m f(r − r_ref,m).

    With the identity it takes a constant off every prompt, which group-normalised advantages do not notice; with a
    sigmoid it is `win_probability`.

    Args:
        shape: f.
        column: column of the reference rewards.
        part: name of the part; needed where several rollout parts are paid.

    Raises:
        ValueError: an unknown shape.

    Reference: as `win_probability`.
    """
    if shape not in _SHAPES:
        raise ValueError(f"centred({shape!r}): expected one of {', '.join(_SHAPES)}")
    guarantees = {
        "identity": frozenset({Guarantee.POLICY_INVARIANT, _ORDER}),
        "polynomial": frozenset({_BOUNDED}),
    }.get(shape, frozenset({_ORDER, _BOUNDED}))
    image = fitted_image() if shape == "polynomial" else None
    compare = partial(_mean_over_references, _SHAPES[shape], 0.0)
    return AgainstReferences(f"centred {shape}", compare, guarantees, column, part, image)


def log_sigmoid_centred(quantile: float = 0.85, *, column: str = COLUMN, part: str | None = None) -> Transform:
    """LSC: r' = log σ(r − q), with q the quantile of a normal distribution fitted to the references of the row.

        q = m + z · (s + 1e-5),    z = Φ⁻¹(quantile), m and s mean and population standard deviation of the references

    Not bounded below: an answer far below the references is punished without end.

    Raises:
        ValueError: the quantile is not between 0 and 1.

    Reference: Wang et al. 2024, "Transforming and combining rewards for aligning large language models" (log σ, 0.85);
    as used by Fu et al. 2025, arXiv 2502.18770.
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"log_sigmoid_centred({quantile!r}): the quantile must be between 0 and 1")
    beats = partial(_log_sigmoid_above, NormalDist().inv_cdf(quantile))
    return AgainstReferences("log_sigmoid_centred", beats, frozenset({_ORDER}), column, part)


def _mean_over_references(
    function: Map, shift: float, rewards: Float[np.ndarray, " n"], references: Float[np.ndarray, "n m"]
) -> Float[np.ndarray, " n"]:
    there = ~np.isnan(references)
    gaps = rewards[:, None] - shift - np.where(there, references, 0.0)
    mean: np.ndarray = np.where(there, function(gaps), 0.0).sum(axis=1) / there.sum(axis=1)
    return mean


def _log_sigmoid_above(
    deviations: float, rewards: Float[np.ndarray, " n"], references: Float[np.ndarray, "n m"]
) -> Float[np.ndarray, " n"]:
    if not len(references):
        return np.empty(0)
    bar = np.nanmean(references, axis=1) + deviations * (np.nanstd(references, axis=1) + 1e-5)
    return log_logistic(rewards - bar)
