"""Payoff: what a completion earns on the scale on which nothing earns 0 and the right answer earns 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from trueward.audit.derivations import Answer, Envelope, single
from trueward.audit.probes.base import Probe, Surroundings
from trueward.audit.probes.near import plainly_wrong
from trueward.audit.probes.nothing import NULLS
from trueward.audit.scoring import Scoring
from trueward.rewards.runner.types import Outcome
from trueward.tasks.text.rows import Row

FULL = 0.99
PARTIAL = 0.5


@dataclass(frozen=True)
class Scale:
    """The rewards that fix the scale of one row.

    Attributes:
        null: r0, the median reward of null completions (empty, refusal, unrelated word); None when none has a score.
        right: r+, the reward of the row's right answer in the calibrated envelope, or the declared full reward.
        wrong: the median reward of certified wrong answers in the same envelope; None when there is none.
    """

    null: float | None
    right: float | None
    wrong: float | None

    @property
    def usable(self) -> bool:
        """True when the right answer earns more than nothing does."""
        return self.null is not None and self.right is not None and self.right > self.null

    @property
    def refused(self) -> bool:
        """True when the right answer earns no more than nothing and no more than a wrong answer."""
        if self.right is None or self.null is None:
            return False
        return self.right <= self.null and (self.wrong is None or self.right <= self.wrong)

    def payoff(self, reward: float | None) -> float | None:
        """u = (r − r0) / (r+ − r0); None without a reward or on a row that is not usable."""
        if reward is None or not self.usable:
            return None
        assert self.null is not None and self.right is not None
        return (reward - self.null) / (self.right - self.null)

    def above_wrong(self, reward: float | None) -> float | None:
        """(r − wrong) / (r+ − wrong): how far a completion climbs from a wrong answer to the right one."""
        if reward is None or self.wrong is None or self.right is None or self.right <= self.wrong:
            return None
        return (reward - self.wrong) / (self.right - self.wrong)


@dataclass(frozen=True)
class Result:
    """A probe with what the reward did."""

    probe: Probe
    outcome: Outcome
    payoff: float | None
    against: Outcome | None = None
    gain: float | None = None  # payoff minus that of `against`, on the row's scale


def measure_scales(
    rows: Sequence[Row],
    surroundings: Surroundings,
    scoring: Scoring,
    envelope: Envelope,
    full: float | None,
) -> dict[str, Scale]:
    """The scale of every row.

    Args:
        rows: the rows of the audit.
        surroundings: for wrong answers taken from other rows.
        scoring: the reward.
        envelope: the calibrated envelope.
        full: the declared full reward, used for rows that store no answer, and to see that no answer at all is paid in
            full: then the scale begins at 0, the bottom of the declared range. None when no range is declared.

    Returns:
        Row id → scale.
    """
    wanted = []
    for row in rows:
        wanted += [(row, null.inside(envelope.bare())) for null in NULLS]
        if row.answer and row.answer.strip():
            wanted.append((row, single(Answer("reference", row.answer.strip())).inside(envelope)))
        wanted += [(row, single(answer).inside(envelope)) for answer in plainly_wrong(row, surroundings)]
    outcomes = scoring.score(wanted)
    scales = {}
    for row in rows:
        mine = [(d, o.value) for (r, d), o in zip(wanted, outcomes, strict=True) if r is row and o.value is not None]
        nulls = [value for d, value in mine if d.form == "nothing"]
        rights = [value for d, value in mine if d.variant == "reference"]
        wrongs = [value for d, value in mine if d.form == "single" and d.variant != "reference"]
        right = rights[0] if rights else full if not (row.answer and row.answer.strip()) else None
        if full is not None and nulls and median(nulls) >= FULL * full:
            nulls = [0.0]
        scales[row.id] = Scale(median(nulls) if nulls else None, right, median(wrongs) if wrongs else None)
    return scales


def measure(probes: Sequence[Probe], scoring: Scoring, scales: Mapping[str, Scale], span: float | None) -> list[Result]:
    """Score all probes.

    Args:
        probes: the probes of all rows.
        scoring: the reward.
        scales: the scale of every row.
        span: width of the reward's range, in units of the reward, for rewards that do not read the answer; None when
            the rows' own scales are used.

    Returns:
        One result per probe, in their order.
    """
    pairs = [(probe.row, probe.derivation) for probe in probes]
    bases = [(probe.row, probe.against) for probe in probes if probe.against is not None]
    outcomes = scoring.score(pairs + bases)
    behind = iter(outcomes[len(pairs) :])
    results = []
    for probe, outcome in zip(probes, outcomes, strict=False):
        scale = scales[probe.row.id]
        against = next(behind) if probe.against is not None else None
        payoff = scale.payoff(outcome.value) if span is None else None
        results.append(Result(probe, outcome, payoff, against, _gain(outcome, against, scale, span)))
    return results


def _gain(outcome: Outcome, against: Outcome | None, scale: Scale, span: float | None) -> float | None:
    if against is None or against.value is None or outcome.value is None:
        return None
    difference = outcome.value - against.value
    if span is not None:
        return difference / span if span > 0 else 0.0
    if not scale.usable:
        return None
    assert scale.right is not None and scale.null is not None
    return difference / (scale.right - scale.null)
