"""Behaviour: the same completion must score the same, whenever, wherever and beside whatever it is scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trueward.audit.derivations import Answer, Derivation, Envelope, nothing, single
from trueward.audit.probes.base import Surroundings
from trueward.audit.probes.near import wrong_answers
from trueward.audit.probes.nothing import NULLS
from trueward.audit.scoring import Scoring
from trueward.report.document import Note
from trueward.rewards.runner.types import Demands, Outcome
from trueward.tasks.text.rows import Row

_ROWS = 6
_LONG = nothing("a long one", " ".join(["I do not know."] * 40))
_RULE = Demands()
_EQUAL = 1e-9
_ROUNDED = 1e-6  # of the largest reward: what single precision cannot hold, whatever the width


@dataclass(frozen=True)
class Broken:
    """A completion that did not score as it did before.

    Attributes:
        how: "a second call", "a fresh worker", "other rows beside it", "the order of the rows".
        row: its row.
        derivation: its derivation.
        before: the first outcome.
        after: the other one; its status is not ok where the completion lost its score.
    """

    how: str
    row: Row
    derivation: Derivation
    before: Outcome
    after: Outcome


@dataclass(frozen=True)
class Behaviour:
    """What the behaviour probes saw.

    Attributes:
        tested: number of completions.
        broken: every completion that scored differently.
        miscounted: outcomes of calls with several rows that did not come back one score per row.
        spread: how → largest difference that it made to a score, in widths of the rewards that were seen, rounding
            included; infinite where they have no width.
        padded: the same for every way to pad rows that the reward was not set up for.
    """

    tested: int
    broken: tuple[Broken, ...]
    miscounted: tuple[tuple[Row, Derivation, Outcome], ...]
    spread: Mapping[str, float] = field(default_factory=dict)
    padded: Mapping[str, Padded] = field(default_factory=dict)

    @property
    def deterministic(self) -> bool:
        """True when a second call and a fresh worker gave the same scores."""
        return not any(broken.how in ("a second call", "a fresh worker") for broken in self.broken)


@dataclass(frozen=True)
class Padded:
    """What another way to pad does to the scores of a model.

    Attributes:
        spread: largest difference to a score, in widths of the rewards that were seen.
        matters: whether that is more than rounding.
        lost: completions that had no score any more, or none that came back.
    """

    spread: float
    matters: bool
    lost: int


def observe(
    rows: Sequence[Row],
    surroundings: Surroundings,
    scoring: Scoring,
    envelope: Envelope,
    demands: Demands = _RULE,
) -> Behaviour:
    """Score a few completions again: at once, in a fresh worker, all rows in one call, in another order, padded.

    Args:
        rows: usable rows; the first few are taken.
        surroundings: for wrong answers taken from other rows.
        scoring: the reward.
        envelope: the calibrated envelope.
        demands: what the reward says about its rounding, and the addresses of itself with other padding.
    """
    pairs = _completions(rows, surroundings, envelope)
    if demands.batch > 1 and pairs:
        # One that is far longer than the others, so that a reward that pads has to.
        pairs.append((rows[0], _LONG.inside(envelope.bare())))
    first = [outcomes[0] for outcomes in scoring.run([[pair] for pair in pairs])]
    kept = [i for i, outcome in enumerate(first) if outcome.status.ok]
    pairs, first = [pairs[i] for i in kept], [first[i] for i in kept]
    if not pairs:
        return Behaviour(0, (), ())
    alone = [[pair] for pair in pairs]
    second = [outcomes[0] for outcomes in scoring.run(alone)]
    fresh = [outcomes[0] for outcomes in scoring.run(alone, fresh=True)]
    together = scoring.run([pairs])[0]
    backwards = scoring.run([pairs[::-1]])[0][::-1]
    ruler = _Ruler.of([outcome.value for outcome in first if outcome.value is not None], demands.noise)
    compared = {
        "a second call": (first, second),
        "a fresh worker": (first, fresh),
        "other rows beside it": (first, together),
        "the order of the rows": (together, backwards),
    }
    broken = [
        Broken(how, row, derivation, old, new)
        for how, (before, after) in compared.items()
        for (row, derivation), old, new in zip(pairs, before, after, strict=True)
        if ruler.differ(old, new)
    ]
    miscounted = tuple(
        (row, derivation, outcome)
        for (row, derivation), outcome in zip(pairs, together, strict=True)
        if outcome.status.is_reward_bug
    )
    spread = {how: ruler.spread(before, after) for how, (before, after) in compared.items()}
    padded = {how: _padded(scoring.run([pairs], address=a)[0], first, ruler) for how, a in demands.paddings.items()}
    return Behaviour(len(pairs), tuple(broken), miscounted, spread, padded)


def _completions(rows: Sequence[Row], surroundings: Surroundings, envelope: Envelope) -> list[tuple[Row, Derivation]]:
    """Right, wrong and empty ones."""
    pairs: list[tuple[Row, Derivation]] = []
    for row in rows[:_ROWS]:
        if row.answer and row.answer.strip():
            pairs.append((row, single(Answer("reference", row.answer.strip())).inside(envelope)))
        pairs += [(row, single(answer).inside(envelope)) for answer in list(wrong_answers(row, surroundings))[:1]]
        pairs += [(row, null.inside(envelope.bare())) for null in NULLS[:2]]
    return pairs


@dataclass(frozen=True)
class _Ruler:
    """Tells rounding from a difference.

    |a − b| ≤ max(noise · width, 10⁻⁶ · largest) is rounding in a reward that has noise; in an exact one, 10⁻⁹ of the
    larger.
    """

    width: float
    largest: float
    noise: float

    @classmethod
    def of(cls, values: Sequence[float], noise: float) -> _Ruler:
        return cls(max(values) - min(values), max(map(abs, values)), noise)

    def differ(self, old: Outcome, new: Outcome) -> bool:
        if old.value is None:
            return False
        if new.value is None:
            return new.status.blames_answer
        if math.isclose(old.value, new.value, rel_tol=_EQUAL, abs_tol=_EQUAL):
            return False
        allowed = max(self.noise * self.width, _ROUNDED * self.largest) if self.noise else 0.0
        return abs(old.value - new.value) > allowed

    def spread(self, before: Sequence[Outcome], after: Sequence[Outcome]) -> float:
        """Largest |a − b| / width."""
        gaps = [
            abs(old.value - new.value)
            for old, new in zip(before, after, strict=True)
            if old.value is not None and new.value is not None
        ]
        largest = max(gaps, default=0.0)
        return largest / self.width if self.width > 0 else math.inf if largest else 0.0


def _padded(after: Sequence[Outcome], before: Sequence[Outcome], ruler: _Ruler) -> Padded:
    matters = any(ruler.differ(old, new) for old, new in zip(before, after, strict=True))
    return Padded(ruler.spread(before, after), matters, sum(not outcome.status.ok for outcome in after))


def padding_notes(behaviour: Behaviour) -> list[Note]:
    """What other paddings do to the scores, for the notes of the report: they are not how the reward was called."""
    return [
        Note(
            title=f"its scores change with {how}, by up to {seen.spread:.2g} of the width of its rewards",
            detail="an engine that pads so gets other rewards from this model than the audit did",
            examples=[],
        )
        for how, seen in behaviour.padded.items()
        if seen.matters or seen.lost
    ]


def about_company(behaviour: Behaviour, demands: Demands) -> list[str]:
    """One line for the header: how much company and padding move the scores of a reward that rounds."""
    if not demands.noise or not behaviour.tested:
        return []
    seen = {**behaviour.spread, **{how: padded.spread for how, padded in behaviour.padded.items()}}
    told = ", ".join(f"{how} {largest:.1g}" for how, largest in seen.items())
    return [f"largest difference to a score, in widths of its rewards (rounding: {demands.noise:g}): {told}"]
