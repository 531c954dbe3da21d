"""Behaviour: the same completion must score the same, whenever, wherever and beside whatever it is scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trueward.audit.derivations import Answer, Derivation, Envelope, single
from trueward.audit.probes.base import Surroundings
from trueward.audit.probes.near import wrong_answers
from trueward.audit.probes.nothing import NULLS
from trueward.audit.scoring import Scoring
from trueward.rewards.runner.types import Outcome
from trueward.tasks.text.rows import Row

_ROWS = 6
_EQUAL = 1e-9


@dataclass(frozen=True)
class Broken:
    """A completion that did not score as it did before.

    Attributes:
        how: "a second call", "a fresh worker", "other rows beside it", "the order of the rows".
        row: its row.
        derivation: its derivation.
        before: the first outcome.
        after: the other one.
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
    """

    tested: int
    broken: tuple[Broken, ...]
    miscounted: tuple[tuple[Row, Derivation, Outcome], ...]

    @property
    def deterministic(self) -> bool:
        """True when a second call and a fresh worker gave the same scores."""
        return not any(broken.how in ("a second call", "a fresh worker") for broken in self.broken)


def observe(rows: Sequence[Row], surroundings: Surroundings, scoring: Scoring, envelope: Envelope) -> Behaviour:
    """Score a few completions again: at once, in a fresh worker, all rows in one call, and in another order.

    Args:
        rows: usable rows; the first few are taken.
        surroundings: for wrong answers taken from other rows.
        scoring: the reward.
        envelope: the calibrated envelope.
    """
    pairs: list[tuple[Row, Derivation]] = []
    for row in rows[:_ROWS]:
        if row.answer and row.answer.strip():
            pairs.append((row, single(Answer("reference", row.answer.strip())).inside(envelope)))
        pairs += [(row, single(answer).inside(envelope)) for answer in list(wrong_answers(row, surroundings))[:1]]
        pairs += [(row, null.inside(envelope.bare())) for null in NULLS[:2]]
    alone = [[pair] for pair in pairs]
    first = [outcomes[0] for outcomes in scoring.run(alone)]
    kept = [i for i, outcome in enumerate(first) if outcome.status.ok]
    pairs, first = [pairs[i] for i in kept], [first[i] for i in kept]
    if not pairs:
        return Behaviour(0, (), ())
    alone = [[pair] for pair in pairs]
    second = [outcomes[0] for outcomes in scoring.run(alone)]
    fresh = [outcomes[0] for outcomes in scoring.run(alone, fresh=True)]
    together = scoring.run([pairs])[0]
    backwards = scoring.run([pairs[::-1]])[0][::-1]
    broken: list[Broken] = []
    for how, outcomes in (("a second call", second), ("a fresh worker", fresh), ("other rows beside it", together)):
        broken += _changed(how, pairs, first, outcomes)
    broken += _changed("the order of the rows", pairs, together, backwards)
    miscounted = tuple(
        (row, derivation, outcome)
        for (row, derivation), outcome in zip(pairs, together, strict=True)
        if outcome.status.is_reward_bug
    )
    return Behaviour(len(pairs), tuple(broken), miscounted)


def _changed(
    how: str, pairs: Sequence[tuple[Row, Derivation]], before: Sequence[Outcome], after: Sequence[Outcome]
) -> list[Broken]:
    return [
        Broken(how, row, derivation, old, new)
        for (row, derivation), old, new in zip(pairs, before, after, strict=True)
        if old.value is not None
        and new.value is not None
        and not math.isclose(old.value, new.value, rel_tol=_EQUAL, abs_tol=_EQUAL)
    ]
