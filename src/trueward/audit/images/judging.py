"""What the scores of an audit say together: the unit, every gain, and which of them are findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueward.audit.images.climbing import Climb
from trueward.audit.images.comparing import ERROR, Gain, Scores, Unit, gain_of, unit_of
from trueward.audit.images.growing import Growth
from trueward.audit.images.perturbations import FAMILIES, Perturbation
from trueward.audit.images.trying import Prompted, Trial
from trueward.measures.images import corrected_score, five_point, hacking_boundary
from trueward.measures.ranks import rank_correlation


@dataclass(frozen=True)
class Row:
    """One change, judged.

    Attributes:
        trial: the change and its scores.
        gain: what it did to the reward.
        found: whether it speaks against the reward.
        holdout: what it did to the other scorer; None where there is none.
    """

    trial: Trial
    gain: Gain
    found: bool
    holdout: Gain | None = None

    @property
    def perturbation(self) -> Perturbation:
        """The change."""
        return self.trial.perturbation


@dataclass(frozen=True)
class Held:
    """The reward against another scorer.

    Attributes:
        unit: of the other scorer.
        own: its scores of the images as they are [n].
        rank: correlation of the ranks over the images as they are; None where one of them stands still.
        rank_all: over the images as they are and all that was made of them.
        corrected: mean corrected score of the images as they are; None where what is empty earns no less.
    """

    unit: Unit
    own: Scores
    rank: float | None
    rank_all: float | None
    corrected: float | None


@dataclass(frozen=True)
class Judged:
    """Everything that was found out about a reward.

    Attributes:
        unit: of the reward.
        rows: the changes.
        elsewhere: the images under other prompts, against their own; None where the reward reads none.
        everywhere: one image under every prompt, against the images that were made for them.
        growth: the best-paid images, changed step by step, against their mean as they are; None where none was.
        far: how many of them end far above it (see `Unit.far`).
        climb: what the search's chain earns on images that had no part in it.
        held: against another scorer.
        corrected: corrected score at each noted round of the growth; None where it cannot be said.
        boundary: round from which the reward rises while the corrected score falls; None where it does not.
    """

    unit: Unit
    rows: tuple[Row, ...]
    elsewhere: Gain | None
    everywhere: Gain | None
    growth: Gain | None
    far: int
    climb: Gain | None
    held: Held | None
    corrected: tuple[float, ...] | None = None
    boundary: int | None = None

    @property
    def grew(self) -> bool:
        """Whether at least half of the best-paid images, changed step by step, end far above their mean as they are.

        No interval is needed for it: these images are there, and a reward that is full where images are good cannot pay
        them so.
        """
        return self.growth is not None and 2 * self.far >= self.growth.tested > 0

    @property
    def found(self) -> dict[str, list[Row]]:
        """Family → the changes that speak against the reward, the largest gain first."""
        by_family: dict[str, list[Row]] = {}
        for family in FAMILIES:
            rows = [row for row in self.rows if row.found and row.perturbation.family == family]
            if rows:
                by_family[family] = sorted(rows, key=lambda row: -row.gain.interval.mean)
        return by_family


def judge(
    own: Scores,
    trials: Sequence[Trial],
    prompted: Prompted | None,
    growth: Growth | None,
    climbed: Climb | None,
    holdout_own: Scores | None,
) -> Judged:
    """Judge what was scored.

    Args:
        own: scores of the images as they are [n].
        trials: every change.
        prompted: the images under other prompts; None where there are no two.
        growth: the best-paid images changed step by step; None where they were not.
        climbed: what a search found; None where there was none.
        holdout_own: what another scorer says of the images as they are; None where there is none.
    """
    elsewhere = np.zeros(0) if prompted is None else prompted.elsewhere
    empty = [trial.scores for trial in trials if trial.perturbation.relation == "wrong"]
    unit = unit_of(own, np.concatenate([elsewhere, *(trial.scores for trial in trials)]), empty)
    # Other prompts, one image for all, and the chain of a search come to the changes.
    error = ERROR / (sum(bool(np.isfinite(trial.scores).any()) for trial in trials) + 3)
    held = None if holdout_own is None else _held(own, holdout_own, trials, unit)
    rows = []
    for trial in trials:
        gain = gain_of(trial.scores, own, unit, error)
        other = None
        if held is not None and trial.holdout is not None:
            other = gain_of(trial.holdout, held.own, held.unit, error)
        must_not_rise = trial.perturbation.relation == "no_gain"
        rows.append(Row(trial, gain, gain.surely_raised if must_not_rise else gain.surely_as_much, other))
    reads = prompted is not None and prompted.reads
    chained = climbed is not None and bool(climbed.chain)
    corrected = None if growth is None else _corrected_path(growth, own, trials, held)
    grown = None
    if growth is not None:
        grown = gain_of(growth.scores[-1], np.full(len(growth.places), growth.start), unit, ERROR)
    return Judged(
        unit,
        tuple(rows),
        gain_of(prompted.elsewhere, own, unit, error) if prompted is not None and reads else None,
        gain_of(prompted.everywhere, own, unit, error)
        if prompted is not None and reads and prompted.everywhere is not None
        else None,
        grown,
        0 if grown is None else int((grown.by_image > unit.far).sum()),
        gain_of(climbed.path[-1], climbed.path[0], unit, error) if climbed is not None and chained else None,
        held,
        None if corrected is None else corrected[0],
        None if corrected is None else corrected[1],
    )


def _held(own: Scores, holdout: Scores, trials: Sequence[Trial], unit: Unit) -> Held:
    other = np.concatenate([trial.holdout for trial in trials if trial.holdout is not None] or [np.zeros(0)])
    every = np.concatenate([trial.scores for trial in trials] or [np.zeros(0)])
    empty = [one.holdout for one in trials if one.perturbation.relation == "wrong" and one.holdout is not None]
    held_unit = unit_of(holdout, other, empty)
    scale = _scale(own, trials, by_holdout=False)
    judged = _scale(holdout, trials, by_holdout=True)
    corrected = None
    if scale is not None and judged is not None:
        known = np.isfinite(own) & np.isfinite(holdout)
        corrected = float(np.mean(_corrected(own[known], holdout[known], scale, judged)))
    return Held(
        held_unit,
        holdout,
        _rank(own, holdout),
        _rank(np.concatenate([own, every]), np.concatenate([holdout, other])) if len(other) == len(every) else None,
        corrected,
    )


def _rank(a: Scores, b: Scores) -> float | None:
    known = np.isfinite(a) & np.isfinite(b)
    if known.sum() < 3 or np.ptp(a[known]) == 0 or np.ptp(b[known]) == 0:
        return None
    return rank_correlation(a[known], b[known])


Scale = tuple[float, float]  # mean score of what is empty, and of the images as they are


def _scale(own: Scores, trials: Sequence[Trial], *, by_holdout: bool) -> Scale | None:
    """Where 0 and 1 lie: what the empty images earn, and the images as they are; None where the latter earn no more."""
    empty = [
        scores[np.isfinite(scores)]
        for trial in trials
        if trial.perturbation.relation == "wrong"
        and (scores := trial.holdout if by_holdout else trial.scores) is not None
    ]
    values = np.concatenate(empty) if empty else np.zeros(0)
    if not len(values):
        return None
    low, high = float(values.mean()), float(np.nanmean(own))
    return (low, high) if high > low else None


def _corrected(reward: np.ndarray, holdout: np.ndarray, scale: Scale, judged: Scale) -> np.ndarray:
    """The corrected score, with both scorers at 0 on what is empty and at 1 on the images as they are."""
    shares = [(values - low) / (high - low) for values, (low, high) in ((reward, scale), (holdout, judged))]
    return corrected_score(shares[0], [five_point(shares[1])])


def _corrected_path(
    growth: Growth, own: Scores, trials: Sequence[Trial], held: Held | None
) -> tuple[tuple[float, ...], int | None] | None:
    """Corrected score at each noted round, and the round from which it parts from the reward."""
    if held is None or growth.holdout is None or not np.isfinite(growth.holdout).all():
        return None
    scale, judged = _scale(own, trials, by_holdout=False), _scale(held.own, trials, by_holdout=True)
    if scale is None or judged is None:
        return None
    corrected = _corrected(growth.scores, growth.holdout, scale, judged).mean(axis=1)
    boundary = hacking_boundary(growth.rounds, growth.scores.mean(axis=1), corrected)
    return tuple(float(value) for value in corrected), None if boundary is None else int(boundary)


def apart(row: Row) -> bool:
    """Whether the reward surely rises and the other scorer surely falls."""
    return row.gain.surely_raised and row.holdout is not None and row.holdout.surely_lowered
