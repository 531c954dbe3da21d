"""Several reward models as one: what they agree on is paid, and how far they differ is shown.

With K members whose errors have variance s² and correlation ρ the mean has error variance s²(ρ + (1 − ρ)/K): more
members remove only what they do not share. What all of them inherit from the data stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from trueward.batch import Context, Part, Rollouts, Scores
from trueward.errors import RewardError
from trueward.rewards.base import Reward
from trueward.rewards.runner import Runner
from trueward.status import Status

Aggregate = Literal["mean", "median", "min", "mean_minus_std"]


def aggregated(scores: Float[np.ndarray, "k n"], how: Aggregate = "mean") -> Float[np.ndarray, " n"]:
    """One score per rollout from those of K members.

    - mean: (1/K) Σ_k r_k.
    - median: the middle one; for even K the mean of the two middle ones.
    - min: min_k r_k.
    - mean_minus_std: mean − s, with the population standard deviation s = √((1/K) Σ_k (r_k − mean)²); s = 0 for K = 1.

    Args:
        scores: r, members × rollouts.
        how: the aggregate.

    Raises:
        ValueError: no members, or an unknown aggregate.

    Reference: Eisenstein et al. 2023, "Helping or herding?", §4; Coste et al. 2023, arXiv 2310.02743 (worst case and
    penalised by uncertainty).
    """
    if how not in get_args(Aggregate):
        raise ValueError(f"aggregate={how!r} is unknown; choose one of {', '.join(get_args(Aggregate))}")
    if not len(scores):
        raise ValueError("an ensemble needs at least one member, got none")
    if how == "mean":
        combined = scores.mean(axis=0)
    elif how == "median":
        combined = np.median(scores, axis=0)
    elif how == "min":
        combined = scores.min(axis=0)
    else:
        combined = scores.mean(axis=0) - scores.std(axis=0)
    return np.asarray(combined)


@dataclass
class Ensemble(Reward):
    """Rewards aggregated row by row, with their disagreement as a part of weight 0.

    Each member is standardised first, r'_k = (r_k − location_k) / scale_k, where `fit` was called: members with another
    level or scale would otherwise decide min and mean_minus_std alone. The numbers stay as they are fitted.

    The part `disagreement` is the population standard deviation of r' over the members (0 for one member). It grows
    where a policy leaves what the members were trained on.

    A row that one member cannot score has no score. It has the status of the worst member: what is not the answer's
    fault comes first.

    Attributes:
        members: the rewards; of each the total counts.
        aggregate: see `aggregated`.
        name: of the part.
        location, scale: one number per member; None before `fit`, when scores are taken as they are.
    """

    members: Sequence[Reward]
    aggregate: Aggregate = "mean"
    name: str = "ensemble"
    location: Float[np.ndarray, " k"] | None = field(default=None)
    scale: Float[np.ndarray, " k"] | None = field(default=None)

    def __post_init__(self) -> None:
        """Raises `RewardError` when there are no members, the aggregate is unknown, or there is not one number each."""
        if not self.members or self.aggregate not in get_args(Aggregate):
            raise RewardError(
                f"{self.name}: {len(self.members)} members, aggregate={self.aggregate!r}; expected at least one member "
                f"and one of {', '.join(get_args(Aggregate))}"
            )
        if (self.location is None) != (self.scale is None):
            raise RewardError(f"{self.name}: give location and scale, or none of them and call fit()")
        if self.location is not None and self.scale is not None:
            self._standardise(self.location, self.scale)

    def _standardise(self, location: Any, scale: Any) -> None:
        numbers = np.asarray(location, dtype=np.float64), np.asarray(scale, dtype=np.float64)
        for what, given in zip(("location", "scale"), numbers, strict=True):
            if given.shape != (len(self.members),) or not np.isfinite(given).all():
                raise RewardError(
                    f"{self.name}: {what} is {given.tolist()}; expected a finite number for each of the "
                    f"{len(self.members)} members"
                )
        if not (numbers[1] > 0).all():
            raise RewardError(f"{self.name}: scale is {numbers[1].tolist()}; expected positive numbers")
        self.location, self.scale = numbers

    def fit(self, scores: Float[np.ndarray, "k n"]) -> Ensemble:
        """Set location and scale to mean and population standard deviation of each member's scores.

        Args:
            scores: members × samples of the reference policy, from `member_scores`; NaN where there is none. A member
                that does not vary keeps the scale 1.

        Returns:
            This ensemble.

        Raises:
            RewardError: there is not one row per member, or a member has no score.
        """
        scores = np.asarray(scores, dtype=np.float64)
        finite = np.isfinite(scores)
        if scores.ndim != 2 or len(scores) != len(self.members) or not finite.any(axis=1).all():
            raise RewardError(
                f"{self.name}: fit got scores of shape {scores.shape} for {len(self.members)} members; expected a row "
                "for each member, with at least one finite score"
            )
        counts = finite.sum(axis=1)
        location = np.where(finite, scores, 0.0).sum(axis=1) / counts
        centred = np.where(finite, scores - location[:, None], 0.0)
        spread = np.sqrt((centred**2).sum(axis=1) / counts)
        # Equal numbers leave a spread of rounding, which must not become the unit.
        varies = spread > 1e-12 * np.maximum(1.0, np.abs(location))
        self._standardise(location, np.where(varies, spread, 1.0))
        return self

    def use(self, runner: Runner) -> bool:
        """Every member moves to the runner."""
        return all([member.use(runner) for member in self.members])

    def pieces(self) -> Sequence[Any]:
        """The members."""
        return self.members

    def with_leaves(self, change: Callable[[Reward], Reward]) -> Reward:
        """The same ensemble of the changed members."""
        return dataclasses.replace(self, members=[member.with_leaves(change) for member in self.members])

    def state_dict(self) -> dict[str, Any]:
        """State of the members, and location and scale where they were fitted."""
        state = super().state_dict()
        if self.location is not None and self.scale is not None:
            state["standardised"] = {"location": self.location.tolist(), "scale": self.scale.tolist()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            RewardError: the state belongs to an ensemble of other members.
        """
        inner = dict(state)
        numbers = inner.pop("standardised", None)
        super().load_state_dict(inner)
        if numbers is not None:
            self._standardise(numbers["location"], numbers["scale"])

    def member_scores(self, rollouts: Rollouts, context: Context) -> Float[np.ndarray, "k n"]:
        """Scores of each member, not standardised, members × rollouts; NaN where the member has none."""
        return _values([member.score(rollouts, context) for member in self.members])

    def score(self, rollouts: Rollouts, context: Context) -> Scores:
        """The aggregate, and the disagreement as a part of weight 0."""
        scored = [member.score(rollouts, context) for member in self.members]
        values = _values(scored)
        if self.location is not None and self.scale is not None:
            values = (values - self.location[:, None]) / self.scale[:, None]
        status = _worst(scored, values)
        ok = np.array([one.ok for one in status], dtype=bool)
        combined, spread = np.full(len(ok), np.nan), np.full(len(ok), np.nan)
        combined[ok] = aggregated(values[:, ok], self.aggregate)
        spread[ok] = values[:, ok].std(axis=0)
        low, high = self._range(scored)
        return Scores(
            {
                self.name: Part(combined, status, low=low, high=high),
                "disagreement": Part(spread, status, weight=0.0, low=0.0),
            }
        )

    def _range(self, scored: Sequence[Scores]) -> tuple[float | None, float | None]:
        """The range of the aggregate where every member declares one; mean − std can fall below it."""
        parts = [list(scores.parts.values()) for scores in scored]
        single = [only[0] for only in parts if len(only) == 1 and only[0].level == "rollout" and only[0].weight > 0]
        if self.aggregate == "mean_minus_std" or len(single) < len(parts):
            return None, None
        location = np.zeros(len(single)) if self.location is None else self.location
        scale = np.ones(len(single)) if self.scale is None else self.scale
        ends: list[float | None] = []
        for declared in ([(p.low, p.weight) for p in single], [(p.high, p.weight) for p in single]):
            known = np.array([np.nan if end is None else end * weight for end, weight in declared])
            end = aggregated(((known - location) / scale)[:, None], self.aggregate)[0]
            ends.append(None if np.isnan(end) else float(end))
        return ends[0], ends[1]


def _values(scored: Sequence[Scores]) -> np.ndarray:
    ok = np.array([[status.ok for status in scores.status] for scores in scored], dtype=bool)
    totals = np.stack([scores.total() for scores in scored])
    return np.where(ok, totals, np.nan)


def _worst(scored: Sequence[Scores], values: np.ndarray) -> list[Status]:
    """Status of each row: the worst of its members; not finite where all are fine and a number is not."""
    rows = Scores(
        {
            str(place): Part(np.where([s.ok for s in scores.status], 0.0, np.nan), scores.status)
            for place, scores in enumerate(scored)
        }
    ).status
    finite = np.isfinite(values).all(axis=0)
    return [Status.NOT_FINITE if row.ok and not fine else row for row, fine in zip(rows, finite, strict=True)]
